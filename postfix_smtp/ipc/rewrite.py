"""Address rewriting by trivial-rewrite(8), for the results of ``smtp_generic_maps`` (ipc chapter 13)."""

import time
from typing import Any, Final

from postfix_smtp.ipc.attributes import Kind, Layout, announcement, encode
from postfix_smtp.ipc.channel import Channel
from postfix_smtp.ipc.kept import EndlessClient, KeptConnection
from postfix_smtp.ipc.settings import IpcSettings

ANNOUNCEMENT: Final = announcement("trivial_rewrite_protocol")
_REPLY: Final = Layout(("flags", Kind.INT), ("address", Kind.STR))
_CACHE_TIME = 30.0  #: seconds


class RewriteClient:
    """Client of rewrite; class K. The last answer is good for 30 s."""

    def __init__(self, settings: IpcSettings) -> None:
        path = f"private/{settings.rewrite}"
        self._client = EndlessClient(
            KeptConnection(path, f"{path} socket", ANNOUNCEMENT, settings.timeout, settings.idle, settings.ttl),
            settings.rewrite,
        )
        self._last: tuple[str, str, float] | None = None

    async def rewrite(self, address: str) -> str:
        """`address` by the rules for local mail (``bare`` becomes ``bare@$myorigin``); both in external, quoted form.

        Raises:
            FatalError: no such service.
        """
        now = time.monotonic()
        if self._last is not None and self._last[0] == address and now < self._last[2]:
            return self._last[1]
        request = encode((("request", "rewrite"), ("rule", "local"), ("address", address)))

        async def conversation(channel: Channel) -> list[Any]:
            await channel.send(request)
            return await channel.receive(_REPLY)

        flags, result = await self._client.talk(conversation)
        if flags:
            self._client.close()
        self._last = (address, result, now + _CACHE_TIME)
        return str(result)

    def close(self) -> None:
        """Close the kept connection."""
        self._client.close()
