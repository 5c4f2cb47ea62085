"""tcp: a line a look-up (tables chapter 12)."""

import re
import threading
import time

from postfix_smtp import log
from postfix_smtp.errors import TableError
from postfix_smtp.tables.base import Table, TableFlags
from postfix_smtp.tables.network import Stream, c_string, connect_inet, reason
from postfix_smtp.tables.opening import Opener
from postfix_smtp.text import to_octets, to_text

_TIMEOUT = 100.0
_ATTEMPTS = 10
_PAUSE = 1.0
_LONGEST_REPLY = 4096
_QUOTED = re.compile(rb"[^!-$&-~]")
_REPLY = re.compile(rb"([0-9]{3})[ \t\r\v\f](.*)\Z", re.DOTALL)
_HEX = re.compile(rb"%([0-9A-Fa-f]{2})")
_BAD_HEX = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class _NoReply(Exception):
    """Text of the warning."""


class TcpTable(Table):
    """One server, asked over one connection."""

    local = False
    pattern = True

    def __init__(self, address: str) -> None:
        super().__init__(f"tcp:{address}")
        self._address = address
        self._lock = threading.Lock()
        self._stream: Stream | None = None

    def lookup(self, key: str) -> str | None:
        """Ask the server."""
        query = _QUOTED.sub(lambda found: b"%%%02X" % found[0][0], to_octets(key))
        with self._lock:
            return self._answer(self._exchange(b"get " + query + b"\n"))

    def _exchange(self, query: bytes) -> bytes:
        """Send the query until there is a reply."""
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE)
            try:
                return self._try(query)
            except _NoReply as trouble:
                self._close()
                log.warning(str(trouble))
        raise TableError

    def _try(self, query: bytes) -> bytes:
        reading = f"read TCP map reply from {self._address}"
        if self._stream is None:
            try:
                self._stream = Stream(connect_inet(self._address, _TIMEOUT), _TIMEOUT)
            except OSError as error:
                raise _NoReply(f"connect to TCP map {self._address}: {reason(error)}") from None
        try:
            self._stream.send(query)
            reply = self._stream.line(_LONGEST_REPLY)
        except OSError as error:
            raise _NoReply(f"{reading}: unexpected EOF ({reason(error)})") from None
        if reply.endswith(b"\n"):
            return reply[:-1]
        if len(reply) >= _LONGEST_REPLY:
            raise _NoReply(f"{reading}: text longer than {_LONGEST_REPLY}")
        raise _NoReply(f"{reading}: unexpected EOF (Connection reset by peer)")

    def _answer(self, reply: bytes) -> str | None:
        match = _REPLY.match(reply)
        if match is None or _BAD_HEX.search(match[2]):
            self._refuse("malformed reply", reply)
        assert match is not None
        status = match[1][:1]
        if status == b"2":
            return c_string(_HEX.sub(lambda found: bytes([int(found[1], 16)]), match[2]))
        if status == b"5":
            return None
        if status == b"4":
            self._close()
            raise TableError
        self._refuse("bad status code", reply)
        return None

    def _refuse(self, what: str, reply: bytes) -> None:
        self._close()
        log.warning(f"read TCP map reply from {self._address}: {what}: {to_text(reply)}")
        raise TableError

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def close(self) -> None:
        """Close the connection."""
        self._close()


def open_tcp(name: str, flags: TableFlags, opener: Opener) -> Table:
    """``tcp:HOST:PORT``; nothing is done before the first look-up."""
    return TcpTable(name)
