"""socketmap and tcp tables against small servers. What postmap does with the same replies was tried once."""

import threading

import pytest

from compat.table_servers import TableServer, netstring, socketmap, tcp_table
from postfix_smtp.errors import FatalError, TableError
from postfix_smtp.tables import tcp
from postfix_smtp.tables.base import TableFlags
from postfix_smtp.tables.opening import Opener, TableSettings

FLAGS = TableFlags.FOLD_FIX | TableFlags.UTF8_REQUEST


def opener(version: tuple[int, ...] = (3, 7, 11)) -> Opener:
    return Opener(TableSettings(utf8=True, open_error_is_fatal=True, version=version))


@pytest.mark.parametrize(
    ("reply", "value", "warning"),
    [
        (netstring(b"OK value one"), "value one", None),
        (netstring(b"OK "), "", None),
        (netstring(b"OK"), None, None),
        (netstring(b"OK a\0b"), "a", None),
        (netstring(b"NOTFOUND foo"), None, None),
        (b"03:OK ,", "", None),
        (netstring(b"TEMP later"), TableError, "{} socketmap server temporary error: later"),
        (netstring(b"TEMP "), TableError, "{} socketmap server temporary error"),
        (netstring(b"TEMP"), TableError, "{} socketmap server temporary error"),
        (netstring(b"TIMEOUT slow"), TableError, "{} socketmap server timeout error: slow"),
        (netstring(b"PERM bad"), TableError, "{} socketmap server permanent error: bad"),
        (netstring(b"ok x"), TableError, "{} socketmap server unknown error: x"),
        (netstring(b""), TableError, "{} socketmap server unknown error"),
        (netstring(b"TEMP " + b"y" * 300), TableError, "{} socketmap server temporary error: " + "y" * 200),
        (b"hang up", TableError, "table {} lookup error: unexpected disconnect"),
        (b"100001:x", TableError, "table {} lookup error: input exceeds size limit"),
        (b"x:y", TableError, "table {} lookup error: input format error"),
        (b":,", TableError, "table {} lookup error: input format error"),
        (b"3:OK x", TableError, "table {} lookup error: input format error"),
    ],
)
def test_replies_of_socketmap(
    reply: bytes, value: str | type | None, warning: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with TableServer(socketmap({b"m Key": reply})) as server:
        name = f"socketmap:inet:127.0.0.1:{server.port}:m"
        table = opener().open(name, FLAGS)
        if value is TableError:
            with pytest.raises(TableError):
                table.lookup("Key")
        else:
            assert table.lookup("Key") == value
    assert caplog.messages == ([] if warning is None else [warning.format(name)])


@pytest.mark.parametrize(
    ("version", "value"),
    [((3, 8, 15), None), ((3, 8, 16), ""), ((3, 10, 8), None), ((3, 10, 9), ""), ((3, 11, 1), None), ((3, 11, 6), "")],
)
def test_an_answer_without_blank(version: tuple[int, ...], value: str | None) -> None:
    class Numbers:
        @staticmethod
        def number(name: str) -> int:
            return 100000

    with TableServer(socketmap({b"m k": netstring(b"OK")})) as server:
        settings = TableSettings(utf8=True, open_error_is_fatal=True, version=version)
        tables = Opener(settings, Numbers())  # type: ignore[arg-type]
        assert tables.open(f"socketmap:inet:127.0.0.1:{server.port}:m", FLAGS).lookup("k") == value


def test_maps_of_a_server_share_a_connection_that_is_made_anew_when_lost() -> None:
    answers = {b"m1 k": netstring(b"OK one"), b"m2 k": netstring(b"OK two")}
    with TableServer(socketmap(answers)) as server:
        tables = opener()
        one, two = (tables.open(f"socketmap:inet:127.0.0.1:{server.port}:{name}", FLAGS) for name in ("m1", "m2"))
        assert (one.lookup("k"), two.lookup("k"), server.connections) == ("one", "two", 1)
        server.hang_up()
        assert (one.lookup("k"), two.lookup("k"), server.connections) == ("one", "two", 2)


def test_threads_get_their_own_answers() -> None:
    answers = {b"m k%d" % number: netstring(b"OK v%d" % number) for number in range(8)}
    wrong = []
    with TableServer(socketmap(answers)) as server:
        table = opener().open(f"socketmap:inet:127.0.0.1:{server.port}:m", FLAGS)

        def ask(number: int) -> None:
            wrong.extend(1 for _ in range(50) if table.lookup(f"k{number}") != f"v{number}")

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("m", "socketmap requires server:socketmap argument"),
        ("inet:m", 'need service transport:endpoint instead of "inet"'),
        ("foo:127.0.0.1:1:m", "invalid transport name: foo in service: foo:127.0.0.1:1"),
    ],
)
def test_names_of_socketmap(name: str, problem: str) -> None:
    with pytest.raises(FatalError) as error:
        opener().open(f"socketmap:{name}", FLAGS)
    assert str(error.value) == problem


def test_no_socketmap_server(caplog: pytest.LogCaptureFixture) -> None:
    table = opener().open("socketmap:unix:/none:m", FLAGS)
    with pytest.raises(TableError):
        table.lookup("k")
    text = "No such file or directory"
    assert caplog.messages == [f"connect to /none: {text}", f"table socketmap:unix:/none:m lookup error: {text}"]


@pytest.mark.parametrize(
    ("reply", "value", "warning"),
    [
        (b"200 value%20one%25", "value one%", None),
        (b"200   two", "  two", None),
        (b"299\tx", "x", None),
        (b"200 a%00b", "a", None),
        (b"500 no", None, None),
        (b"400 soft%20error", TableError, None),
        (b"300 x", TableError, "bad status code: 300 x"),
        (b"200", TableError, "malformed reply: 200"),
        (b"2 x", TableError, "malformed reply: 2 x"),
        (b"20000 x", TableError, "malformed reply: 20000 x"),
        (b"200 a%zz", TableError, "malformed reply: 200 a%zz"),
        (b"200 %4", TableError, "malformed reply: 200 %4"),
        (b"", TableError, "malformed reply: "),
    ],
)
def test_replies_of_tcp(
    reply: bytes, value: str | type | None, warning: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with TableServer(tcp_table({b"k": reply})) as server:
        table = opener().open(f"tcp:127.0.0.1:{server.port}", FLAGS)
        if value is TableError:
            with pytest.raises(TableError):
                table.lookup("k")
        else:
            assert table.lookup("k") == value
        start = f"read TCP map reply from 127.0.0.1:{server.port}: "
    assert caplog.messages == ([] if warning is None else [start + warning])


def test_keys_of_tcp_are_quoted() -> None:
    asked: list[bytes] = []
    with TableServer(tcp_table({}, asked)) as server:
        table = opener().open(f"tcp:127.0.0.1:{server.port}", FLAGS)
        for key in ("User@D", "a b%c", "é\x01~\x7f"):
            assert table.lookup(key) is None
    assert asked == [b"get User@D", b"get a%20b%25c", b"get %C3%A9%01~%7F"]


@pytest.mark.parametrize(
    ("answer", "warning"),
    [(b"hang up", "unexpected EOF (Connection reset by peer)"), (b"200 " + b"x" * 5000, "text longer than 4096")],
)
def test_tcp_insists(
    answer: bytes, warning: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(tcp.time, "sleep", pauses.append)
    with TableServer(tcp_table({b"k": answer})) as server:
        table = opener().open(f"tcp:127.0.0.1:{server.port}", FLAGS)
        with pytest.raises(TableError):
            table.lookup("k")
        assert server.connections == 10
        assert caplog.messages == [f"read TCP map reply from 127.0.0.1:{server.port}: {warning}"] * 10
    assert pauses == [1.0] * 9


def test_no_tcp_server(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp.time, "sleep", lambda seconds: None)
    with pytest.raises(TableError):
        opener().open("tcp:127.0.0.1:1", FLAGS).lookup("k")
    assert caplog.messages == ["connect to TCP map 127.0.0.1:1: Connection refused"] * 10
