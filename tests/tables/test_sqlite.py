"""sqlite tables, and what all database tables share: alone, and next to postmap."""

import os
import re
import sqlite3
from pathlib import Path

import pytest

from compat.postmap import Postmap, postmap_path
from postfix_smtp.errors import FatalError, TableError
from postfix_smtp.tables.base import TableFlags
from postfix_smtp.tables.opening import Opener, TableSettings

_ERRNO = re.compile("query error.*")
FLAGS = TableFlags.FOLD_FIX | TableFlags.UTF8_REQUEST
ROWS = [
    *[("a", "one"), ("a2", "x"), ("a2", "y"), ("a2", ""), ("a2", None), ("n", None), ("e", ""), ("i", 5), ("f", 1.5)],
    *[("f2", 1e20), ("f3", 3.0), ("f4", 0.1), ("u@d.org", "r@s.net"), ("o'r", "quote"), ("b", b"bl\0ob"), ("é", "ü")],
]
SELECT = "query = select v from t where k='%s'\n"
FILES = {
    "plain": SELECT,
    "limit": f"{SELECT}expansion_limit = 1\n",
    "domain": f"{SELECT}domain = d.org, e.org\n",
    "domain of constant": "query = select 'x'\ndomain = d.org\n",
    "format": "query = select 'x@y.z'\nresult_format = %s/%u/%d/%S/%U/%D/%1/%2/%%\n",
    "local": "query = select 'xy'\nresult_format = %u/%S\n",
    "needs domain": "query = select 'xy'\nresult_format = %d/%S\n",
    "empty localpart": "query = select '@xy'\nresult_format = %u/%S\n",
    "every value": f"{SELECT}result_format = <%s>\n",
    "query": "query = select '%s|%u|%d|%S|%U|%D|%1|%2|%%'\n",
    "local query": "query = select '%u'\n",
    "bad template": "query = select '%x'\n",
    "bad end": "query = select '100%\n",
    "bad label": "query = select '%0'\n",
    "bad result": "query = select '%s'\nresult_format = %q\n",
    "bad number": "query = select '1'\nexpansion_limit = x\n",
    "bad sql": "query = foo\n",
    "two statements": "query = select 1; select 2\n",
    "no query": "",
    "parts": "select_field = v\ntable = t\nwhere_field = k\nadditional_conditions = and 1=1\n",
    "malformed": "garbage\n",
    "unexpanded": 'query = select "$mydomain"\n',
    "empty domain": f"{SELECT}domain =\n",
    "empty format": "query = select 'v'\nresult_format =\n",
}
KEYS = (
    *("a", "a2", "n", "e", "i", "f", "f2", "f3", "f4", "b", "o'r", "none", "x@", "u@d.org", "u@D.ORG", "@d.org", "u@x"),
    *("a@b@c.d", "u@", "o'r@x.y", "u@.x", "u@a..b", "É", "u@e.org"),
)


def database(directory: Path) -> Path:
    path = directory / "db"
    connection = sqlite3.connect(path)
    connection.execute("create table t(k, v)")
    connection.executemany("insert into t values(?, ?)", ROWS)
    connection.commit()
    connection.close()
    return path


def source(directory: Path, contents: str) -> Path:
    path = directory / "source"
    path.write_text(f"dbpath = {database(directory)}\n{contents}")
    os.utime(path, (1, 1))
    return path


def look_up(path: Path, key: str, *, version: tuple[int, ...] = (3, 7, 11)) -> tuple[str | None, str]:
    opener = Opener(TableSettings(utf8=True, open_error_is_fatal=True, version=version))
    try:
        return opener.open(f"sqlite:{path}", FLAGS).lookup(key), ""
    except FatalError as error:
        return None, f"fatal: {error}"
    except TableError:
        return None, f"fatal: table sqlite:{path}: query error"
    finally:
        opener.close()


@pytest.mark.sidebyside
@pytest.mark.skipif(postmap_path() is None, reason="no Postfix is installed")
@pytest.mark.parametrize("name", FILES)
def test_like_postmap(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = source(tmp_path, FILES[name])
    postmap = Postmap(tmp_path)
    for key in KEYS:
        caplog.clear()
        value, problem = look_up(path, key)
        theirs, log = postmap.answer(f"sqlite:{path}", key)
        ours = [f"warning: {message}" for message in caplog.messages] + ([problem] if problem else [])
        assert (value, ours) == (theirs, [_ERRNO.sub("query error", line) for line in log]), key
        if problem and "query error" not in problem:
            break  # the table cannot be opened at all; postmap takes a second to say so


def test_finds_rows(tmp_path: Path) -> None:
    path = source(tmp_path, SELECT)
    assert look_up(path, "A") == ("one", "")
    assert look_up(path, "a2") == ("x,y", "")
    assert look_up(path, "o'r") == ("quote", "")
    assert look_up(path, "none") == (None, "")


def test_no_database(tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_text(f"dbpath = {tmp_path}/none\nquery = select 1\n")
    os.utime(path, (1, 1))
    assert look_up(path, "a") == (None, f"fatal: sqlite:{path}: Can't open database: unable to open database file")
    reason = f"sqlite:{path}: open database {tmp_path}/none: unable to open database file: No such file or directory"
    assert look_up(path, "a", version=(3, 10, 3)) == (None, f"fatal: {reason}")
    assert not (tmp_path / "none").exists()


def test_no_parameter_file(tmp_path: Path) -> None:
    assert look_up(tmp_path / "none", "a") == (None, f"fatal: open {tmp_path}/none: No such file or directory")


def test_a_table_without_slash_has_its_parameters_in_main_cf(tmp_path: Path) -> None:
    settings = {"mine_dbpath": str(database(tmp_path)), "mine_query": "select '$name'"}

    class MainCf:
        raw = staticmethod(settings.get)
        text = staticmethod(lambda name: "/none")
        version = (3, 7, 11)

        @staticmethod
        def expand(text: str) -> str:
            return text.replace("$name", "value")

    opener = Opener(TableSettings(utf8=True, open_error_is_fatal=True, version=(3, 7, 11)), MainCf())  # type: ignore[arg-type]
    assert opener.open("sqlite:mine", FLAGS).lookup("a") == "value"
    with pytest.raises(FatalError, match="bad string length 0 < 1: other_dbpath = "):
        opener.open("sqlite:other", FLAGS)
