"""Law: where TLS is required nothing of a message goes out in clear, whatever the server does."""

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tls_support import PEER, TlsServer, engine, policy, server_context, shake_hands
from tls_vectors import PKI

from postfix_smtp.delivery.session import Session, SessionContext
from postfix_smtp.delivery.stream import Stream
from postfix_smtp.ipc.request import Recipient
from postfix_smtp.smtp.context import TlsNeed
from postfix_smtp.smtp.dialect import Dialect
from postfix_smtp.smtp.envelope import Envelope
from postfix_smtp.smtp.failure import Failure
from postfix_smtp.smtp.reply import Reply
from postfix_smtp.smtp.settings import SmtpSettings, TimeLimits
from postfix_smtp.tls.engine import Engine
from postfix_smtp.tls.levels import Level
from postfix_smtp.tls.policy import Server
from postfix_smtp.tls.starter import Starter

SECRET = b"the-secret-of-the-message"
SETTINGS = SmtpSettings(
    "smtp",
    Dialect.of((3, 7, 11)),
    "client.example",
    "client.example",
    TimeLimits(helo=2, starttls=2, mail=2, rcpt=2),
)
ENVELOPE = Envelope(
    sender="secret-sender@a.example", recipients=(Recipient("", "secret-recipient@b.example", -1),), size=60
)
HELLO = b"250-mx.example.com\r\n250-PIPELINING\r\n250 STARTTLS\r\n"
Read = Callable[[], Awaitable[bytes]]
Peer_ = Callable[[Read, Callable[[bytes], None]], Awaitable[None]]


@functools.cache
def client() -> Engine:
    return engine(ca_file=str(PKI / "ca-bundle.pem"))


@functools.cache
def good_context() -> ssl.SSLContext:
    return server_context("mx-ec.chain.pem", "leaf-ec.key.pem")


class Body:
    async def chunks(self, converting: bool) -> AsyncIterator[bytes]:
        yield b"Subject: test\r\n\r\n" + SECRET + b"\r\n"


class Results:
    """The listener of a session."""

    def __init__(self) -> None:
        self.delivered = False

    def mail_started(self) -> None:
        pass

    def data_done(self) -> None:
        pass

    async def recipient_delivered(self, index: int, reply: Reply) -> None:
        self.delivered = True

    async def recipient_failed(self, index: int, failure: Failure) -> None:
        pass

    async def all_failed(self, failure: Failure) -> None:
        pass


async def deliver(serve: Peer_, level: Level) -> tuple[bytes, Results]:
    """Deliver to a scripted server; what it got, and what the client thinks."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    got = bytearray()

    async def read() -> bytes:
        octets = await loop.sock_recv(theirs, 65536)
        if not octets:
            raise ConnectionError
        got.extend(octets)
        return octets

    def write(octets: bytes) -> None:
        theirs.send(octets)

    async def run() -> None:
        with contextlib.suppress(OSError):
            await serve(read, write)
        with contextlib.suppress(OSError):
            theirs.shutdown(socket.SHUT_WR)
            while True:
                await read()

    server = asyncio.create_task(run())
    wanted = policy(level, match=("hostname",) if level.must_match else ())
    starter = Starter(
        client(),
        client().test_callbacks,  # type: ignore[attr-defined]
        None,
        wanted,
        Server("[mx.example.com]", "mx.example.com", PEER.name, PEER.port),
        PEER,
    )
    need = TlsNeed.MATCH if level.must_match else TlsNeed.ENCRYPT
    session = Session(Stream(ours), PEER, SETTINGS)
    results = Results()
    context = SessionContext("QID", nexthop="mx.example.com", tls=need, starter=starter)
    failure = await session.handshake(context)
    if failure is None:
        await session.transact(ENVELOPE, Body(), results)
    session.close()
    await server
    theirs.close()
    return bytes(got), results


def assert_nothing_in_clear(got: bytes) -> None:
    assert b"MAIL" not in got
    assert b"secret" not in got
    assert SECRET not in got


async def plain_start(read: Read, write: Callable[[bytes], None], hello: bytes = HELLO) -> None:
    write(b"220 mx.example.com ESMTP\r\n")
    await read()
    write(hello)


async def over_tls(read: Read, write: Callable[[bytes], None], context: ssl.SSLContext) -> None:
    """A good server, from the ClientHello on."""
    server = TlsServer(context)
    buffered = b""
    established = False
    while True:
        if not established:
            write(server.exchange(await read()))
            established = server.tls.version() is not None and _is_done(server)
            if not established:
                continue
        else:
            server.incoming.write(await read())
        while True:
            try:
                octets = server.tls.read(65536)
            except ssl.SSLWantReadError:
                break
            if not octets:
                return
            buffered += octets
            while b"\r\n" in buffered:
                line, _, buffered = buffered.partition(b"\r\n")
                if line.startswith(b"EHLO"):
                    server.tls.write(HELLO)
                elif line == b"DATA":
                    server.tls.write(b"354 go\r\n")
                elif line == b"." or line.split(b" ")[0] in (b"MAIL", b"RCPT", b"QUIT", b"RSET"):
                    server.tls.write(b"250 2.0.0 ok\r\n")
        reply = server.outgoing.read()
        if reply:
            write(reply)


def _is_done(server: TlsServer) -> bool:
    try:
        server.tls.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def test_a_good_server_gets_the_message() -> None:
    async def serve(read: Read, write: Callable[[bytes], None]) -> None:
        await plain_start(read, write)
        await read()
        write(b"220 go\r\n")
        await over_tls(read, write, good_context())

    for level in (Level.ENCRYPT, Level.VERIFY):
        got, results = asyncio.run(deliver(serve, level))
        assert results.delivered
        assert_nothing_in_clear(got)


CHUNKS = st.sampled_from(
    [
        b"220 go ahead\r\n",
        b"220 go ahead\r\n250-mx.example.com\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n",
        b"220 go ahead\r\n\x16\x03\x03\x00\x05hello",
        b"220 go ahead\r\n\x15\x03\x03\x00\x02\x02\x28",
        b"250 ok\r\n",
        b"250-mx.example.com\r\n250 STARTTLS\r\n",
        b"250 mx.example.com\r\n",
        b"354 go\r\n",
        b"454 4.7.0 not now\r\n",
        b"502 5.5.1 what\r\n",
        b"\x16\x03\x03\x40\x00",
        b"\x15\x03\x01\x00\x02\x01\x00",
        b"\x17\x03\x03\x00\x10" + bytes(16),
        b"\0",
        b"",
    ]
)


@given(
    hello=st.sampled_from([HELLO, b"250 mx.example.com\r\n", b"502 what\r\n", b"250-x\r\n250 STARTTLS\r\n250 ok\r\n"]),
    chunks=st.lists(CHUNKS, max_size=5),
    level=st.sampled_from([Level.ENCRYPT, Level.SECURE]),
)
@settings(max_examples=150, deadline=None)
def test_nothing_goes_out_in_clear(hello: bytes, chunks: list[bytes], level: Level) -> None:
    async def serve(read: Read, write: Callable[[bytes], None]) -> None:
        await plain_start(read, write, hello)
        for chunk in chunks:
            # A client that waits for the rest of a record says nothing.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(read(), 0.01)
            if not chunk:
                return
            write(chunk)

    got, results = asyncio.run(deliver(serve, level))
    assert_nothing_in_clear(got)
    assert not results.delivered


@pytest.mark.parametrize("cut", [*range(0, 1200, 41), 1 << 20])
def test_a_handshake_that_breaks_leaves_nothing_in_clear(cut: int) -> None:
    async def serve(read: Read, write: Callable[[bytes], None]) -> None:
        left = cut

        def limited(octets: bytes) -> None:
            nonlocal left
            write(octets[:left])
            if len(octets) > left:
                raise ConnectionError
            left -= len(octets)

        await plain_start(read, write)
        await read()
        write(b"220 go\r\n")
        await over_tls(read, limited, good_context())

    got, results = asyncio.run(deliver(serve, Level.SECURE))
    assert_nothing_in_clear(got)
    assert results.delivered == (cut == 1 << 20)


def test_a_handshake_that_breaks_at_any_octet_has_no_result() -> None:
    def flight(octets: bytes) -> bytes:
        return TlsServer(good_context()).exchange(octets)

    async def attempt(cut: int) -> tuple[Any, int]:
        size = 0

        def answer(octets: bytes) -> bytes:
            nonlocal size
            reply = flight(octets)
            size = len(reply)
            return reply[:cut]

        info, _ = await shake_hands(client(), policy(Level.ENCRYPT), answer)
        return info, size

    _, size = asyncio.run(attempt(0))
    assert size > 500
    for cut in range(0, size - 100, 3):
        info, _ = asyncio.run(attempt(cut))
        assert info is None


@pytest.mark.parametrize("position", range(5, 1100, 61))
def test_a_changed_octet_never_makes_a_match(position: int) -> None:
    def answer(octets: bytes) -> bytes:
        nonlocal server
        reply = bytearray(server.exchange(octets))
        if len(reply) > position:
            reply[position] ^= 0x20
        return bytes(reply)

    server = TlsServer(good_context())
    info, _ = asyncio.run(shake_hands(client(), policy(Level.SECURE, match=("hostname",)), answer))
    assert info is None or not info.is_matched


def test_a_server_for_another_name_gets_nothing_but_quit() -> None:
    context = server_context("wrong-name.cert.pem", "leaf-ec.key.pem")

    async def serve(read: Read, write: Callable[[bytes], None]) -> None:
        await plain_start(read, write)
        await read()
        write(b"220 go\r\n")
        await over_tls(read, write, context)

    got, results = asyncio.run(deliver(serve, Level.SECURE))
    assert_nothing_in_clear(got)
    assert not results.delivered
