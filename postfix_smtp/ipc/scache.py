"""Open SMTP sessions, saved to and found in scache(8) (ipc chapter 8).

What the labels and properties are made of, and when to use the cache, is decided elsewhere.
"""

import os
from dataclasses import dataclass
from typing import Final

from postfix_smtp.ipc.attributes import STATUS, Kind, Layout, announcement, encode, int32
from postfix_smtp.ipc.channel import Channel
from postfix_smtp.ipc.kept import KeptConnection, OnceBrokenClient
from postfix_smtp.ipc.settings import IpcSettings

ANNOUNCEMENT: Final = announcement("connection_cache_protocol")
_DUMMY_REPLY: Final = Layout(("dummy", Kind.STR))
_DUMMY: Final = b"dummy\0\0\0"
_ENDPOINT: Final = Layout(("status", Kind.INT), ("property", Kind.STR))
_DESTINATION: Final = Layout(("status", Kind.INT), ("property", Kind.STR), ("property", Kind.STR))


@dataclass(frozen=True, slots=True)
class FoundSession:
    """A session taken out of the cache.

    Attributes:
        descriptor: open, the caller's; its mode (blocking or not) is shared with nobody.
        endpoint: endpoint property.
        destination: destination property; empty when found by endpoint.
    """

    descriptor: int
    endpoint: str
    destination: str = ""


class CacheClient:
    """Client of scache; class C: after two failures in a row it is not used again."""

    def __init__(self, settings: IpcSettings) -> None:
        path = f"private/{settings.scache}"
        self._client = OnceBrokenClient(
            KeptConnection(path, path, ANNOUNCEMENT, settings.cache_timeout, settings.idle, settings.ttl)
        )

    @property
    def disabled(self) -> bool:
        """The cache failed before; nothing is found or saved any more."""
        return self._client.disabled

    async def find_destination(self, label: str) -> FoundSession | None:
        """A session by its next-hop label."""
        return await self._find("find_dest", label, _DESTINATION)

    async def find_endpoint(self, label: str) -> FoundSession | None:
        """A session by its endpoint label."""
        return await self._find("find_endp", label, _ENDPOINT)

    async def _find(self, request: str, label: str, layout: Layout) -> FoundSession | None:
        octets = encode((("request", request), ("label", label)))

        async def conversation(channel: Channel) -> FoundSession | None:
            await channel.send(octets)
            status, *properties = await channel.receive(layout)
            if status:
                return None
            # The server passes the descriptor only when its reply has been read
            await channel.send(_DUMMY)
            descriptor = await channel.receive_descriptor()
            try:
                await channel.send(_DUMMY)
            except BaseException:
                os.close(descriptor)
                raise
            return FoundSession(descriptor, properties[-1], properties[0] if len(properties) > 1 else "")

        return await self._client.talk(conversation)

    async def save_destination(self, ttl: int, label: str, prop: str, endpoint_label: str) -> bool:
        """Bind a next-hop label to an endpoint label for `ttl` seconds, with the destination property `prop`."""
        octets = encode(
            (
                ("request", "save_dest"),
                ("ttl", int32(ttl)),
                ("label", label),
                ("property", prop),
                ("label", endpoint_label),
            )
        )

        async def conversation(channel: Channel) -> bool:
            await channel.send(octets)
            return bool((await channel.receive(STATUS))[0] == 0)

        return bool(await self._client.talk(conversation))

    async def save_endpoint(self, ttl: int, label: str, prop: str, descriptor: int) -> bool:
        """Save a session for `ttl` seconds. The descriptor is given away: it is closed here in any case.

        There must be no unread input and no unsent output on it.
        """
        octets = encode((("request", "save_endp"), ("ttl", int32(ttl)), ("label", label), ("property", prop)))

        async def conversation(channel: Channel) -> bool:
            await channel.send(octets)
            await channel.receive(_DUMMY_REPLY)
            await channel.send_descriptor(descriptor)
            return bool((await channel.receive(STATUS))[0] == 0)

        try:
            # The mode travels with the descriptor, and Postfix's own programs expect to block
            os.set_blocking(descriptor, True)
            return bool(await self._client.talk(conversation))
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close the kept connection."""
        self._client.close()
