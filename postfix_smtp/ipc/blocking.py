"""The blocking counterpart of :mod:`postfix_smtp.ipc.channel`: for start-up, where no loop runs, and for threads."""

import errno
import select
import socket
from typing import Any

from postfix_smtp.ipc.attributes import Decoder, Layout, ListError
from postfix_smtp.ipc.channel import CHUNK


class BlockingChannel:
    """A connected stream socket that carries attribute lists.

    Attributes:
        error: errno of the last failure, 0 if none.
    """

    def __init__(self, path: str, name: str, timeout: float | None) -> None:
        """Connect to the socket at `path`, without time limit.

        Raises:
            OSError: it cannot be.
        """
        self.error = 0
        self.name = name
        self._decoder = Decoder(name)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(path)
            self._socket.settimeout(timeout)
        except BaseException:
            self._socket.close()
            raise

    def handshake(self, protocol: Layout) -> None:
        """Read the announcement. A server that closes at once passes, and so does one that announces no protocol.

        Raises:
            ListError: it is another protocol's, or the time limit passed.
        """
        try:
            self.receive(protocol)
        except ListError as broken:
            if not (broken.empty or broken.stopped):
                raise
            if self.error:
                self.error = 0
                raise
        # Postfix's stream forgets what it has not read when it turns to writing
        self._decoder.take_pending()

    def send(self, octets: bytes) -> None:
        """Write a whole list.

        Raises:
            OSError: it was not written.
        """
        try:
            self._socket.sendall(octets)
        except TimeoutError:
            self.error = errno.ETIMEDOUT
            raise
        except OSError as failure:
            self.error = failure.errno or 0
            raise

    def receive(self, layout: Layout) -> list[Any]:
        """Read one list.

        Raises:
            ListError: it is not the wanted one, or the peer closed, or the time limit passed.
        """
        decoder = self._decoder
        values = decoder.read(layout) if decoder.pending else None
        while values is None:
            try:
                octets = self._socket.recv(CHUNK)
            except TimeoutError:
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

    def readable_now(self) -> bool:
        """Something can be read: where nothing is due, the server closed the connection."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def os_error(failure: OSError | ListError, channel: BlockingChannel | None) -> int:
    """The errno behind a failed conversation, 0 if none."""
    if isinstance(failure, TimeoutError):
        return errno.ETIMEDOUT
    if isinstance(failure, OSError):
        return failure.errno or 0
    return channel.error if channel is not None else 0
