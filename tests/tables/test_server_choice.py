import pytest

from postfix_smtp.errors import TableError
from postfix_smtp.tables import server_choice as subject
from postfix_smtp.tables.server_choice import Driver, ServerError, Servers, counted_twice


class Fake(Driver[str]):
    """Servers that are down, and a log of what is done."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.done: list[str] = []

    def connect(self, host: str) -> str:
        self.done.append(f"connect {host}")
        if host in self.down:
            raise ServerError(f"{host} is down")
        return host

    def disconnect(self, connection: str) -> None:
        self.done.append(f"disconnect {connection}")

    def query(self, host: str, connection: str) -> str:
        if host in self.down:
            raise ServerError(f"{host} fails")
        return host


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(subject.time, "monotonic", lambda: now[0])
    return now


def test_unix_before_inet_and_an_open_connection_before_all(clock: list[float]) -> None:
    fake = Fake()
    servers = Servers(fake, ["inet:a", "unix:b"], 60, 60)
    assert [servers.ask(fake.query) for _ in range(3)] == ["unix:b"] * 3
    assert fake.done == ["connect unix:b"]
    fake.down = {"unix:b"}
    assert [servers.ask(fake.query) for _ in range(2)] == ["inet:a"] * 2
    fake.down = set()
    clock[0] += 59
    assert servers.ask(fake.query) == "inet:a"


def test_a_server_that_failed_is_left_alone_for_a_while(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    fake = Fake()
    fake.down = {"a"}
    servers = Servers(fake, ["a"], 60, 60)
    for _ in range(2):
        with pytest.raises(TableError):
            servers.ask(fake.query)
    assert fake.done == ["connect a"]
    assert caplog.messages == ["a is down"]
    fake.down = set()
    clock[0] += 60
    assert servers.ask(fake.query) == "a"


def test_a_connection_that_was_not_used_for_long_is_not_used_any_more(clock: list[float]) -> None:
    fake = Fake()
    servers = Servers(fake, ["a"], 60, 60)
    servers.ask(fake.query)
    clock[0] += 60
    servers.ask(fake.query)
    assert fake.done == ["connect a", "disconnect a", "connect a"]


@pytest.mark.parametrize("version", [(3, 7, 11), (3, 10, 3)])
def test_a_single_server_is_retried_at_once_since_3_10(version: tuple[int, ...], clock: list[float]) -> None:
    fake = Fake()
    servers = Servers(fake, counted_twice(["a"], version), 60, 60)
    servers.ask(fake.query)
    broken = iter([True, False])

    def query(host: str, connection: str) -> str:
        if next(broken):
            raise ServerError("gone away")
        return "answer"

    if version < (3, 10):
        with pytest.raises(TableError):
            servers.ask(query)
    else:
        assert servers.ask(query) == "answer"
