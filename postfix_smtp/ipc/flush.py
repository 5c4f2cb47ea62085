"""Tells flush(8) about a deferred message (ipc chapter 7)."""

from typing import Final

from postfix_smtp.ipc.attributes import announcement, encode
from postfix_smtp.ipc.settings import IpcSettings
from postfix_smtp.ipc.single import exchange

ANNOUNCEMENT: Final = announcement("queue_flush_protocol")
_DONE, _NOT_ELIGIBLE = 0, 4


class FlushClient:
    """Client of flush."""

    def __init__(self, settings: IpcSettings) -> None:
        self._path = f"public/{settings.flush}"
        self._timeout = settings.timeout

    async def add(self, site: str, queue_id: str) -> bool:
        """Note that message `queue_id` waits for domain `site`; False when the service failed.

        Whether the domain is one of ``fast_flush_domains`` is the caller's to decide, the warning his to log.
        """
        request = encode((("request", "add"), ("site", site), ("queue_id", queue_id)))
        reply = await exchange(self._path, ANNOUNCEMENT, request, self._timeout)
        return reply is not None and reply[0] in (_DONE, _NOT_ELIGIBLE)
