"""proxymap(8) and proxywrite: tables that another process looks up (ipc chapter 11).

Blocking, because tables are: look-ups that wait are made in a thread. What the flags mean, case folding, and what a
table does with an answer belong to the tables.
"""

import os
import threading
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from postfix_smtp import log
from postfix_smtp.errors import FatalError
from postfix_smtp.ipc import kept
from postfix_smtp.ipc.attributes import Kind, Layout, ListError, announcement, encode, int32
from postfix_smtp.ipc.blocking import BlockingChannel, os_error
from postfix_smtp.ipc.channel import error_text
from postfix_smtp.ipc.settings import IpcSettings

ANNOUNCEMENT: Final = announcement("proxymap_protocol")
_OPEN: Final = Layout(("status", Kind.INT), ("flags", Kind.INT))
_LOOKUP: Final = Layout(("status", Kind.INT), ("value", Kind.STR))
_LOOKUP_3_11: Final = Layout(("status", Kind.INT), ("flags", Kind.INT), ("value", Kind.STR))
_CHANGE: Final = Layout(("status", Kind.INT))
_CHANGE_3_11: Final = Layout(("status", Kind.INT), ("flags", Kind.INT))


class ProxyStatus(IntEnum):
    """Status of a reply."""

    OK = 0
    NOT_FOUND = 1  #: or not changed
    RETRY = 2
    BAD_REQUEST = 3
    DENIED = 4
    CONFIGURATION = 5


@dataclass(frozen=True, slots=True)
class ProxyReply:
    """Answer about one key.

    Attributes:
        status: OK, NOT_FOUND, RETRY or CONFIGURATION; the last two are soft errors.
        flags: of the table as it is now (3.11), else 0; they go into the next request.
        value: what was looked up.
    """

    status: ProxyStatus
    flags: int
    value: str


class ProxyMapClient:
    """Client of proxymap or proxywrite; class K. One for all tables of a service; may be used by several threads.

    Args:
        settings: time limits and version.
        queue_directory: where the socket is if it is not reachable from the current directory.
        service: service name, :attr:`IpcSettings.proxymap` or :attr:`IpcSettings.proxywrite`.
    """

    def __init__(self, settings: IpcSettings, queue_directory: str, service: str) -> None:
        self.service = service
        self._settings = settings
        self._queue_directory = queue_directory
        self._has_instance_flags = settings.version >= (3, 11)
        self._lock = threading.Lock()
        self._channel: BlockingChannel | None = None
        self._connected = self._used = 0.0

    def open(self, table: str, flags: int) -> int:
        """Ask whether `table` may be used; its flags.

        Args:
            table: ``type:name``.
            flags: as they are sent, ``flags`` up to 3.10, ``instance_flags`` since.

        Raises:
            FatalError: the table is not approved, or the request is bad. Since 3.11 this makes the table unavailable.
        """
        name = "instance_flags" if self._has_instance_flags else "flags"
        request = encode((("request", "open"), ("table", table), (name, int32(flags))))
        while True:
            status, table_flags = self._exchange("open", request, _OPEN)
            if status == ProxyStatus.OK:
                return int(table_flags)
            self._refuse(status, table, f'proxymap open failed for table "{table}"')
            log.warning(f'{self.service} open failed for table "{table}": unexpected status {status}')
            self._start_again()

    def lookup(self, table: str, key: str, flags: int, instance_flags: int = 0) -> ProxyReply:
        """Look up `key`. `instance_flags` is used since 3.11.

        Raises:
            FatalError: the table is not approved, or the request is bad.
        """
        layout = _LOOKUP_3_11 if self._has_instance_flags else _LOOKUP
        return self._ask("lookup", table, key, None, flags, instance_flags, layout)

    def update(self, table: str, key: str, value: str, flags: int, instance_flags: int = 0) -> ProxyReply:
        """Store `value` under `key`.

        Raises:
            FatalError: the table is not approved, or the request is bad.
        """
        layout = _CHANGE_3_11 if self._has_instance_flags else _CHANGE
        return self._ask("update", table, key, value, flags, instance_flags, layout)

    def delete(self, table: str, key: str, flags: int, instance_flags: int = 0) -> ProxyReply:
        """Remove `key`.

        Raises:
            FatalError: the table is not approved, or the request is bad.
        """
        layout = _CHANGE_3_11 if self._has_instance_flags else _CHANGE
        return self._ask("delete", table, key, None, flags, instance_flags, layout)

    def _ask(
        self, operation: str, table: str, key: str, value: str | None, flags: int, instance_flags: int, layout: Layout
    ) -> ProxyReply:
        attributes = [("request", operation), ("table", table)]
        if self._has_instance_flags:
            attributes.append(("instance_flags", int32(instance_flags)))
        attributes += [("flags", int32(flags)), ("key", key)]
        if value is not None:
            attributes.append(("value", value))
        request = encode(attributes)
        while True:
            reply = self._exchange(operation, request, layout)
            status = reply[0]
            what = f'proxymap {operation} failed for table "{table}" key "{key}"'
            self._refuse(status, table, what)
            if 0 <= status <= ProxyStatus.CONFIGURATION:
                new_flags = reply[1] if self._has_instance_flags else 0
                return ProxyReply(ProxyStatus(status), new_flags, reply[-1] if operation == "lookup" else "")
            log.warning(f"{what}: unexpected reply status {status}")
            self._start_again()

    def _refuse(self, status: int, table: str, what: str) -> None:
        if status == ProxyStatus.BAD_REQUEST:
            raise FatalError(f"{what}: invalid request")
        if status == ProxyStatus.DENIED:
            raise FatalError(f'{self.service} service is not configured for table "{table}"')

    def _start_again(self) -> None:
        self.close()
        time.sleep(kept.PAUSE)

    def _exchange(self, operation: str, request: bytes, layout: Layout) -> list[Any]:
        """Request and reply, repeated until it works."""
        with self._lock:
            first = True
            while True:
                try:
                    channel = self._connection()
                    channel.send(request)
                    reply = channel.receive(layout)
                except (OSError, ListError) as failure:
                    number = os_error(failure, self._channel)
                    if not first or number not in kept.SILENT:
                        log.warning(f"dict_proxy_{operation}: service {self.service}: {error_text(number)}")
                    first = False
                    self._close()
                    time.sleep(kept.PAUSE)
                else:
                    self._used = time.monotonic()
                    return reply

    def _connection(self) -> BlockingChannel:
        if self._channel is not None and (self._channel.readable_now() or self._expired()):
            self._close()
        if self._channel is None:
            self._channel = self._connect()
            self._connected = time.monotonic()
            self._channel.handshake(ANNOUNCEMENT)
        return self._channel

    def _connect(self) -> BlockingChannel:
        relative = path = f"private/{self.service}"
        if not os.access(relative, os.F_OK):
            path = f"{self._queue_directory}/{relative}"
        attempt = 1
        while True:
            try:
                return BlockingChannel(path, f"{relative} socket", self._settings.timeout)
            except OSError as failure:
                text = f"connect #{attempt} to subsystem {path}: {error_text(failure.errno)}"
                if attempt >= kept.CONNECT_ATTEMPTS:
                    raise FatalError(text) from None
                log.warning(text)
                attempt += 1
                time.sleep(kept.CONNECT_PAUSE)

    def _expired(self) -> bool:
        now = time.monotonic()
        return now - self._used >= self._settings.idle or now - self._connected >= self._settings.ttl

    def close_if_idle(self) -> None:
        """Close the connection if its time is over. Does nothing while it is in use."""
        if self._channel is not None and self._lock.acquire(blocking=False):
            try:
                if self._expired():
                    self._close()
            finally:
                self._lock.release()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
