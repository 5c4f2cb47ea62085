"""memcache: a cache of its own, or in front of another table (tables chapter 13)."""

import hashlib
import threading
import time
from dataclasses import dataclass

from postfix_smtp import log
from postfix_smtp.errors import FatalError, TableError
from postfix_smtp.tables.base import Table, TableFlags
from postfix_smtp.tables.database import Expansion, Template
from postfix_smtp.tables.network import Stream, c_string, connector, reason
from postfix_smtp.tables.opening import Opener
from postfix_smtp.tables.parameter_file import TableParameters
from postfix_smtp.text import to_octets, to_text

_DIGEST_SINCE = (3, 11)
_LINE_END = b"\r\n"
_NO_PART_OF_A_KEY = frozenset(b" \t\n\v\f\r")


class _Trouble(Exception):
    """The server could not be asked. The text is the warning."""


@dataclass(frozen=True, slots=True)
class _Limits:
    """``ttl`` and ``retry_pause``, ``timeout`` in seconds; sizes in octets."""

    flags: int
    ttl: int
    data_size: int
    line_size: int
    tries: int
    pause: int
    timeout: int


class MemcacheTable(Table):
    """A server and, behind it, perhaps a table that fills it.

    Args:
        name: of the parameter file.
        endpoint: ``inet:host:port`` or ``unix:path``.
        digest: hash algorithm for keys, or empty.
    """

    local = False

    def __init__(
        self,
        name: str,
        endpoint: str,
        limits: _Limits,
        key: Template,
        expansion: Expansion,
        backup: Table | None,
        digest: str,
    ) -> None:
        super().__init__(f"memcache:{name}")
        self._source = name
        self._connect, self._address = connector(endpoint)
        self._limits = limits
        self._key = key
        self._expansion = expansion
        self._backup = backup
        self._digest = digest
        self._lock = threading.Lock()
        self._stream: Stream | None = None

    def lookup(self, key: str) -> str | None:
        """Ask the server; if it has nothing, or cannot be asked, the table behind it, whose answer it is then given."""
        if not self._expansion.wants(key):
            return None
        filled = self._key.filled(key, key)
        if filled is None:
            return None
        stored = to_octets(filled)
        if self._digest:
            stored = hashlib.new(self._digest, stored).hexdigest().encode()
        if not _NO_PART_OF_A_KEY.isdisjoint(stored) or not stored:
            return None
        with self._lock:
            value = self._get(stored)
            if value is None and self._backup is not None:
                value = self._backup.lookup(key)
                if value is not None:
                    self._set(stored, to_octets(value))
        return value

    def _get(self, key: bytes) -> str | None:
        for attempt in range(self._limits.tries):
            try:
                return self._try_get(key)
            except _Trouble as trouble:
                self._failed(attempt, trouble)
        if self._backup is None:
            raise TableError
        return None

    def _set(self, key: bytes, value: bytes) -> None:
        """Store a value; that it could not be stored is no error of a look-up."""
        command = b"set %b %d %d %d\r\n" % (key, self._limits.flags, self._limits.ttl, len(value))
        for attempt in range(self._limits.tries):
            try:
                stream = self._current()
                self._send(stream, command + value + _LINE_END)
                reply = self._line(stream)
                if reply == b"STORED":
                    return
                raise self._unexpected(reply)
            except _Trouble as trouble:
                self._failed(attempt, trouble)

    def _failed(self, attempt: int, trouble: _Trouble) -> None:
        self._close()
        if attempt:
            log.warning(str(trouble))
        if attempt + 1 < self._limits.tries:
            time.sleep(self._limits.pause)

    def _try_get(self, key: bytes) -> str | None:
        stream = self._current()
        self._send(stream, b"get %b\r\n" % key)
        line = self._line(stream)
        if line == b"END":
            return None
        words = line.split()
        if len(words) < 4 or words[0] != b"VALUE" or not words[3].isdigit() or int(words[3]) > self._limits.data_size:
            raise self._unexpected(line)
        size = int(words[3])
        try:
            data = stream.exactly(size + 2)
        except OSError:
            data = b""
        if data[size:] != _LINE_END:
            raise _Trouble(f"{self._source}: EOF receiving memcache server reply")
        try:
            end = self._line(stream)
        except _Trouble:
            end = b""
        if end != b"END":
            self._close()  # the value is good, but nobody knows what the rest belongs to
        return c_string(data[:size])

    def _unexpected(self, reply: bytes) -> _Trouble:
        return _Trouble(f"{self._source}: unexpected memcache server reply: {to_text(reply)}")

    def _current(self) -> Stream:
        if self._stream is None:
            try:
                connection = self._connect(self._address, self._limits.timeout)
            except OSError as error:
                raise _Trouble(f"connect to {self._address}: {reason(error)}") from None
            self._stream = Stream(connection, self._limits.timeout)
        return self._stream

    def _send(self, stream: Stream, octets: bytes) -> None:
        try:
            stream.send(octets)
        except OSError as error:
            raise _Trouble(f"database {self.name}: I/O error: {reason(error)}") from None

    def _line(self, stream: Stream) -> bytes:
        try:
            line = stream.line(self._limits.line_size)
        except OSError as error:
            raise _Trouble(f"database {self.name}: I/O error: {reason(error)}") from None
        if not line.endswith(b"\n"):
            raise _Trouble(f"database {self.name}: I/O error: Connection reset by peer")
        return line[:-1].removesuffix(b"\r")

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def close(self) -> None:
        """Close the connection."""
        self._close()


def open_memcache(name: str, flags: TableFlags, opener: Opener) -> Table:
    """Read the parameters; the server is asked at look-ups.

    Raises:
        FatalError: a parameter is wrong.
    """
    parameters = TableParameters(name, opener)
    limits = _Limits(
        flags=parameters.number("flags", 0),
        ttl=parameters.number("ttl", 3600),
        data_size=parameters.number("data_size_limit", 10240, 1),
        line_size=parameters.number("line_size_limit", 1024, 1),
        tries=parameters.number("max_try", 2, 1),
        pause=parameters.number("retry_pause", 1, 1),
        timeout=parameters.number("timeout", 2, 1),
    )
    key = Template(parameters.text("key_format", "%s"), name, "query")
    digest = parameters.text("key_digest") if opener.settings.version >= _DIGEST_SINCE else ""
    if digest and digest not in hashlib.algorithms_available:
        raise FatalError(f"{name}: unknown key_digest algorithm: {digest}")
    backup = parameters.text("backup")
    return MemcacheTable(
        name,
        parameters.text("memcache", "inet:localhost:11211"),
        limits,
        key,
        Expansion(f"memcache:{name}", parameters, opener),
        opener.open_member(backup, flags) if backup else None,
        digest,
    )
