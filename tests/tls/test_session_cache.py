"""Sessions in this process and in tlsmgr (TLS chapter 6)."""

import asyncio
import ssl
from typing import Any

import pytest
from tls_support import Cache, Manager, TlsServer, engine, policy, server_context, shake_hands
from tls_vectors import PKI

from postfix_smtp.tls.levels import Level
from postfix_smtp.tls.session_cache import SessionCache


class FakeManager:
    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.sessions: dict[str, bytes] = {}

    async def lookup(self, kind: str, name: str) -> bytes | None:
        self.calls.append(("lookup", kind, name))
        return self.sessions.get(name)

    async def update(self, kind: str, name: str, session: bytes) -> bool:
        self.calls.append(("update", kind, name))
        self.sessions[name] = session
        return True

    async def delete(self, kind: str, name: str) -> bool:
        self.calls.append(("delete", kind, name))
        return self.sessions.pop(name, None) is not None


def test_own_sessions_are_found_without_asking() -> None:
    now = 0.0
    manager: Any = FakeManager()

    async def run() -> None:
        nonlocal now
        cache = SessionCache(manager, "smtp", 100, lambda: now)
        cache.save("a", b"1")
        await asyncio.sleep(0)
        assert manager.calls == [("update", "smtp", "a")]
        assert await cache.find("a") == b"1"
        assert len(manager.calls) == 1
        now = 100.0
        manager.sessions.clear()
        assert await cache.find("a") is None
        assert manager.calls[-1] == ("lookup", "smtp", "a")

    asyncio.run(run())


def test_a_removed_session_is_gone_everywhere() -> None:
    manager: Any = FakeManager()

    async def run() -> None:
        cache = SessionCache(manager, "lmtp", 100)
        cache.save("a", b"1")
        await asyncio.sleep(0)
        await cache.remove("a")
        assert await cache.find("a") is None
        assert not manager.sessions

    asyncio.run(run())


def _talk(stream: Any, server: TlsServer) -> None:
    """Read what the server sends first: tickets come with it."""
    server.tls.write(b"220 hello\r\n")
    stream.layer.feed(server.outgoing.read())
    assert stream.layer.decrypt()


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_with_their_result(newest: ssl.TLSVersion, logged: list[str]) -> None:
    context = server_context("mx-ec.chain.pem", "leaf-ec.key.pem")
    context.maximum_version = newest
    client = engine(ca_file=str(PKI / "ca-bundle.pem"), loglevel="1,cache", manager=Manager(cachable=True))
    cache = Cache()
    wanted = policy(Level.SECURE, match=("hostname",))
    results = []
    for _ in range(2):
        server = TlsServer(context)
        info, stream = asyncio.run(shake_hands(client, wanted, server.exchange, cache=cache))
        assert info is not None
        _talk(stream, server)
        stream.layer.shutdown()
        results.append((info.resumed, info.status, info.is_matched))
    assert results == [(False, "Verified", True), (True, "Verified", True)]
    assert "mx.example.com[127.0.0.1]:25: Reusing old session" in logged


def test_a_bad_result_is_resumed_too() -> None:
    context = server_context("wrong-name.cert.pem", "leaf-ec.key.pem")
    client = engine(ca_file=str(PKI / "ca-bundle.pem"), manager=Manager(cachable=True))
    cache = Cache()
    wanted = policy(Level.SECURE, match=("hostname",))
    for resumed in (False, True):
        server = TlsServer(context)
        info, stream = asyncio.run(shake_hands(client, wanted, server.exchange, cache=cache))
        assert info is not None
        _talk(stream, server)
        assert (info.resumed, info.status, info.is_matched) == (resumed, "Untrusted", False)


def test_a_failed_handshake_removes_the_session() -> None:
    cache = Cache()
    client = engine(manager=Manager(cachable=True))
    context = server_context("mx-ec.chain.pem", "leaf-ec.key.pem")
    server = TlsServer(context)
    _, stream = asyncio.run(shake_hands(client, policy(Level.MAY), server.exchange, cache=cache))
    _talk(stream, server)
    assert len(cache.sessions) == 1
    asyncio.run(shake_hands(client, policy(Level.MAY), lambda _: b"garbage that is no TLS", cache=cache))
    assert not cache.sessions


def test_garbage_from_the_cache_is_no_obstacle(logged: list[str]) -> None:
    class Garbage(Cache):
        async def find(self, name: str) -> bytes | None:
            return b"0\x82garbage"

    server = TlsServer(server_context("mx-ec.chain.pem", "leaf-ec.key.pem"))
    client = engine(manager=Manager(cachable=True))
    info, _ = asyncio.run(shake_hands(client, policy(Level.MAY), server.exchange, cache=Garbage()))
    assert info is not None
    assert not info.resumed
    assert any("TLS library problem" in line for line in logged)
