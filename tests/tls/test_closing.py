"""The end of a session with ``tls_fast_shutdown_enable=no``."""

import asyncio
import os
import socket
import ssl

import pytest
from tls_support import TlsServer, engine, policy, server_context, shake_hands

from postfix_smtp.delivery.stream import Stream
from postfix_smtp.tls.layer import Layer
from postfix_smtp.tls.levels import Level


async def connected(context: ssl.SSLContext, seconds: float) -> tuple[Stream, ssl.SSLSocket]:
    """A stream with TLS, and the server's side of it."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    made = engine()
    versions, ciphers = made.lists(">=TLSv1", "medium", "", "peer") or pytest.fail("no lists")
    connection = made.connection(made.context(ciphers, versions, "peer", match=False))
    stream = Stream(ours)
    stream.set_limit(10)
    server = asyncio.to_thread(context.wrap_socket, theirs, server_side=True)

    def keep() -> None:
        """As in a delivery, the layer keeps the engine, whose call-backs the library has."""
        assert made

    shaken, _ = await asyncio.gather(server, stream.start_tls(Layer(connection, keep, closing_seconds=seconds)))
    shaken.settimeout(10)
    return stream, shaken


@pytest.fixture
def context() -> ssl.SSLContext:
    return server_context("mx-ec.chain.pem", "leaf-ec.key.pem")


def bare(server: ssl.SSLSocket) -> socket.socket:
    """The same connection without TLS, not blocking."""
    made = socket.socket(fileno=os.dup(server.fileno()))
    made.setblocking(False)
    return made


def test_the_connection_stays_until_the_peer_has_ended_the_session(context: ssl.SSLContext) -> None:
    async def run() -> None:
        stream, server = await connected(context, 100)
        stream.close()
        assert await asyncio.to_thread(server.recv, 10) == b""  # the closing alert
        plain = bare(server)
        with pytest.raises(BlockingIOError):
            plain.recv(10)
        await asyncio.to_thread(server.unwrap)
        assert await asyncio.get_running_loop().sock_recv(plain, 10) == b""
        plain.close()

    asyncio.run(run())


def test_data_before_the_peers_alert_is_no_end(context: ssl.SSLContext) -> None:
    async def run() -> None:
        stream, server = await connected(context, 100)
        stream.close()
        server.send(b"221 2.0.0 Bye\r\n")
        assert await asyncio.to_thread(server.recv, 10) == b""
        plain = bare(server)
        with pytest.raises(BlockingIOError):
            plain.recv(10)
        server.close()
        plain.close()

    asyncio.run(run())


def test_the_patience_has_an_end(context: ssl.SSLContext) -> None:
    async def run() -> None:
        stream, server = await connected(context, 0.05)
        stream.close()
        assert await asyncio.to_thread(server.recv, 10) == b""
        # no alert from this side; the end of file comes all the same
        plain = bare(server)
        assert await asyncio.get_running_loop().sock_recv(plain, 10) == b""
        plain.close()
        server.close()

    asyncio.run(run())


def test_fast_shutdown_does_not_wait(context: ssl.SSLContext) -> None:
    async def run() -> None:
        stream, server = await connected(context, 0)
        stream.close()
        assert stream.fileno() == -1
        server.close()

    asyncio.run(run())


@pytest.mark.parametrize(("fast", "seconds"), [(True, 0), (False, 300)])
def test_the_parameter_decides(fast: bool, seconds: float, context: ssl.SSLContext) -> None:
    client, server = engine(fast_shutdown=fast), TlsServer(context)
    _, stream = asyncio.run(shake_hands(client, policy(Level.ENCRYPT), server.exchange))
    assert stream.layer.closing_seconds == seconds
