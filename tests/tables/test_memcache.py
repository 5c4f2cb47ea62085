"""memcache tables against a small server. What postmap does with the same replies was tried once."""

import os
from pathlib import Path
from typing import BinaryIO

import pytest

from compat.table_servers import TableServer, memcache
from postfix_smtp.errors import FatalError, TableError
from postfix_smtp.tables import memcache as subject
from postfix_smtp.tables.base import Table, TableFlags
from postfix_smtp.tables.opening import Opener, TableSettings

FLAGS = TableFlags.FOLD_FIX | TableFlags.UTF8_REQUEST


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject.time, "sleep", lambda seconds: None)


def opened(directory: Path, port: int, *lines: str, version: tuple[int, ...] = (3, 7, 11)) -> Table:
    path = directory / "source"
    path.write_text("".join(f"{line}\n" for line in (f"memcache = inet:127.0.0.1:{port}", *lines)))
    os.utime(path, (1, 1))
    opener = Opener(TableSettings(utf8=True, open_error_is_fatal=True, version=version))
    return opener.open(f"memcache:{path}", FLAGS)


@pytest.mark.parametrize(
    ("lines", "key", "value", "commands"),
    [
        ([], "K", "value", ["get k"]),
        ([], "none", None, ["get none"]),
        ([], "a b", None, []),
        ([], "n", "a", ["get n"]),
        ([], "l", "x\r\ny", ["get l"]),
        (["key_format = p%s"], "k", "pv", ["get pk"]),
        (["key_format = %d/%u"], "k", None, []),
        (["key_format = %d/%u"], "u@d.org", None, ["get d.org/u"]),
        (["backup = inline:{bk=bv}", "ttl = 77", "flags = 3"], "bk", "bv", ["get bk", "set bk 3 77 2"]),
        (["backup = inline:{bk=bv}"], "k", "value", ["get k"]),
        (["backup = inline:{bk=bv}"], "none", None, ["get none"]),
        (["backup = static:x"], '"a b"', None, []),
        (["domain = d.org", "backup = static:b"], "k", None, []),
        (["domain = d.org", "backup = static:b"], "@d.org", None, []),
        (["domain = d.org", "backup = static:b"], "u@d.org", "uv", ["get u@d.org"]),
        (["result_format = <%s>"], "k", "value", ["get k"]),
    ],
)
def test_answers(tmp_path: Path, lines: list[str], key: str, value: str | None, commands: list[str]) -> None:
    asked: list[bytes] = []
    held = {b"k": b"value", b"n": b"a\0b", b"l": b"x\r\ny", b"pk": b"pv", b"u@d.org": b"uv"}
    with TableServer(memcache(held, asked)) as server:
        table = opened(tmp_path, server.port, *lines)
        assert table.lookup(key) == value
        table.close()
    assert [line.decode() for line in asked] == commands


def test_what_the_backup_has_is_in_the_cache_afterwards(tmp_path: Path) -> None:
    held: dict[bytes, bytes] = {}
    with TableServer(memcache(held)) as server:
        assert opened(tmp_path, server.port, "backup = inline:{bk=bv}").lookup("bk") == "bv"
        assert opened(tmp_path, server.port).lookup("bk") == "bv"


def test_keys_may_be_digested_since_3_11(tmp_path: Path) -> None:
    digest = b"8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a"
    with TableServer(memcache({digest: b"value"})) as server:
        table = opened(tmp_path, server.port, "key_digest = sha256", version=(3, 11, 6))
        assert table.lookup("k") == "value"


def test_a_lost_connection_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with TableServer(memcache({b"k": b"value"})) as server:
        table = opened(tmp_path, server.port)
        assert table.lookup("k") == "value"
        server.hang_up()
        assert table.lookup("k") == "value"
    assert not caplog.messages


@pytest.mark.parametrize(
    ("reply", "warning"),
    [
        (b"", "database memcache:{}: I/O error: Connection reset by peer"),
        (b"ERROR\r\n", "{}: unexpected memcache server reply: ERROR"),
        (b"\r\n", "{}: unexpected memcache server reply: "),
        (b"VALUE k 0 x\r\nvalue\r\nEND\r\n", "{}: unexpected memcache server reply: VALUE k 0 x"),
        (b"VALUE k 0 99999\r\n", "{}: unexpected memcache server reply: VALUE k 0 99999"),
        (b"VALUE k 0 5\r\nvalueEND\r\n", "{}: EOF receiving memcache server reply"),
        (b"VALUE k 0 5\nvalue\nEND\n", "{}: EOF receiving memcache server reply"),
        (b"x" * 2000, "database memcache:{}: I/O error: Connection reset by peer"),
    ],
)
def test_a_bad_reply_is_warned_about_the_second_time(
    tmp_path: Path, reply: bytes, warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    def serve(received: BinaryIO, sent: BinaryIO) -> None:
        received.readline()
        sent.write(reply)

    with TableServer(serve) as server:
        table = opened(tmp_path, server.port)
        with pytest.raises(TableError):
            table.lookup("k")
        assert server.connections == 2
    assert caplog.messages == [warning.format(tmp_path / "source")]


def test_without_server_the_backup_answers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert opened(tmp_path, 1, "backup = inline:{k=v}").lookup("k") == "v"
    assert caplog.messages == ["connect to 127.0.0.1:1: Connection refused"] * 2  # to read, and to write


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("ttl = x", "{}: bad numerical configuration: ttl = x"),
        ("max_try = 0", "{}: invalid max_try parameter value 0 < 1"),
        ("key_format = %x", "db_common_parse: {}: Invalid query template: %x"),
        ("memcache = foo:bar", "invalid transport name: foo in service: foo:bar"),
    ],
)
def test_bad_parameters(tmp_path: Path, line: str, problem: str) -> None:
    with pytest.raises(FatalError) as error:
        opened(tmp_path, 1, line)
    assert str(error.value) == problem.format(tmp_path / "source")
