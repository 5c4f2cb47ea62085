"""How the program learns what Postfix it works for."""

import os
from pathlib import Path

import pytest

from postfix_smtp.config import installation
from postfix_smtp.config.installation import Installation, ask, constants_octets, is_current, version_tuple
from postfix_smtp.errors import FatalError


@pytest.fixture
def postconf(tmp_path: Path) -> Path:
    path = tmp_path / "postconf"
    path.write_text(
        '#!/bin/sh\necho "mail_version = 3.9.2"\necho "queue_directory = /q"\necho "long = a"\necho "    b"\n'
    )
    path.chmod(0o755)
    return path


def test_postconf_tells_the_constants(postconf: Path) -> None:
    assert ask(str(postconf)) == {"mail_version": "3.9.2", "queue_directory": "/q", "long": "a b"}
    assert Installation.of(ask(str(postconf))).version == (3, 9, 2)


def test_a_postconf_that_says_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="does not tell the version"):
        ask("/bin/true")
    with pytest.raises(FatalError, match="cannot run"):
        ask(str(tmp_path / "none"))


def test_the_constants_file_saves_asking(postconf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "constants").write_bytes(constants_octets(str(postconf)))
    monkeypatch.setattr(installation, "ask", pytest.fail)
    found = Installation.find(str(tmp_path))
    assert found.constants["queue_directory"] == "/q"
    assert found.constants["data_directory"] == "/var/lib/postfix"


def test_a_replaced_postconf_is_asked_again_even_if_it_looks_older(
    postconf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "constants").write_bytes(constants_octets(str(postconf)))
    new = tmp_path / "new"
    new.write_text("#!/bin/sh\necho mail_version = 3.10.0\n")
    new.chmod(0o755)
    os.utime(new, (1, 1))
    new.replace(postconf)
    assert not is_current((tmp_path / "constants").read_text())
    monkeypatch.setattr(installation, "find_postconf", lambda: str(postconf))
    assert Installation.find(str(tmp_path)).version == (3, 10, 0)


def test_tests_name_their_constants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine"
    path.write_text("mail_version = 3.11.6\n")
    monkeypatch.setenv("POSTFIX_SMTP_CONSTANTS", str(path))
    assert Installation.find(None).version == (3, 11, 6)


def test_without_postfix_upstreams_defaults_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "find_postconf", lambda: None)
    monkeypatch.delenv("POSTFIX_SMTP_CONSTANTS", raising=False)
    assert Installation.find(None).constants["daemon_directory"] == "/usr/libexec/postfix"


@pytest.mark.parametrize(
    ("text", "version"), [("3.7.11", (3, 7, 11)), ("3.11-20250801", (3, 11)), ("3.10.0-RC1", (3, 10, 0))]
)
def test_version_is_the_release(text: str, version: tuple[int, ...]) -> None:
    assert version_tuple(text) == version
