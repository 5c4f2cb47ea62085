import os
from pathlib import Path

import pytest

from postfix_smtp.errors import FatalError
from postfix_smtp.tables.base import TableFlags
from postfix_smtp.tables.opening import Opener, TableSettings


def problem(
    directory: Path, spec: str, version: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> tuple[str, list[str]]:
    """Why a table cannot be opened, and the warnings."""

    class MainCf:
        @staticmethod
        def text(name: str) -> str:
            return {"meta_directory": str(directory), "shlib_directory": str(directory / "lib")}[name]

    MainCf.version = version  # type: ignore[attr-defined]
    caplog.clear()
    opener = Opener(TableSettings(utf8=True, open_error_is_fatal=True, version=version), MainCf())  # type: ignore[arg-type]
    try:
        opener.open(spec, TableFlags.LOCK)
    except FatalError as error:
        return str(error), caplog.messages
    return "", caplog.messages


HINT = "unsupported dictionary type: foo. Is the postfix-foo package installed?"


@pytest.mark.parametrize(
    ("version", "configured", "hint"), [((3, 7, 11), True, []), ((3, 10, 3), True, [HINT]), ((3, 10, 3), False, [])]
)
def test_an_unknown_type(
    version: tuple[int, ...], configured: bool, hint: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if configured:
        (tmp_path / "dynamicmaps.cf").write_text("#\n")
    assert problem(tmp_path, "foo:x", version, caplog) == ("unsupported dictionary type: foo", hint)


def test_a_type_of_a_later_release(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "dynamicmaps.cf").write_text("#\n")
    unsupported = "unsupported dictionary type: debug"
    hint = f"{unsupported}. Is the postfix-debug package installed?"
    assert problem(tmp_path, "debug:static:x", (3, 10, 3), caplog) == (unsupported, [hint])
    assert problem(tmp_path, "debug:static:x", (3, 11, 0), caplog)[0] == ""


@pytest.mark.skipif(os.getuid() != 0, reason="needs files of root")
@pytest.mark.parametrize("version", [(3, 7, 11), (3, 10, 3)])
def test_a_plugin_that_is_not_there(version: tuple[int, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "dynamicmaps.cf.d").mkdir()
    (tmp_path / "dynamicmaps.cf").write_text("")
    (tmp_path / "dynamicmaps.cf.d/p").write_text("pcre\tpostfix-pcre.so\tdict_pcre_open\n")
    plugin = tmp_path / "lib/postfix-pcre.so"
    unsupported = "unsupported dictionary type: pcre"
    expected = (unsupported, [f"{unsupported} ({plugin}: No such file or directory)"])
    assert problem(tmp_path, "pcre:{{/a/ b}}", version, caplog) == expected
    plugin.parent.mkdir()
    plugin.touch()
    assert problem(tmp_path, "pcre:{{/a/ b}}", version, caplog) == ("", [])
    plugin.chmod(0o666)
    text = "file is owned or writable by non-root users"
    assert problem(tmp_path, "pcre:{{/a/ b}}", version, caplog) == (unsupported, [f"{unsupported} ({plugin}: {text})"])
