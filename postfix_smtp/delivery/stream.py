"""A connected socket as the protocol engine wants it: buffered output, time limits, TLS on demand.

Not an asyncio transport, because the size of writes is part of what a server sees (smtp-protocol chapter 1), because
the descriptor may have to be handed to the connection cache, and because a reader that is registered once per
connection is cheaper than one per read.

What the server sends is taken from the socket as it comes, up to a bound, also while content is being sent: so an
early reply survives a reset that follows it.
"""

import asyncio
import contextlib
import math
import socket
from typing import Protocol

from postfix_smtp.smtp.actions import ConnectionLost, TimedOut

DEFAULT_BUFFER = 4096
LARGE_SEGMENT = 1024
SEGMENTS_PER_BUFFER = 4
RECEIVE_SIZE = 16384
#: Octets received but not asked for; more is left to the socket.
RECEIVE_BOUND = 65536


class TlsFailure(Exception):
    """The TLS layer cannot go on: handshake failure, fatal alert, bad record. Logged by the layer."""


class TlsLayer(Protocol):
    """Client side of a TLS session without I/O."""

    @property
    def closing_seconds(self) -> float:
        """How long to wait for the peer's closing alert, 0: not at all (``tls_fast_shutdown_enable``)."""

    def handshake(self) -> bool:
        """Go as far as possible; True when the handshake is complete. Raises TlsFailure."""

    def feed(self, octets: bytes) -> None:
        """Take what came from the network; empty: end of file."""

    def output(self) -> bytes:
        """What must go to the network now, possibly empty."""

    def encrypt(self, octets: bytes | bytearray | memoryview) -> None:
        """Turn application data into output. Raises TlsFailure."""

    def decrypt(self) -> bytes:
        """Application data that has come so far, possibly empty. Raises TlsFailure."""

    @property
    def is_closed(self) -> bool:
        """The peer has ended the session."""

    def shutdown(self) -> None:
        """Make the closing alert; :meth:`output` has it."""


class Stream:
    """One connection.

    Output is kept until the buffer is full or :meth:`flush` is called. After a write error the sending side is shut
    down and output is dropped silently; what the server sent before can still be read.

    Attributes:
        write_failed: output no longer arrives.
        is_broken: nothing useful can be sent and answered any more.
        error: errno of the read that broke the connection, 0 if it ended in order.
        buffer_size: octets of a full write.
    """

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connected socket. Needs a running loop."""
        sock.setblocking(False)
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._output = bytearray()
        self._layer: TlsLayer | None = None
        self._end_of_file = False
        self._timed_out = False
        self.error = 0
        self.write_failed = False
        self._closed = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._deadline_mode = False
        self._limit = 300.0
        self._budget = 300.0
        self._refund_rate = 0
        self.buffer_size = DEFAULT_BUFFER
        self.adjust_buffer()
        self._reading = True
        self._loop.add_reader(sock.fileno(), self._on_readable)

    # Properties of the connection

    @property
    def is_broken(self) -> bool:
        """End of file, error or time-out: only close() is left."""
        return self._end_of_file or self._timed_out or self.write_failed or self._closed

    @property
    def is_tls(self) -> bool:
        """A TLS layer is in use."""
        return self._layer is not None

    @property
    def own_address(self) -> str:
        """Numeric address of this end; empty if it has none."""
        if self._closed or self._sock.family not in (socket.AF_INET, socket.AF_INET6):
            return ""
        try:
            return str(self._sock.getsockname()[0])
        except OSError:
            return ""

    @property
    def tls_connection(self) -> object | None:
        """The TLS library's object, for what must be asked of the library itself; None without TLS."""
        return getattr(self._layer, "connection", None)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._sock.fileno()

    def adjust_buffer(self) -> None:
        """Choose the size of writes by the connection's segment size, which may have changed."""
        if self._sock.family in (socket.AF_INET, socket.AF_INET6):
            try:
                segment = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
            except OSError:
                return
            if segment > LARGE_SEGMENT:
                self.buffer_size = segment * SEGMENTS_PER_BUFFER

    def ensure_send_buffer(self, size: int) -> int:
        """Raise the socket's send buffer to `size` octets if it is smaller; its size."""
        current = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        if current < size:
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
            current = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        return current

    def set_mode(self, *, deadline: bool) -> None:
        """Choose what a time limit is.

        Args:
            deadline: a budget of waiting time until the limit is set again; else each wait has the whole limit.
        """
        self._deadline_mode = deadline

    def set_limit(self, seconds: float, refund_rate: int = 0) -> None:
        """Begin a stage.

        Args:
            seconds: its time limit.
            refund_rate: octets written that give one second of the budget back, 0: none (deadline mode).
        """
        self._limit = self._budget = seconds
        self._refund_rate = refund_rate

    # Writing

    async def write(self, octets: bytes) -> None:
        """Add to the output; full buffers are sent.

        Raises:
            TimedOut: the peer does not take them.
        """
        if self.write_failed or self._closed:
            return
        output, size = self._output, self.buffer_size
        if len(output) + len(octets) < size:
            output += octets
            return
        view = memoryview(octets)
        start = 0
        if output:
            start = size - len(output)
            output += view[:start]
            self._output = bytearray()
            await self._send(output)
        while len(octets) - start >= size:
            await self._send(view[start : start + size])
            start += size
        self._output += view[start:]

    async def flush(self) -> None:
        """Send the output. Raises TimedOut."""
        if self._output:
            output, self._output = self._output, bytearray()
            await self._send(output)

    def discard_output(self) -> None:
        """Drop what was not sent yet."""
        self._output.clear()

    async def _send(self, octets: bytes | bytearray | memoryview) -> None:
        layer = self._layer
        if layer is None:
            await self._send_raw(octets)
            return
        try:
            layer.encrypt(octets)
        except TlsFailure:
            self._fail_writing()
            return
        await self._send_raw(layer.output())

    async def _send_raw(self, octets: bytes | bytearray | memoryview) -> None:
        if self.write_failed or self._closed:
            return
        self._check_budget()
        size = len(octets)
        try:
            done = self._sock.send(octets)
        except BlockingIOError:
            done = 0
        except OSError:
            self._fail_writing()
            return
        if done < size:
            await self._send_rest(memoryview(octets)[done:])
        if self._refund_rate and self._deadline_mode:
            self._budget = min(self._limit, self._budget + size / self._refund_rate)

    async def _send_rest(self, rest: memoryview) -> None:
        descriptor = self._sock.fileno()
        self._loop.add_writer(descriptor, self._on_writable)
        try:
            while rest:
                self._writer = self._loop.create_future()
                try:
                    await self._wait(self._writer)
                finally:
                    self._writer = None
                try:
                    rest = rest[self._sock.send(rest) :]
                except BlockingIOError:
                    continue
                except OSError:
                    self._fail_writing()
                    return
        finally:
            if not self._closed:
                self._loop.remove_writer(descriptor)

    def _on_writable(self) -> None:
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    def _fail_writing(self) -> None:
        self.write_failed = True
        self._output.clear()
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    # Reading

    async def read(self) -> bytes:
        """Send the output, then take what the server sent, at least one octet and at most a buffer.

        Raises:
            ConnectionLost: end of file or error.
            TimedOut: the time limit passed.
        """
        if self._output:
            await self.flush()
        layer = self._layer
        if layer is None:
            return await self._read_raw()
        while True:
            try:
                octets = layer.decrypt()
            except TlsFailure as failure:
                self._end_of_file = True
                raise ConnectionLost from failure
            reaction = layer.output()
            if reaction:
                await self._send_raw(reaction)
            if octets:
                return octets
            if layer.is_closed:
                self._end_of_file = True
                raise ConnectionLost
            try:
                layer.feed(await self._read_raw())
            except ConnectionLost:
                layer.feed(b"")
                raise

    async def _read_raw(self) -> bytes:
        self._check_budget()
        received = self._received
        if not received:
            if self._end_of_file or self._closed:
                raise ConnectionLost
            self._resume_reading()
            self._reader = self._loop.create_future()
            try:
                await self._wait(self._reader)
            finally:
                self._reader = None
            if not received:
                raise ConnectionLost
        octets = bytes(received[: self.buffer_size])
        del received[: self.buffer_size]
        return octets

    def _on_readable(self) -> None:
        try:
            octets = self._sock.recv(RECEIVE_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            octets = b""
            self.error = error.errno or 0
        if octets:
            self._received += octets
            if len(self._received) >= RECEIVE_BOUND:
                self._pause_reading()
        else:
            self._end_of_file = True
            self._pause_reading()
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _pause_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._sock.fileno())

    def _resume_reading(self) -> None:
        if not self._reading and not self._end_of_file:
            self._reading = True
            self._loop.add_reader(self._sock.fileno(), self._on_readable)

    # Waiting

    def _check_budget(self) -> None:
        """No time is left for the next read or write, even if it would not have to wait."""
        if self._deadline_mode and self._budget <= 0:
            self._timed_out = True
            raise TimedOut

    async def _wait(self, event: asyncio.Future[None]) -> None:
        loop = self._loop
        now = loop.time()
        # What is left of a budget is rounded up to whole seconds, for each wait, as Postfix does.
        due = self._due = now + (math.ceil(self._budget) if self._deadline_mode else self._limit)
        # One timer serves all waits: it looks at the time due when it fires, and usually fires never.
        if self._timer is None:
            self._timer = loop.call_at(due, self._on_timer)
        elif self._timer.when() > due:
            self._timer.cancel()
            self._timer = loop.call_at(due, self._on_timer)
        try:
            await event
        finally:
            if self._deadline_mode:
                self._budget = max(0.0, self._budget - (loop.time() - now))

    def _on_timer(self) -> None:
        self._timer = None
        event = self._reader or self._writer
        if event is None or event.done():
            return
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._on_timer)
            return
        self._timed_out = True
        event.set_exception(TimedOut())

    # TLS

    async def start_tls(self, layer: TlsLayer) -> None:
        """Do a handshake; from then on everything goes through `layer`.

        Raises:
            TlsFailure, ConnectionLost, TimedOut: the handshake failed; the stream is of no more use.
        """
        await self.flush()
        at_end = False
        try:
            while not await self._handshake_step(layer):
                if at_end:
                    raise ConnectionLost
                try:
                    octets = await self._read_raw()
                except ConnectionLost:
                    at_end, octets = True, b""
                layer.feed(octets)
        except (TlsFailure, ConnectionLost, TimedOut):
            self.write_failed = True
            raise
        self._layer = layer

    async def _handshake_step(self, layer: TlsLayer) -> bool:
        try:
            return layer.handshake()
        finally:
            # Also when it failed: there may be an alert to send.
            output = layer.output()
            if output:
                await self._send_raw(output)

    # The end

    def detach(self) -> socket.socket | None:
        """Give the socket away, blocking again, without closing it.

        Returns:
            None, and nothing changes, if the connection is not idle and in plaintext: there is unread input, unsent
            output, an error, or TLS.
        """
        if self.is_broken or self._layer is not None or self._received or self._output:
            return None
        self._release()
        self._sock.setblocking(True)
        return self._sock

    def close(self) -> None:
        """End the connection without waiting. A TLS session is ended properly if that can be done at once.

        With ``tls_fast_shutdown_enable=no`` the socket stays open until the peer has ended the session as well.
        """
        if self._closed:
            return
        layer = self._layer
        patience = 0.0
        if layer is not None and not self.is_broken:
            layer.shutdown()
            with contextlib.suppress(OSError):
                self._sock.send(layer.output())
                patience = layer.closing_seconds
        self._release()
        if layer is not None and patience and not layer.is_closed:
            from postfix_smtp.tls.closing import Farewell

            Farewell(self._loop, self._sock, layer, bytes(self._received), patience)
            return
        self._sock.close()

    def _release(self) -> None:
        self._closed = True
        descriptor = self._sock.fileno()
        if self._reading:
            self._reading = False
            self._loop.remove_reader(descriptor)
        self._loop.remove_writer(descriptor)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for event in (self._reader, self._writer):
            if event is not None and not event.done():
                event.set_exception(ConnectionLost())
