"""Which session is found, and what becomes of those that nobody wants."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from postfix_smtp.delivery.pool import Kept, Pool
from postfix_smtp.smtp.peer import Peer

PEER = Peer("mx.test", "192.0.2.1", 25)


@dataclass
class FakeSession:
    name: str
    tls: object = None
    peer: Peer = PEER
    closed: bool = False
    on_close: Any = None

    def close(self) -> None:
        self.closed = True
        if self.on_close:
            self.on_close()


@dataclass
class Clock:
    now: float = 100.0
    handed: list[tuple[str, str | None]] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def hand_over(self, kept: Kept, key: str | None) -> None:
        self.handed.append((kept.session.name, key))  # type: ignore[attr-defined]


def kept(name: str, endpoint: str = "e", tls: object = None) -> Kept:
    session: Any = FakeSession(name, tls)
    return Kept(session, f"nexthop-{name}", True, endpoint)


def name(found: Kept | None) -> str | None:
    return None if found is None else found.session.name  # type: ignore[attr-defined]


def in_loop(test: Any) -> None:
    async def run() -> None:
        test()

    asyncio.run(run())


def test_sessions_of_an_endpoint_are_found_oldest_first_and_once() -> None:
    def test() -> None:
        pool = Pool(clock=Clock())
        pool.save(kept("a"), "d", 2)
        pool.save(kept("b"), "d", 2)
        assert [name(pool.find_endpoint("e")) for _ in range(3)] == ["a", "b", None]
        pool.close()

    in_loop(test)


def test_a_destination_finds_the_endpoint_that_was_bound_first() -> None:
    def test() -> None:
        pool = Pool(clock=Clock())
        pool.save(kept("a", "e1"), "d", 2)
        pool.save(kept("b", "e2"), "d", 2)
        pool.save(kept("c", "e3"), None, 2)
        found = pool.find_destination("d")
        assert found is not None
        assert (name(found), found.destination, found.endpoint) == ("a", "nexthop-a", "e1")
        assert name(pool.find_destination("d")) == "b"
        assert pool.find_destination("d") is None
        assert name(pool.find_endpoint("e3")) == "c"

    in_loop(test)


def test_a_server_has_the_name_under_which_the_destination_first_knew_it() -> None:
    def test() -> None:
        pool = Pool(clock=Clock())
        session = kept("a")
        for host, key in (("mx1.test", "d1"), ("mx2.test", "d2"), ("mx3.test", "d1")):
            session.session.peer = Peer(host, "192.0.2.1", 25)
            pool.save(session, key, 2)
            assert pool.find_endpoint("e") is not None
        for key, host in (("d2", "mx2.test"), ("d1", "mx1.test")):
            pool.save(session, None, 2)
            found = pool.find_destination(key)
            assert found is not None
            assert found.session.peer.name == host

    in_loop(test)


def test_what_has_expired_is_closed_and_not_found() -> None:
    def test() -> None:
        clock = Clock()
        pool = Pool(clock=clock)
        old = kept("a")
        pool.save(old, "d", 2)
        clock.now += 2.5
        assert pool.find_destination("d") is None
        assert pool.find_endpoint("e") is None
        assert old.session.closed  # type: ignore[attr-defined]

    in_loop(test)


def test_what_nobody_wants_here_goes_to_other_processes() -> None:
    def test() -> None:
        clock = Clock()
        pool = Pool(clock.hand_over, 0.5, clock)
        plain, secret = kept("plain"), kept("secret", "e2", tls=object())
        pool.save(plain, "d", 2)
        pool.save(secret, "d", 2)
        clock.now += 0.6
        pool._sweep()
        assert clock.handed == [("plain", "d")]
        assert not plain.session.closed  # type: ignore[attr-defined]
        assert len(pool) == 1
        clock.now += 1.5
        pool._sweep()
        assert secret.session.closed  # type: ignore[attr-defined]
        assert len(pool) == 0

    in_loop(test)


def test_at_the_end_of_the_process_sessions_are_given_to_others() -> None:
    def test() -> None:
        clock = Clock()
        pool = Pool(clock.hand_over, 0.5, clock)
        secret = kept("secret", "e2", tls=object())
        pool.save(kept("plain"), None, 2)
        pool.save(secret, "d", 2)
        pool.close()
        assert clock.handed == [("plain", None)]
        assert secret.session.closed  # type: ignore[attr-defined]
        assert len(pool) == 0

    in_loop(test)


def test_the_timer_ends_sessions_without_being_asked() -> None:
    async def run() -> None:
        pool = Pool()
        closed = asyncio.Event()
        old = kept("a")
        old.session.on_close = closed.set  # type: ignore[attr-defined]
        pool.save(old, "d", 0.01)
        await closed.wait()
        assert len(pool) == 0

    asyncio.run(run())
