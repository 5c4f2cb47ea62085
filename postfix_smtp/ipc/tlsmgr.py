"""tlsmgr(8): entropy, and TLS sessions shared by all processes (ipc chapter 9)."""

import time
from dataclasses import dataclass
from typing import Any, Final

from postfix_smtp import log
from postfix_smtp.ipc import kept
from postfix_smtp.ipc.attributes import Kind, Layout, ListError, announcement, data, encode, int32
from postfix_smtp.ipc.blocking import BlockingChannel, os_error
from postfix_smtp.ipc.channel import Channel, error_text
from postfix_smtp.ipc.kept import KeptConnection, TwiceClient
from postfix_smtp.ipc.settings import IpcSettings

ANNOUNCEMENT: Final = announcement("tlsmgr_protocol")
_STATUS: Final = Layout(("status", Kind.INT), strict=False)
_SEED: Final = Layout(("status", Kind.INT), ("seed", Kind.DATA), strict=False)
_POLICY: Final = Layout(("status", Kind.INT), ("cachable", Kind.INT), ("timeout", Kind.INT), strict=False)
_SESSION: Final = Layout(("status", Kind.INT), ("session", Kind.DATA), strict=False)


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    """Whether sessions are cached.

    Attributes:
        cachable: tlsmgr has a cache for this program.
        timeout: life time of a session in seconds.
    """

    cachable: bool
    timeout: int

    @property
    def enabled(self) -> bool:
        """Sessions are worth being saved and looked up."""
        return self.cachable and self.timeout > 0


def _seed_request(size: int) -> bytes:
    return encode((("request", "seed"), ("size", int32(size))))


def _policy_request(cache_type: str) -> bytes:
    return encode((("request", "policy"), ("cache_type", cache_type)))


def _seed(reply: list[Any] | None) -> bytes | None:
    return reply[1] if reply is not None and reply[0] == 0 and reply[1] else None


def _policy(reply: list[Any] | None) -> SessionPolicy | None:
    return SessionPolicy(reply[1] != 0, reply[2]) if reply is not None and reply[0] == 0 else None


class TlsManagerClient:
    """Client of tlsmgr on the event loop; class T."""

    def __init__(self, settings: IpcSettings) -> None:
        path = f"private/{settings.tlsmgr}"
        self._client = TwiceClient(
            KeptConnection(path, path, ANNOUNCEMENT, settings.timeout, settings.idle, settings.ttl)
        )

    async def _ask(self, request: bytes, layout: Layout) -> list[Any] | None:
        async def conversation(channel: Channel) -> list[Any]:
            await channel.send(request)
            return await channel.receive(layout)

        return await self._client.talk(conversation)

    async def seed(self, size: int) -> bytes | None:
        """`size` (1 to 255) random octets."""
        return _seed(await self._ask(_seed_request(size), _SEED))

    async def policy(self, cache_type: str) -> SessionPolicy | None:
        """Whether there is a session cache for `cache_type` (``smtp`` or ``lmtp``)."""
        return _policy(await self._ask(_policy_request(cache_type), _POLICY))

    async def lookup(self, cache_type: str, cache_id: str) -> bytes | None:
        """A saved session (DER), None if there is none or the service failed."""
        request = encode((("request", "lookup"), ("cache_type", cache_type), ("cache_id", cache_id)))
        reply = await self._ask(request, _SESSION)
        return reply[1] if reply is not None and reply[0] == 0 and reply[1] else None

    async def update(self, cache_type: str, cache_id: str, session: bytes) -> bool:
        """Save a session (DER); whether it was."""
        request = encode(
            (("request", "update"), ("cache_type", cache_type), ("cache_id", cache_id), ("session", data(session)))
        )
        reply = await self._ask(request, _STATUS)
        return reply is not None and reply[0] == 0

    async def delete(self, cache_type: str, cache_id: str) -> bool:
        """Forget a session; whether there was one."""
        request = encode((("request", "delete"), ("cache_type", cache_type), ("cache_id", cache_id)))
        reply = await self._ask(request, _STATUS)
        return reply is not None and reply[0] == 0

    def close(self) -> None:
        """Close the kept connection."""
        self._client.close()


class BlockingTlsManagerClient:
    """Client of tlsmgr for start-up, before there is a loop; class T."""

    def __init__(self, settings: IpcSettings) -> None:
        self._path = f"private/{settings.tlsmgr}"
        self._timeout = settings.timeout
        self._channel: BlockingChannel | None = None

    def _ask(self, request: bytes, layout: Layout) -> list[Any] | None:
        for last in (False, True):
            try:
                channel = self._channel
                if channel is None:
                    try:
                        channel = self._channel = BlockingChannel(self._path, self._path, self._timeout)
                    except OSError as failure:
                        log.warning(f"connect to {self._path}: {error_text(failure.errno)}")
                        raise
                    channel.handshake(ANNOUNCEMENT)
                if channel.readable_now():
                    # Nothing is due: the server closed the connection
                    raise ListError(empty=True)
                channel.send(request)
                return channel.receive(layout)
            except (OSError, ListError) as failure:
                error = os_error(failure, self._channel)
                if last or error not in kept.QUIET:
                    log.warning(f"problem talking to server {self._path}: {error_text(error)}")
                self.close()
                if not last:
                    time.sleep(kept.PAUSE)
        return None

    def seed(self, size: int) -> bytes | None:
        """`size` (1 to 255) random octets."""
        return _seed(self._ask(_seed_request(size), _SEED))

    def policy(self, cache_type: str) -> SessionPolicy | None:
        """Whether there is a session cache for `cache_type` (``smtp`` or ``lmtp``)."""
        return _policy(self._ask(_policy_request(cache_type), _POLICY))

    def close(self) -> None:
        """Close the kept connection."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
