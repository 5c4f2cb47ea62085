"""Which of several database servers is asked, and how often one that failed is left alone (tables chapter 14)."""

import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from postfix_smtp import log
from postfix_smtp.errors import TableError

C = TypeVar("C")
T = TypeVar("T")


class ServerError(Exception):
    """A server failed. The text is the warning."""


class Driver(ABC, Generic[C]):
    """How to speak to a type of server; `C` is a connection."""

    @abstractmethod
    def connect(self, host: str) -> C:
        """Connect and log in.

        Raises:
            ServerError: impossible.
        """

    @abstractmethod
    def disconnect(self, connection: C) -> None:
        """Close a connection, whatever its state is."""


class _Server(Generic[C]):
    def __init__(self, host: str) -> None:
        self.host = host
        self.is_unix = host.startswith("unix:")
        self.connection: C | None = None
        self.used = 0.0
        self.retry = 0.0  # not before this time, if it has failed


class Servers(Generic[C]):
    """The servers of one table; may be used by several threads, one at a time.

    Args:
        hosts: as configured.
        retry: how long a server that failed is left alone (seconds).
        idle: how long an unused connection is used again (seconds).
    """

    def __init__(self, driver: Driver[C], hosts: Sequence[str], retry: int, idle: int) -> None:
        self._driver = driver
        self._servers: list[_Server[C]] = [_Server(host) for host in hosts]
        self._retry = retry
        self._idle = idle
        self._lock = threading.Lock()

    def ask(self, query: Callable[[str, C], T]) -> T:
        """Let `query` (host, connection) have an answer from the first server that has one.

        Raises:
            TableError: none has; logged.
        """
        with self._lock:
            while (server := self._choose(time.monotonic())) is not None:
                try:
                    if server.connection is None:
                        server.connection = self._driver.connect(server.host)
                    answer = query(server.host, server.connection)
                except ServerError as trouble:
                    log.warning(str(trouble))
                    self._disconnect(server)
                    server.retry = time.monotonic() + self._retry
                else:
                    server.used = time.monotonic()
                    return answer
            raise TableError

    def _choose(self, now: float) -> _Server[C] | None:
        """An open connection first, then a server that has not failed lately; UNIX-domain sockets before others."""
        for server in self._servers:
            if server.connection is not None and now - server.used >= self._idle:
                self._disconnect(server)
        for candidates in (
            [server for server in self._servers if server.connection is not None],
            [server for server in self._servers if server.connection is None and server.retry <= now],
        ):
            for wanted in (True, False):
                chosen = [server for server in candidates if server.is_unix is wanted]
                if chosen:
                    return random.choice(chosen)
        return None

    def _disconnect(self, server: _Server[C]) -> None:
        if server.connection is not None:
            self._driver.disconnect(server.connection)
            server.connection = None

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for server in self._servers:
                self._disconnect(server)


def counted_twice(hosts: Sequence[str], version: tuple[int, ...]) -> list[str]:
    """Hosts to use: a single one twice since 3.10, so that a lost connection is made anew at once."""
    return [*hosts, *hosts] if len(hosts) == 1 and version >= (3, 10) else list(hosts)


def host_and_port(host: str) -> tuple[str, str]:
    """Host and port of ``inet:host:port`` or ``host:port``; the port may be missing."""
    name, _, port = host.removeprefix("inet:").partition(":")
    return name, port
