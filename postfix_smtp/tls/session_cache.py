"""TLS sessions: in tlsmgr(8), shared with all other processes (TLS chapter 6), and the recent ones in this process."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

from postfix_smtp.ipc.tlsmgr import TlsManagerClient

_MAX_SESSIONS = 200


class SessionCache:
    """Finds and keeps sessions. A session that this process has itself is not asked for.

    Args:
        manager: tlsmgr(8).
        cache_type: ``smtp`` or ``lmtp``.
        lifetime: seconds that a session may be used.
        clock: seconds, monotonic.

    Attributes:
        type: the cache type.
    """

    def __init__(
        self,
        manager: TlsManagerClient,
        cache_type: str,
        lifetime: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.type = cache_type
        self._manager = manager
        self._lifetime = lifetime
        self._clock = clock
        self._own: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._tasks: set[asyncio.Task[bool]] = set()

    async def find(self, name: str) -> bytes | None:
        """A session in DER, None if there is none."""
        own = self._own.get(name)
        if own is not None:
            if own[0] > self._clock():
                return own[1]
            del self._own[name]
        return await self._manager.lookup(self.type, name)

    def save(self, name: str, session: bytes) -> None:
        """Keep a session. Nobody waits for it."""
        self._own[name] = self._clock() + self._lifetime, session
        self._own.move_to_end(name)
        if len(self._own) > _MAX_SESSIONS:
            self._own.popitem(last=False)
        task = asyncio.get_running_loop().create_task(self._manager.update(self.type, name, session))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def remove(self, name: str) -> None:
        """Forget a session."""
        self._own.pop(name, None)
        await self._manager.delete(self.type, name)
