"""TLS sessions in tlsmgr(8), shared with all other processes (TLS chapter 6)."""

import asyncio

from postfix_smtp.ipc.tlsmgr import TlsManagerClient


class SessionCache:
    """Finds and keeps sessions.

    Attributes:
        type: ``smtp`` or ``lmtp``.
    """

    def __init__(self, manager: TlsManagerClient, cache_type: str) -> None:
        self.type = cache_type
        self._manager = manager
        self._tasks: set[asyncio.Task[bool]] = set()

    async def find(self, name: str) -> bytes | None:
        """A session in DER, None if there is none."""
        return await self._manager.lookup(self.type, name)

    def save(self, name: str, session: bytes) -> None:
        """Keep a session. Nobody waits for it."""
        task = asyncio.get_running_loop().create_task(self._manager.update(self.type, name, session))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def remove(self, name: str) -> None:
        """Forget a session."""
        await self._manager.delete(self.type, name)
