"""socketmap: look-ups by netstring, sendmail's protocol (tables chapter 12)."""

import threading
import time

from postfix_smtp import log
from postfix_smtp.errors import TableError
from postfix_smtp.tables.base import OpenError, Table, TableFlags
from postfix_smtp.tables.network import Lost, Stream, c_string, connector, reason
from postfix_smtp.tables.opening import Opener
from postfix_smtp.text import to_octets

_TIMEOUT = 100.0
_IDLE = 10.0
_LIFE = 100.0
_LARGEST_REPLY = 100000
_LONGEST_TEXT = 200
_ATTEMPTS = 2
_LENGTH_DIGITS = 10
_TEMPORARY = {b"TEMP": "temporary", b"TIMEOUT": "timeout"}


class _Server:
    """One connection, shared by all tables of a server.

    Args:
        endpoint: ``inet:host:port`` or ``unix:path``.
    """

    def __init__(self, endpoint: str, limit: int) -> None:
        self._connect, self._address = connector(endpoint)
        self._limit = limit
        self._lock = threading.Lock()
        self._stream: Stream | None = None
        self._connected = self._used = 0.0

    def ask(self, query: bytes) -> bytes:
        """Send a query; the reply. A connection that is lost is made anew once.

        Raises:
            Lost: no reply.
        """
        with self._lock:
            failure = Lost("")
            for _ in range(_ATTEMPTS):
                stream = self._current()
                try:
                    stream.send(b"%d:%b," % (len(query), query))
                    reply = self._read(stream)
                except TimeoutError:
                    failure = Lost("time limit exceeded")
                except OSError:
                    failure = Lost("unexpected disconnect")
                except Lost as malformed:
                    self._close()
                    if str(malformed) != "unexpected disconnect":
                        raise
                    failure = malformed
                else:
                    self._used = time.monotonic()
                    return reply
                self._close()
            raise failure

    def _current(self) -> Stream:
        now = time.monotonic()
        if self._stream is not None and (now - self._used >= _IDLE or now - self._connected >= _LIFE):
            self._close()
        if self._stream is None:
            try:
                self._stream = Stream(self._connect(self._address, _TIMEOUT), _TIMEOUT)
            except OSError as error:
                log.warning(f"connect to {self._address}: {reason(error)}")
                raise Lost(reason(error)) from None
            self._connected = self._used = now
        return self._stream

    def _read(self, stream: Stream) -> bytes:
        """A netstring."""
        digits = b""
        while (octet := stream.exactly(1)) != b":":
            if not octet:
                raise Lost("unexpected disconnect")
            if not octet.isdigit() or len(digits) >= _LENGTH_DIGITS:
                raise Lost("input format error")
            digits += octet
            if int(digits) > self._limit:
                raise Lost("input exceeds size limit")
        if not digits:
            raise Lost("input format error")
        size = int(digits)
        octets = stream.exactly(size + 1)
        if len(octets) <= size:
            raise Lost("unexpected disconnect")
        if octets[size:] != b",":
            raise Lost("input format error")
        return octets[:size]

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


class SocketmapTable(Table):
    """One map of a server."""

    local = False
    pattern = True

    def __init__(self, name: str, server: _Server, map_name: str, *, empty_is_value: bool) -> None:
        super().__init__(name)
        self._server = server
        self._map = to_octets(map_name)
        self._empty_is_value = empty_is_value

    def lookup(self, key: str) -> str | None:
        """Ask the server."""
        try:
            reply = self._server.ask(self._map + b" " + to_octets(key))
        except Lost as failure:
            log.warning(f"table {self.name} lookup error: {failure}")
            raise TableError from None
        reply = reply.partition(b"\0")[0]
        status, blank, text = reply.partition(b" ")
        if status == b"OK":
            return c_string(text) if blank or self._empty_is_value else None
        if status == b"NOTFOUND":
            return None
        what = _TEMPORARY.get(status, "permanent" if status == b"PERM" else "unknown")
        explanation = f": {c_string(text[:_LONGEST_TEXT])}" if text else ""
        log.warning(f"{self.name} socketmap server {what} error{explanation}")
        raise TableError


def _empty_is_value(version: tuple[int, ...]) -> bool:
    """``OK`` without a blank is an empty value, which is an error, since patch releases of all lines."""
    since: dict[tuple[int, ...], tuple[int, ...]] = {(3, 8): (3, 8, 16), (3, 9): (3, 9, 10), (3, 10): (3, 10, 9)}
    return version >= since.get(version[:2], (3, 11, 2))


def open_socketmap(name: str, flags: TableFlags, opener: Opener) -> Table:
    """``socketmap:inet:HOST:PORT:MAP`` or ``socketmap:unix:PATH:MAP``."""
    endpoint, colon, map_name = name.rpartition(":")
    if not colon:
        raise OpenError("socketmap requires server:socketmap argument")
    limit = _LARGEST_REPLY
    if opener.parameters is not None and opener.settings.version >= (3, 10):
        limit = opener.parameters.number("socketmap_max_reply_size")
    server = opener.shared(f"socketmap:{endpoint}", lambda: _Server(endpoint, limit))
    return SocketmapTable(
        f"socketmap:{name}", server, map_name, empty_is_value=_empty_is_value(opener.settings.version)
    )
