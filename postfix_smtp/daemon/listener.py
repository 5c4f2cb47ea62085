"""Accepting one client from a listen socket that other processes share (process chapters 7.1 and 12.3)."""

import errno
import os
import socket
from typing import Final

from postfix_smtp import log
from postfix_smtp.ipc.attributes import Kind, Layout, ListError
from postfix_smtp.ipc.channel import Channel

FIRST_DESCRIPTOR: Final = 6
PASS_TIMEOUT: Final = 100.0  #: seconds to wait for the descriptor, and again for what comes with it
_ATTRIBUTES: Final = Layout(("", Kind.REST))

#: Nobody to accept after all: another process was faster, or the client has left.
_NOTHING: Final = frozenset(
    (
        errno.EAGAIN,
        errno.EINTR,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENOTCONN,
        errno.ENOBUFS,
        errno.EPROTO,
    )
)


class Listener:
    """One listen socket, type ``unix``. Its mode is shared with master(8) and must not be changed."""

    def __init__(self, endpoint: socket.socket) -> None:
        endpoint.setblocking(False)
        os.set_inheritable(endpoint.fileno(), False)
        self.socket = endpoint

    def fileno(self) -> int:
        """The descriptor, to watch it."""
        return self.socket.fileno()

    def accept(self) -> socket.socket | None:
        """One connection, or None if there is none.

        Raises:
            OSError: there may be one, but it cannot be accepted: no descriptors or no memory are left.
        """
        try:
            connected, _ = self.socket.accept()
        except OSError as failure:
            if failure.errno in _NOTHING:
                return None
            raise
        self.configure(connected)
        return connected

    def configure(self, connected: socket.socket) -> None:
        """Set the options of a new connection."""

    def close(self) -> None:
        """Close this process's descriptor of the socket."""
        self.socket.close()


class InetListener(Listener):
    """Type ``inet``."""

    def configure(self, connected: socket.socket) -> None:
        """Notice clients that vanish."""
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


class PassListener(Listener):
    """Type ``pass``: another program accepted the connection and hands it over."""

    async def client(self, connected: socket.socket) -> socket.socket | None:
        """The client's connection, which is handed over through the accepted one; None if it is not."""
        channel = Channel(connected, "pass_accept_attr", PASS_TIMEOUT)
        try:
            try:
                descriptor = await channel.receive_descriptor()
            except TimeoutError as failure:
                log.warning(f"pass_accept_attr: timeout receiving file descriptor: {_reason(failure)}")
                return None
            except OSError as failure:
                log.warning(f"pass_accept_attr: cannot receive file descriptor: {_reason(failure)}")
                return None
            try:
                await channel.receive(_ATTRIBUTES)
            except ListError:
                text = os.strerror(channel.error) if channel.error else "Application error"
                log.warning(f"pass_accept_attr: cannot receive connection attributes: {text}")
                os.close(descriptor)
                return None
            return socket.socket(fileno=descriptor)
        finally:
            channel.close()


def _reason(failure: OSError) -> str:
    return os.strerror(failure.errno) if failure.errno else "Application error"


TYPES: Final[dict[str, type[Listener]]] = {"unix": Listener, "inet": InetListener, "pass": PassListener}


def listeners(transport: str, count: int) -> list[Listener]:
    """The listen sockets that were inherited.

    Args:
        transport: ``unix``, ``inet`` or ``pass``.
        count: how many.
    """
    make = TYPES[transport]
    return [make(socket.socket(fileno=number)) for number in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + count)]
