"""Connections that are kept between requests, and the three ways to insist (classes K, T and C, ipc chapter 3).

:class:`KeptConnection` is one connection with its two timers. The classes of clients differ in how often they try, in
whether they look for a stale connection first, and in what they log.
"""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from postfix_smtp import log
from postfix_smtp.errors import FatalError
from postfix_smtp.ipc.attributes import Layout, ListError
from postfix_smtp.ipc.channel import Channel, error_text

T = TypeVar("T")
Conversation = Callable[[Channel], Awaitable[T]]

PAUSE = 1.0  #: seconds between attempts
CONNECT_ATTEMPTS = 11
CONNECT_PAUSE = 10.0  #: seconds between attempts to connect that are numbered
SILENT: Final = (errno.EPIPE, errno.ENOENT)  #: not worth a warning: the server ended, or restarts
QUIET: Final = (0, *SILENT)  #: the same of a first attempt of class T


class Unreachable(Exception):
    """No connection.

    Attributes:
        error: errno.
    """

    def __init__(self, error: int) -> None:
        super().__init__(error)
        self.error = error


class Trouble(Exception):
    """The conversation failed; the connection is closed.

    Attributes:
        error: errno, 0 if none.
        handshake: it was the announcement that failed.
    """

    def __init__(self, error: int, handshake: bool = False) -> None:
        super().__init__(error)
        self.error = error
        self.handshake = handshake


class KeptConnection:
    """A connection to one service, opened when needed.

    Args:
        path: of the socket, relative to the queue directory.
        name: what warnings call the stream.
        protocol: the service's announcement.
        timeout: of each wait; idle, ttl: life time after the last use and after the connect; all in seconds.
    """

    def __init__(
        self, path: str, name: str, protocol: Layout, timeout: float, idle: float | None, ttl: float | None
    ) -> None:
        self.path = path
        self.lock = asyncio.Lock()
        self._name = name
        self._protocol = protocol
        self._timeout = timeout
        self._idle = idle
        self._ttl = ttl
        self._channel: Channel | None = None
        self._busy = False
        self._expired = False
        self._idle_timer: asyncio.TimerHandle | None = None
        self._ttl_timer: asyncio.TimerHandle | None = None

    @property
    def is_stale(self) -> bool:
        """The server closed the connection meanwhile: nothing else can be readable now."""
        return self._channel is not None and self._channel.readable_now()

    @property
    def is_open(self) -> bool:
        """There is a connection."""
        return self._channel is not None

    async def use(self, conversation: Conversation[T]) -> T:
        """Hold one conversation, on a new connection if there is none. The caller holds `lock`.

        Raises:
            Unreachable: no connection.
            Trouble: the conversation failed.
        """
        self._busy = True
        handshake = False
        channel = self._channel
        try:
            if channel is None:
                handshake = True
                channel = await self._open()
                handshake = False
            result = await conversation(channel)
        except (OSError, ListError) as failure:
            number = failure.errno if isinstance(failure, OSError) else channel.error if channel else 0
            self.close()
            raise Trouble(number or 0, handshake) from None
        except BaseException:
            # Cancelled between request and reply: the next user must not find the reply to this one
            self.close()
            raise
        finally:
            self._busy = False
        self._used()
        return result

    async def _open(self) -> Channel:
        try:
            channel = await Channel.connect(self.path, self._name, self._timeout)
        except OSError as failure:
            raise Unreachable(failure.errno or 0) from None
        self._channel = channel
        loop = asyncio.get_running_loop()
        if self._ttl is not None:
            self._ttl_timer = loop.call_later(self._ttl, self._expire)
        try:
            await channel.receive(self._protocol)
        except ListError as broken:
            # A server that closes at once passes: the request will fail. So does one that announces something else
            # than a protocol: the warning is all
            if not (broken.empty or broken.stopped):
                raise
            if channel.error:
                raise Trouble(0) from None
        # Postfix's stream forgets what it has not read when it turns to writing
        channel.take_pending()
        return channel

    def _used(self) -> None:
        if self._expired:
            self.close()
        elif self._channel is not None and self._idle is not None:
            if self._idle_timer is not None:
                self._idle_timer.cancel()
            self._idle_timer = asyncio.get_running_loop().call_later(self._idle, self._expire)

    def _expire(self) -> None:
        if self._busy:
            self._expired = True
        else:
            self.close()

    def close(self) -> None:
        """Close the connection, if any."""
        for timer in (self._idle_timer, self._ttl_timer):
            if timer is not None:
                timer.cancel()
        self._idle_timer = self._ttl_timer = None
        self._expired = False
        if self._channel is not None:
            self._channel.close()
            self._channel = None


class EndlessClient:
    """Class K: repeated until it works; only a service that cannot be connected to for 100 s is given up.

    Args:
        connection: the kept connection.
        service: service name, for log lines.
    """

    def __init__(self, connection: KeptConnection, service: str) -> None:
        self._connection = connection
        self._service = service

    async def talk(self, conversation: Conversation[T]) -> T:
        """Hold a conversation, however long it takes.

        Raises:
            FatalError: the socket cannot be connected to.
        """
        connection = self._connection
        async with connection.lock:
            refused = 0
            while True:
                if connection.is_stale:
                    connection.close()
                try:
                    return await connection.use(conversation)
                except Unreachable as failure:
                    refused += 1
                    text = f"connect #{refused} to subsystem {connection.path}: {error_text(failure.error)}"
                    if refused >= CONNECT_ATTEMPTS:
                        raise FatalError(text) from None
                    log.warning(text)
                    await asyncio.sleep(CONNECT_PAUSE)
                except Trouble as failure:
                    refused = 0
                    if failure.error not in SILENT:
                        log.warning(f"problem talking to service {self._service}: {error_text(failure.error)}")
                    await asyncio.sleep(PAUSE)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class TwiceClient:
    """Class T: two attempts, then this request fails."""

    def __init__(self, connection: KeptConnection) -> None:
        self._connection = connection

    async def talk(self, conversation: Conversation[T]) -> T | None:
        """Hold a conversation; None when that failed twice, which has been logged."""

        async def unless_closed(channel: Channel) -> T:
            if channel.readable_now():
                # Nothing is due: the server closed the connection
                raise ListError(empty=True)
            return await conversation(channel)

        connection = self._connection
        async with connection.lock:
            for last in (False, True):
                error: int | None
                try:
                    return await connection.use(unless_closed)
                except Unreachable as failure:
                    error = failure.error
                    log.warning(f"connect to {connection.path}: {error_text(error)}")
                except Trouble as failure:
                    error = failure.error
                if last or error not in QUIET:
                    log.warning(f"problem talking to server {connection.path}: {error_text(error)}")
                if not last:
                    await asyncio.sleep(PAUSE)
        return None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class OnceBrokenClient:
    """Class C: two attempts, then the service is not used any more in the life of the process."""

    def __init__(self, connection: KeptConnection) -> None:
        self._connection = connection
        self.disabled = False

    async def talk(self, conversation: Conversation[T]) -> T | None:
        """Hold a conversation; None when that failed, now or before."""
        connection = self._connection
        if self.disabled:
            return None
        async with connection.lock:
            for last in (False, True):
                if self.disabled:
                    return None
                try:
                    return await connection.use(conversation)
                except Unreachable as failure:
                    log.warning(f"connect to {connection.path}: {error_text(failure.error)}")
                except Trouble as failure:
                    if not failure.handshake and failure.error not in SILENT:
                        log.warning(f"problem talking to service {connection.path}: {error_text(failure.error)}")
                if last:
                    log.warning("disabling connection caching")
                    self.disabled = True
                else:
                    await asyncio.sleep(PAUSE)
        return None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
