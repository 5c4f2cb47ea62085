"""Buffers, time limits, broken connections and TLS of one socket; time is virtual."""

import asyncio
import contextlib
import selectors
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from memory_tls import MemoryTls, client_tls, server_tls

from postfix_smtp.delivery.stream import RECEIVE_BOUND, Stream, TlsFailure
from postfix_smtp.smtp.actions import ConnectionLost, TimedOut


class _ImpatientSelector(selectors.DefaultSelector):
    """Lets virtual time pass instead of waiting."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events:
            assert timeout is not None, "everybody waits for ever"
            self.now += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop on which waiting takes no time."""

    def __init__(self) -> None:
        self._impatient = _ImpatientSelector()
        super().__init__(self._impatient)

    def time(self) -> float:
        return self._impatient.now


Scenario = Callable[[Stream, socket.socket], Awaitable[Any]]


def run(scenario: Scenario) -> Any:
    """Run a scenario with a stream and the other end of its socket."""

    async def inner() -> Any:
        near, far = socket.socketpair()
        far.setblocking(False)
        stream = Stream(near)
        try:
            return await scenario(stream, far)
        finally:
            stream.close()
            far.close()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(inner())


def received(far: socket.socket) -> bytes:
    try:
        return far.recv(1 << 20)
    except BlockingIOError:
        return b""


def test_output_waits_until_input_is_needed() -> None:
    async def scenario(stream: Stream, far: socket.socket) -> None:
        await stream.write(b"one\r\n")
        await stream.write(b"two\r\n")
        assert received(far) == b""
        far.send(b"250 ok\r\n")
        assert await stream.read() == b"250 ok\r\n"
        assert received(far) == b"one\r\ntwo\r\n"

    run(scenario)


def test_full_buffers_leave_at_once_and_the_rest_waits() -> None:
    async def scenario(stream: Stream, far: socket.socket) -> None:
        await stream.write(b"a" * 4000)
        await stream.write(b"b" * 5000)
        assert received(far) == b"a" * 4000 + b"b" * 4192
        await stream.flush()
        assert received(far) == b"b" * 808

    run(scenario)


def test_tcp_buffer_is_four_segments() -> None:
    async def scenario() -> int:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as near:
            stream = Stream(near)
            try:
                assert stream.buffer_size == 4 * near.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
                return stream.buffer_size
            finally:
                stream.close()

    assert asyncio.run(scenario()) > 4096


def test_early_reply_survives_a_write_error() -> None:
    async def scenario(stream: Stream, far: socket.socket) -> None:
        far.send(b"550 go away\r\n")
        far.close()
        await stream.write(b"x" * 5000)
        assert stream.write_failed
        await stream.write(b"y" * 5000)
        assert await stream.read() == b"550 go away\r\n"
        with pytest.raises(ConnectionLost):
            await stream.read()
        assert stream.is_broken

    run(scenario)


def test_each_read_has_the_whole_limit_without_deadlines() -> None:
    async def scenario(stream: Stream, far: socket.socket) -> float:
        loop = asyncio.get_running_loop()
        stream.set_limit(300)
        for delay in (200, 400, 600):
            loop.call_later(delay, far.send, b"x")
        for _ in range(3):
            assert await stream.read() == b"x"
        started = loop.time()
        with pytest.raises(TimedOut):
            await stream.read()
        return loop.time() - started

    assert run(scenario) == pytest.approx(300, abs=0.1)


def test_deadline_is_a_budget_for_all_reads_of_a_stage() -> None:
    async def scenario(stream: Stream, far: socket.socket) -> float:
        loop = asyncio.get_running_loop()
        stream.set_mode(deadline=True)
        stream.set_limit(300)
        loop.call_later(200, far.send, b"x")
        loop.call_later(400, far.send, b"y")
        started = loop.time()
        assert await stream.read() == b"x"
        with pytest.raises(TimedOut):
            await stream.read()
        return loop.time() - started

    assert run(scenario) == pytest.approx(300, abs=0.1)


def test_rest_of_a_budget_is_rounded_up_to_seconds() -> None:
    async def scenario(stream: Stream, far: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        stream.set_mode(deadline=True)
        stream.set_limit(1)
        for delay in (0.4, 0.8, 1.2, 1.3):
            loop.call_later(delay, far.send, b"x")
        for _ in range(3):
            assert await stream.read() == b"x"
        await asyncio.sleep(1)
        with pytest.raises(TimedOut):
            await stream.read()

    run(scenario)


def test_deadline_starts_again_with_the_next_stage() -> None:
    async def scenario(stream: Stream, far: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        stream.set_mode(deadline=True)
        loop.call_later(200, far.send, b"x")
        loop.call_later(400, far.send, b"y")
        for octet in (b"x", b"y"):
            stream.set_limit(300)
            assert await stream.read() == octet

    run(scenario)


def test_time_between_reads_does_not_count() -> None:
    async def scenario(stream: Stream, far: socket.socket) -> None:
        stream.set_mode(deadline=True)
        stream.set_limit(10)
        await asyncio.sleep(100)
        far.send(b"x")
        assert await stream.read() == b"x"

    run(scenario)


async def _slow_transfer(stream: Stream, far: socket.socket, rate: int) -> None:
    """Write to a peer that takes 1 MB every 60 seconds."""
    loop = asyncio.get_running_loop()
    stream.set_mode(deadline=True)
    stream.set_limit(100, rate)

    def take() -> None:
        with contextlib.suppress(BlockingIOError):
            far.recv(1 << 20)
        loop.call_later(60, take)

    take()
    for _ in range(200):
        await stream.write(b"x" * 4096)


def test_progress_earns_time_back() -> None:
    async def quick_enough(stream: Stream, far: socket.socket) -> None:
        await _slow_transfer(stream, far, 100)

    async def too_slow(stream: Stream, far: socket.socket) -> None:
        with pytest.raises(TimedOut):
            await _slow_transfer(stream, far, 1_000_000)

    run(quick_enough)
    run(too_slow)


def test_peer_that_does_not_read_times_out() -> None:
    async def scenario(stream: Stream, far: socket.socket) -> None:
        stream.set_limit(180)
        with pytest.raises(TimedOut):
            await stream.write(b"x" * (8 << 20))
        assert stream.is_broken

    run(scenario)


def test_unasked_input_is_bounded() -> None:
    async def scenario(stream: Stream, far: socket.socket) -> int:
        sent = 0
        for _ in range(1000):
            with contextlib.suppress(BlockingIOError):
                sent += far.send(b"x" * 4096)
            await asyncio.sleep(0)
        taken = len(stream._received)
        assert taken < sent
        while sent:
            sent -= len(await stream.read())
        return taken

    assert run(scenario) < 2 * RECEIVE_BOUND


def test_idle_stream_gives_its_socket_away() -> None:
    async def scenario(stream: Stream, far: socket.socket) -> None:
        sock = stream.detach()
        assert sock is not None
        assert sock.getblocking()
        far.send(b"x")
        await asyncio.sleep(0)
        assert sock.recv(1) == b"x"
        sock.close()

    run(scenario)


@pytest.mark.parametrize("trouble", ["input", "output", "end of file"])
def test_busy_stream_keeps_its_socket(trouble: str) -> None:
    async def scenario(stream: Stream, far: socket.socket) -> None:
        if trouble == "input":
            far.send(b"x")
        elif trouble == "output":
            await stream.write(b"x")
        else:
            far.close()
        for _ in range(3):
            await asyncio.sleep(0)
        assert stream.detach() is None

    run(scenario)


# TLS


async def _serve(far: socket.socket, layer: MemoryTls) -> None:
    """A server that hands back what it gets, in upper case."""
    loop = asyncio.get_running_loop()
    ready = False
    while True:
        try:
            ready = ready or layer.handshake()
            if ready:
                while octets := layer.decrypt():
                    layer.encrypt(octets.upper())
        finally:
            with contextlib.suppress(BrokenPipeError):
                await loop.sock_sendall(far, layer.output())
        if layer.is_closed:
            return
        layer.feed(await loop.sock_recv(far, 65536))


def test_everything_goes_through_tls_after_the_handshake() -> None:
    async def scenario(stream: Stream, far: socket.socket) -> None:
        server = asyncio.create_task(_serve(far, MemoryTls(server_tls(), server=True)))
        await stream.start_tls(MemoryTls(client_tls()))
        assert stream.is_tls
        await stream.write(b"x" * 10_000)
        got = b""
        while len(got) < 10_000:
            got += await stream.read()
        assert got == b"X" * 10_000
        assert stream.detach() is None
        stream.close()
        await server

    run(scenario)


def test_end_of_the_tls_session_is_a_lost_connection() -> None:
    async def scenario(stream: Stream, far: socket.socket) -> None:
        layer = MemoryTls(server_tls(), server=True)
        server = asyncio.create_task(_serve(far, layer))
        await stream.start_tls(MemoryTls(client_tls()))
        await stream.write(b"x")
        assert await stream.read() == b"X"
        layer.shutdown()
        await asyncio.get_running_loop().sock_sendall(far, layer.output())
        with pytest.raises(ConnectionLost):
            await stream.read()
        server.cancel()

    run(scenario)


@pytest.mark.parametrize("answer", [b"220 this is no TLS, whatever you may think of it\r\n", b""])
def test_handshake_with_something_else_fails(answer: bytes) -> None:
    async def scenario(stream: Stream, far: socket.socket) -> None:
        if answer:
            far.send(answer)
        else:
            far.shutdown(socket.SHUT_WR)
        with pytest.raises((TlsFailure, ConnectionLost)):
            await stream.start_tls(MemoryTls(client_tls()))
        assert stream.is_broken

    run(scenario)


def test_handshake_is_limited_in_time() -> None:
    async def scenario(stream: Stream, far: socket.socket) -> None:
        stream.set_limit(300)
        with pytest.raises(TimedOut):
            await stream.start_tls(MemoryTls(client_tls()))

    run(scenario)


async def _in_tls(stream: Stream, far: socket.socket) -> tuple[MemoryTls, "asyncio.Task[None]"]:
    """Start TLS with a server that answers."""
    layer = MemoryTls(server_tls(), server=True)
    server = asyncio.create_task(_serve(far, layer))
    await stream.start_tls(MemoryTls(client_tls()))
    await stream.write(b"x")
    assert await stream.read() == b"X"
    return layer, server


def test_bad_record_is_a_lost_connection() -> None:
    async def scenario(stream: Stream, far: socket.socket) -> None:
        _, server = await _in_tls(stream, far)
        far.send(b"\x17\x03\x03\x00\x20" + b"!" * 32)
        with pytest.raises(ConnectionLost):
            await stream.read()
        assert stream.is_broken
        server.cancel()

    run(scenario)


def test_end_of_file_inside_tls_is_a_lost_connection() -> None:
    async def scenario(stream: Stream, far: socket.socket) -> None:
        _, server = await _in_tls(stream, far)
        server.cancel()
        far.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionLost):
            await stream.read()

    run(scenario)


def test_closing_inside_tls_says_so() -> None:
    async def scenario(stream: Stream, far: socket.socket) -> None:
        layer, server = await _in_tls(stream, far)
        stream.close()
        await server
        assert layer.is_closed

    run(scenario)


def test_layer_that_cannot_encrypt_is_a_write_error() -> None:
    class Broken(MemoryTls):
        def encrypt(self, octets: bytes | bytearray | memoryview) -> None:
            raise TlsFailure

    async def scenario(stream: Stream, far: socket.socket) -> None:
        server = asyncio.create_task(_serve(far, MemoryTls(server_tls(), server=True)))
        await stream.start_tls(Broken(client_tls()))
        await stream.write(b"x")
        await stream.flush()
        assert stream.write_failed
        server.cancel()

    run(scenario)


def test_closing_wakes_whoever_waits() -> None:
    async def scenario(stream: Stream, far: socket.socket) -> None:
        reader = asyncio.create_task(stream.read())
        await asyncio.sleep(0)
        stream.close()
        with pytest.raises(ConnectionLost):
            await reader

    run(scenario)


def test_peer_that_vanishes_while_it_does_not_read_is_a_write_error() -> None:
    async def scenario(stream: Stream, far: socket.socket) -> None:
        asyncio.get_running_loop().call_later(10, far.close)
        await stream.write(b"x" * (8 << 20))
        assert stream.write_failed

    run(scenario)
