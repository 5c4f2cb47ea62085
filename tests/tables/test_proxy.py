"""proxy tables: what is sent to proxymap, captured from Postfix (ipc chapter 11.2)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from compat.table_servers import TableServer
from postfix_smtp.errors import FatalError, TableError
from postfix_smtp.tables.base import Table, TableFlags
from postfix_smtp.tables.opening import Opener, TableSettings

FLAGS = TableFlags.LOCK | TableFlags.FOLD_FIX | TableFlags.UTF8_REQUEST
OLD, NEW = (3, 7, 11), (3, 11, 6)


class MainCf:
    """Names of services, and time limits."""

    def __init__(self, queue: Path, version: tuple[int, ...]) -> None:
        self._queue = queue
        self.version = version

    def text(self, name: str) -> str:
        return str(self._queue) if name == "queue_directory" else name.removesuffix("_service_name")

    def seconds(self, name: str) -> int:
        return 10


@contextmanager
def proxymap(queue: Path, replies: list[bytes], requests: list[bytes]) -> Iterator[TableServer]:
    def serve(received: BinaryIO, sent: BinaryIO) -> None:
        sent.write(b"protocol\0proxymap_protocol\0\0")
        sent.flush()
        request = b""
        while octet := received.read(1):
            request += octet
            if request.endswith(b"\0\0") and not request.endswith(b"key\0\0"):
                requests.append(request)
                request = b""
                sent.write(replies.pop(0))
                sent.flush()

    (queue / "private").mkdir()
    with TableServer(serve, str(queue / "private/proxymap")) as server:
        yield server


def opened(queue: Path, version: tuple[int, ...], flags: TableFlags = FLAGS, *, utf8: bool = True) -> Table:
    settings = TableSettings(utf8=utf8, open_error_is_fatal=False, version=version)
    return Opener(settings, MainCf(queue, version)).open("proxy:hash:/T", flags)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("flags", "utf8", "sent", "key"),
    [
        (FLAGS, True, 524352, "s.up@ok.example"),
        (FLAGS, False, 540736, "S.Up@OK.example"),
        (TableFlags.LOCK | TableFlags.FOLD_FIX, True, 16448, "S.Up@OK.example"),
        (TableFlags.LOCK, True, 64, "S.Up@OK.example"),
    ],
)
def test_who_folds_until_3_10(flags: TableFlags, utf8: bool, sent: int, key: str, tmp_path: Path) -> None:
    requests: list[bytes] = []
    replies = [b"status\x000\0flags\x0028\0\0", b"status\x000\0value\0one\0\0", b"status\x001\0value\0\0\0"]
    with proxymap(tmp_path, replies, requests):
        table = opened(tmp_path, OLD, flags, utf8=utf8)
        assert [table.lookup("S.Up@OK.example"), table.lookup("x")] == ["one", None]
    assert requests[0] == b"request\0open\0table\0hash:/T\0flags\x000\0\0"
    assert requests[1] == f"request\0lookup\0table\0hash:/T\0flags\0{sent}\0key\0{key}\0\0".encode()
    assert not table.pattern
    assert not table.local


def test_the_server_folds_since_3_11_and_wants_its_flags_back(tmp_path: Path) -> None:
    requests: list[bytes] = []
    replies = [
        b"status\x000\0flags\x001589340\0\0",
        b"status\x000\0flags\x001589336\0value\0one\0\0",
        b"status\x000\0flags\x001589336\0value\0one\0\0",
    ]
    with proxymap(tmp_path, replies, requests):
        table = opened(tmp_path, NEW)
        assert [table.lookup("Alpha"), table.lookup("Alpha")] == ["one", "one"]
    start = b"request\0lookup\0table\0hash:/T\0instance_flags\x00540736\0flags\0"
    assert requests == [
        b"request\0open\0table\0hash:/T\0instance_flags\x00540736\0\0",
        start + b"1589340\0key\0Alpha\0\0",
        start + b"1589336\0key\0Alpha\0\0",
    ]


@pytest.mark.parametrize(("flags", "pattern"), [(16, False), (28, False), (32, True), (0, True)])
def test_only_tables_of_fixed_keys_are_asked_for_parts(flags: int, pattern: bool, tmp_path: Path) -> None:
    with proxymap(tmp_path, [b"status\x000\0flags\0%d\0\0" % flags], []):
        assert opened(tmp_path, OLD).pattern is pattern


@pytest.mark.parametrize("status", [2, 5])
def test_soft_and_configuration_errors(status: int, tmp_path: Path) -> None:
    with proxymap(tmp_path, [b"status\x000\0flags\x0016\0\0", b"status\0%d\0value\0\0\0" % status], []):
        table = opened(tmp_path, OLD)
        with pytest.raises(TableError):
            table.lookup("x")


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (4, 'proxymap service is not configured for table "hash:/T"'),
        (3, 'proxymap open failed for table "hash:/T": invalid request'),
    ],
)
def test_a_table_that_is_not_approved(
    status: int, problem: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reply = b"status\0%d\0flags\x000\0\0" % status
    with proxymap(tmp_path, [reply, reply], []):
        with pytest.raises(FatalError) as error:
            opened(tmp_path, OLD)
        assert str(error.value) == problem
        table = opened(tmp_path, NEW)
    assert caplog.messages == [problem]
    with pytest.raises(TableError):
        table.lookup("x")
