"""One connection to or from another Postfix service, on the event loop.

Lighter than an asyncio stream: one is opened, used for a handful of octets, and closed for each delivery. Time limits
count for each single wait, not for the conversation (ipc chapter 3.2).
"""

import array
import asyncio
import errno
import os
import socket
from collections.abc import Callable
from typing import Any

from postfix_smtp.ipc.attributes import Decoder, Layout

CHUNK = 65536
_CONNECT_PAUSE = 0.02
_NO_ERROR = "Application error"


def error_text(number: int | None) -> str:
    """What Postfix calls error `number`; None or 0: none was recorded."""
    return os.strerror(number) if number else _NO_ERROR


class Channel:
    """A connected stream socket that carries attribute lists.

    Attributes:
        name: what warnings call it.
        error: errno of the last failure, 0 if none (end of file is none).
        timeout: limit of each wait in seconds, None: none.
    """

    __slots__ = ("_decoder", "error", "name", "socket", "timeout")

    def __init__(self, connected: socket.socket, name: str, timeout: float | None) -> None:
        connected.setblocking(False)
        self.socket = connected
        self.name = name
        self.timeout = timeout
        self.error = 0
        self._decoder = Decoder(name)

    @classmethod
    async def connect(cls, path: str, name: str, timeout: float | None) -> "Channel":
        """Connect to the socket at `path` (relative to the queue directory).

        Raises:
            OSError: it cannot be.
        """
        endpoint = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            endpoint.setblocking(False)
            while True:
                try:
                    endpoint.connect(path)
                    break
                except BlockingIOError:
                    # The server's queue is full. A stream socket of this family is not "connecting" then: try again.
                    await asyncio.sleep(_CONNECT_PAUSE)
        except BaseException:
            endpoint.close()
            raise
        return cls(endpoint, name, timeout)

    async def _wait(self, watch: Callable[..., Any], unwatch: Callable[[int], Any], timeout: float | None) -> bool:
        """Wait until the socket is ready; False when `timeout` passed first."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[bool] = loop.create_future()
        number = self.socket.fileno()
        watch(number, _settle, ready, True)
        timer = loop.call_later(timeout, _settle, ready, False) if timeout is not None else None
        try:
            return await ready
        finally:
            unwatch(number)
            if timer is not None:
                timer.cancel()

    async def _readable(self) -> bool:
        loop = asyncio.get_running_loop()
        return await self._wait(loop.add_reader, loop.remove_reader, self.timeout)

    async def _writable(self) -> bool:
        loop = asyncio.get_running_loop()
        return await self._wait(loop.add_writer, loop.remove_writer, self.timeout)

    async def wait_input(self) -> None:
        """Wait without time limit until something can be read, or the peer closed."""
        if not self._decoder.pending and not self.readable_now():
            loop = asyncio.get_running_loop()
            await self._wait(loop.add_reader, loop.remove_reader, None)

    async def send(self, octets: bytes) -> None:
        """Write a whole list, with one system call if the peer reads it.

        Raises:
            OSError: it was not written; ETIMEDOUT when the time limit passed.
        """
        rest = memoryview(octets)
        try:
            while rest:
                try:
                    rest = rest[self.socket.send(rest) :]
                except (BlockingIOError, InterruptedError):
                    if not await self._writable():
                        raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
        except OSError as failure:
            self.error = failure.errno or 0
            raise

    def send_at_once(self, octets: bytes) -> None:
        """Write the first, short list of a connection, which always has room for it.

        Raises:
            OSError: the peer is gone.
        """
        try:
            self.socket.send(octets)
        except OSError as failure:
            self.error = failure.errno or 0
            raise

    async def receive(self, layout: Layout) -> list[Any]:
        """Read one list.

        Raises:
            ListError: it is not the wanted one, or the peer closed, or the time limit passed (see `error`).
        """
        decoder = self._decoder
        values = decoder.read(layout) if decoder.pending else None
        while values is None:
            try:
                octets = self.socket.recv(CHUNK)
            except (BlockingIOError, InterruptedError):
                if not await self._readable():
                    self.error = errno.ETIMEDOUT
                    decoder.end(timeout=True)
            except OSError as failure:
                self.error = failure.errno or 0
                decoder.end()
            else:
                if octets:
                    decoder.feed(octets)
                else:
                    decoder.end()
            values = decoder.read(layout)
        return values

    def take_pending(self) -> bytes:
        """What was read beyond the last list."""
        return self._decoder.take_pending()

    async def drain(self) -> None:
        """Wait, within the time limit, until the peer closes or sends anything; what it is does not matter."""
        try:
            self.socket.recv(1)
        except (BlockingIOError, InterruptedError):
            await self._readable()
        except OSError:
            pass

    def readable_now(self) -> bool:
        """Something can be read: on a connection where nothing is due it means that the server closed it."""
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return True
        return True

    async def send_descriptor(self, descriptor: int) -> None:
        """Pass an open descriptor, with one data octet 00 (ipc chapter 8.2).

        Raises:
            OSError: it was not passed.
        """
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
        while True:
            try:
                self.socket.sendmsg([b"\0"], rights)
                return
            except (BlockingIOError, InterruptedError):
                if not await self._writable():
                    raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None

    async def receive_descriptor(self) -> int:
        """Receive a descriptor; it is close-on-exec and the caller's.

        The buffer is one octet long: what follows belongs to the stream.

        Raises:
            OSError: none came.
        """
        while True:
            try:
                octets, descriptors, _, _ = socket.recv_fds(self.socket, 1, 1)
            except (BlockingIOError, InterruptedError):
                if not await self._readable():
                    raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
                continue
            if not descriptors:
                raise OSError(errno.EBADMSG if octets else errno.ECONNRESET, "no descriptor received")
            os.set_inheritable(descriptors[0], False)
            return descriptors[0]

    def close(self) -> None:
        """Close the connection. Harmless when repeated."""
        self.socket.close()


def _settle(ready: asyncio.Future[bool], value: bool) -> None:
    if not ready.done():
        ready.set_result(value)
