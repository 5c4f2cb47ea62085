"""Connections to the servers of network tables. Blocking: look-ups that wait are made in a thread."""

import encodings.idna  # noqa: F401 - host names are encoded with it, and in the jail nothing can be imported
import errno
import os
import socket
from collections.abc import Callable

from postfix_smtp import log
from postfix_smtp.errors import FatalError
from postfix_smtp.text import to_octets, to_text

_CHUNK = 4096


class Lost(Exception):
    """The connection failed. The text is what the log says of it."""


class Stream:
    """A connection with a buffer.

    Args:
        timeout: limit of each read and write (seconds).
    """

    def __init__(self, connection: socket.socket, timeout: float) -> None:
        connection.settimeout(timeout)
        self._socket = connection
        self._buffer = b""

    def send(self, octets: bytes) -> None:
        """Send all of it.

        Raises:
            OSError: lost; :class:`TimeoutError` if it took too long.
        """
        self._socket.sendall(octets)

    def line(self, limit: int) -> bytes:
        """A line, with its LF if it has at most `limit` octets with it; less at the end of the stream.

        Raises:
            OSError: lost.
        """
        while b"\n" not in self._buffer and len(self._buffer) < limit and self._fill():
            pass
        end = self._buffer.find(b"\n", 0, limit) + 1 or limit
        return self._take(end)

    def exactly(self, size: int) -> bytes:
        """`size` octets; fewer only at the end of the stream.

        Raises:
            OSError: lost.
        """
        while len(self._buffer) < size and self._fill():
            pass
        return self._take(size)

    def _fill(self) -> bool:
        octets = self._socket.recv(_CHUNK)
        self._buffer += octets
        return bool(octets)

    def _take(self, size: int) -> bytes:
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def close(self) -> None:
        """Close."""
        self._socket.close()


def split_endpoint(endpoint: str) -> tuple[str, str]:
    """Host and service of ``host:service``, ``[v6]:service`` or ``service`` (then the host is empty).

    Raises:
        FatalError: a service that begins like a number and is none.
    """
    host, _, service = endpoint.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if service[:1].isdigit() and not service.isdigit():
        raise FatalError(f"{service}: garbage after numerical service")
    return host, service


def connect_inet(endpoint: str, timeout: float) -> socket.socket:
    """Connect to ``host:service``; all addresses of the host are tried.

    Raises:
        OSError: impossible; if the name is the reason it has been logged.
    """
    host, service = split_endpoint(endpoint)
    try:
        addresses = socket.getaddrinfo(host or None, service, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        log.warning(f"host or service {endpoint} not found: {error.strerror}")
        raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL)) from None
    failure = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    for family, kind, protocol, _, address in addresses:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(timeout)
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


def connect_unix(path: str, timeout: float) -> socket.socket:
    """Connect to a UNIX-domain socket.

    Raises:
        OSError: impossible.
    """
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout)
        connection.connect(to_octets(path))
    except OSError:
        connection.close()
        raise
    return connection


def connector(service: str) -> tuple[Callable[[str, float], socket.socket], str]:
    """How to connect to ``inet:endpoint`` or ``unix:path``, and what to.

    Raises:
        FatalError: neither.
    """
    transport, _, endpoint = service.partition(":")
    if not endpoint:
        raise FatalError(f'need service transport:endpoint instead of "{service}"')
    if transport not in ("inet", "unix"):
        raise FatalError(f"invalid transport name: {transport} in service: {service}")
    return (connect_unix if transport == "unix" else connect_inet), endpoint


def reason(error: OSError) -> str:
    """What the system says of an error."""
    if isinstance(error, TimeoutError) and error.errno is None:
        return os.strerror(errno.ETIMEDOUT)
    return os.strerror(error.errno) if error.errno else str(error)


def c_string(octets: bytes) -> str:
    """Text that ends at the first NUL."""
    return to_text(octets.partition(b"\0")[0])
