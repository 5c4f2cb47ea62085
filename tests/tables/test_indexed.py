"""What holds for all database files: the trailing NUL, changes, damage."""

import base64
import fcntl
import json
import os
import struct
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postfix_smtp.errors import FatalError, TableError
from postfix_smtp.tables.base import Table, TableFlags
from postfix_smtp.tables.opening import Opener, TableSettings

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/config/tables.json").read_text())["indexed"]
FLAGS = TableFlags.LOCK | TableFlags.FOLD_FIX | TableFlags.UTF8_REQUEST
KINDS = sorted(VECTORS)


def opener(*, fatal: bool = True) -> Opener:
    return Opener(TableSettings(utf8=True, open_error_is_fatal=fatal, version=(3, 7, 11)))


def octets(kind: str) -> bytes:
    return zlib.decompress(base64.b64decode(VECTORS[kind]["zlib_base64"]))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def path(kind: str, tmp_path: Path) -> Path:
    """The database file of `kind`."""
    file = tmp_path / f"t{VECTORS[kind]['suffix']}"
    file.write_bytes(octets(kind))
    return file


def opened(kind: str, path: Path, flags: TableFlags = FLAGS) -> tuple[Opener, Table]:
    tables = opener()
    return tables, tables.open(f"{kind}:{path.with_suffix('')}", flags)


def test_finds_what_postmap_stored(kind: str, path: Path) -> None:
    _, table = opened(kind, path)
    assert [table.lookup(key) for key in ("alpha", "Beta", "gamma", "")] == ["one", "Two words", None, None]


def test_the_first_hit_tells_whether_keys_end_in_nul(kind: str, path: Path) -> None:
    asked: list[bytes] = []
    _, table = opened(kind, path)
    inner = table._inner  # type: ignore[attr-defined]
    get = inner.get
    inner.get = lambda key: asked.append(key) or get(key)
    table.lookup("none")
    assert asked == [b"none\0", b"none"]
    table.lookup("alpha")
    asked.clear()
    table.lookup("none")
    assert asked == [b"none" if kind == "cdb" else b"none\0"]


def test_a_removed_file_is_a_change(kind: str, path: Path) -> None:
    tables, table = opened(kind, path)
    assert tables.changed() is None
    path.unlink()
    assert tables.changed() == f"{kind}:{path.with_suffix('')}(0,lock|fold_fix|utf8_request)"
    assert table.lookup("alpha") == "one"


def test_a_new_time_is_a_change_except_for_lmdb(kind: str, path: Path) -> None:
    tables, _ = opened(kind, path)
    os.utime(path, (1, 1))
    assert (tables.changed() is None) == (kind == "lmdb")


def test_a_renamed_file_is_no_change(kind: str, path: Path) -> None:
    tables, _ = opened(kind, path)
    path.rename(path.with_name("elsewhere"))
    assert tables.changed() is None


@pytest.mark.parametrize(("version", "name"), [((3, 7, 11), ""), ((3, 11, 0), "(0,lock|fold_fix|utf8_request)")])
def test_members_are_registered_with_flags_since_3_11(tmp_path: Path, version: tuple[int, ...], name: str) -> None:
    path = tmp_path / "t.db"
    path.write_bytes(octets("hash"))
    tables = Opener(TableSettings(utf8=True, open_error_is_fatal=True, version=version))
    table = tables.open(f"unionmap:{{hash:{tmp_path}/t, static:x}}", FLAGS)
    assert table.lookup("alpha") == "one,x"
    path.unlink()
    assert tables.changed() == f"hash:{tmp_path}/t{name}"


@pytest.mark.parametrize("kind", ["hash", "btree", "lmdb"])
def test_a_file_rewritten_in_place_is_answered_as_it_is_now(kind: str, path: Path) -> None:
    _, table = opened(kind, path)
    assert table.lookup("alpha") == "one"
    data = path.read_bytes().replace(b"one\0", b"new\0")
    with open(path, "r+b") as file:
        file.write(data)
    assert table.lookup("alpha") == "new"


@pytest.mark.parametrize("kind", ["hash", "btree"])
def test_waits_for_a_writer_that_holds_the_file(kind: str, path: Path) -> None:
    _, table = opened(kind, path)
    answers = []
    with open(path, "r+b") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        writer.truncate(0)
        reader = threading.Thread(target=lambda: answers.append(table.lookup("alpha")))
        reader.start()
        assert not answers
        writer.write(octets(kind))
        writer.flush()
        fcntl.flock(writer, fcntl.LOCK_UN)
        reader.join(10)
    assert answers == ["one"]


def test_an_old_index_is_warned_about(kind: str, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = path.with_suffix("")
    source.touch()
    now = time.time()
    os.utime(path, (now - 300, now - 300))
    for age, warned in ((10, False), (200, True), (400, False)):
        os.utime(source, (now - age, now - age))
        caplog.clear()
        opened(kind, path)
        assert caplog.messages == ([f"database {path} is older than source file {source}"] if warned else [])


@pytest.mark.parametrize(
    ("kind", "contents", "reason"),
    [
        ("hash", b"", "Invalid argument"),
        ("hash", b"some text" * 1000, "Invalid argument"),
        ("btree", octets("hash"), "Invalid argument"),
        ("hash", octets("hash")[:-1], "Invalid argument"),
        ("lmdb", b"", "Bad file descriptor"),
        ("lmdb", b"text", "MDB_INVALID: File is not an LMDB file"),
    ],
)
def test_what_is_no_database_is_unavailable(
    kind: str, contents: bytes, reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / f"t{VECTORS[kind]['suffix']}"
    path.write_bytes(contents)
    table = opener(fatal=False).open(f"{kind}:{tmp_path}/t", FLAGS)
    with pytest.raises(TableError):
        table.lookup("alpha")
    reason = f"open database {path}: {reason}"
    assert caplog.messages == [reason, f"{kind}:{tmp_path}/t is unavailable. {reason}"]


def test_no_file_at_all(kind: str, tmp_path: Path) -> None:
    suffix = VECTORS[kind]["suffix"]
    with pytest.raises(FatalError, match=f"open database {tmp_path}/no{suffix}: No such file or directory"):
        opener().open(f"{kind}:{tmp_path}/no", FLAGS)


def test_a_short_cdb_is_fatal(tmp_path: Path) -> None:
    (tmp_path / "t.cdb").write_bytes(b"text")
    with pytest.raises(FatalError, match=f"dict_cdbq_open: unable to init {tmp_path}/t.cdb: Protocol error"):
        opener(fatal=False).open(f"cdb:{tmp_path}/t", FLAGS)


def answer(kind: str, path: Path, key: str) -> Any:
    """The value, or the exception's type."""
    tables = opener()
    try:
        return tables.open(f"{kind}:{path.with_suffix('')}", FLAGS).lookup(key)
    except (FatalError, TableError) as error:
        return type(error)
    finally:
        tables.close()


def test_a_file_cut_short_never_loses_an_entry_silently(kind: str, path: Path) -> None:
    whole = path.read_bytes()
    step = 97 if kind == "cdb" else 509
    for length in (*range(0, len(whole), step), *(n for n in range(0, len(whole), 4096))):
        path.write_bytes(whole[:length])
        for key, value in (("alpha", "one"), ("beta", "Two words")):
            assert answer(kind, path, key) in (value, FatalError, TableError), length


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_garbled_file_gives_an_error_or_an_answer(kind: str, path: Path, data: st.DataObject) -> None:
    """No crash, no endless loop, no other exception."""
    whole = bytearray(octets(kind))
    used = [position for position in range(0, len(whole), 1) if whole[position]]
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.sampled_from(used) | st.integers(0, len(whole) - 1))
        if data.draw(st.booleans()):
            whole[position] = data.draw(st.integers(0, 255))
        else:
            whole[position] ^= 1 << data.draw(st.integers(0, 7))
    if data.draw(st.booleans()):
        position = data.draw(st.integers(0, len(whole) // 4 - 1)) * 4
        struct.pack_into("<I", whole, position, data.draw(st.sampled_from([0, 1, 2, 3, 0xFFFFFFFF])))
    path.write_bytes(whole)
    for key in ("alpha", "beta", "gamma"):
        result = answer(kind, path, key)
        assert result is None or isinstance(result, str) or result in (FatalError, TableError)


def test_many_threads_may_ask(kind: str, path: Path) -> None:
    _, table = opened(kind, path)
    wrong = []

    def ask() -> None:
        for _ in range(200):
            if table.lookup("alpha") != "one" or table.lookup("gamma") is not None:
                wrong.append(1)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
