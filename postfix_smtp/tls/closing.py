"""The end of a session with ``tls_fast_shutdown_enable=no`` (TLS chapter 5.6): the peer's closing alert is waited for.

Nobody else waits: the delivery has its result, and the connection is closed when the alert, the end of file or the
time limit comes. When the process ends before, so does the connection.
"""

import asyncio
import socket

from postfix_smtp.delivery.stream import TlsFailure, TlsLayer

_SIZE = 65536


class Farewell:
    """Keeps a connection until the peer has ended the session as well.

    Args:
        sock: not blocking, the own closing alert was sent; nobody else uses it any more.
        received: what has come from it and the layer has not seen yet.
        seconds: to wait at most.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        layer: TlsLayer,
        received: bytes,
        seconds: float,
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._layer = layer
        self._timer = loop.call_later(seconds, self._end)
        loop.add_reader(sock.fileno(), self._read)
        if received:
            self._take(received)

    def _read(self) -> None:
        try:
            octets = self._sock.recv(_SIZE)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        self._take(octets)

    def _take(self, octets: bytes) -> None:
        layer = self._layer
        try:
            layer.feed(octets)
            while layer.decrypt():
                pass
        except TlsFailure:
            self._end()
        else:
            if not octets or layer.is_closed:
                self._end()

    def _end(self) -> None:
        self._timer.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
