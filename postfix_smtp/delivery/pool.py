"""Open sessions that wait for their next delivery (delivery chapter 14).

The pool decides, from keys and times alone, which request gets which session and which sessions end; closing them is
all the I/O it does. Sessions of one endpoint are handed out oldest first, as scache(8) does. A session that the server
has closed is found as usual and fails at its RSET probe.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from postfix_smtp.delivery.session import Session


@dataclass(frozen=True, slots=True)
class Kept:
    """A session in the pool.

    Attributes:
        session: open, between two deliveries.
        destination: text of the destination it was made for: its "current next-hop".
        is_best: its server has the best preference of that destination.
        endpoint: the key it is kept under.
        level: numeric TLS level of the session.
    """

    session: Session
    destination: str
    is_best: bool
    endpoint: str
    level: int = 0


class Pool:
    """The sessions of one process.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock
        self._sessions: dict[str, deque[tuple[float, Kept]]] = {}
        self._bindings: dict[str, dict[str, tuple[float, str, bool]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(len(kept) for kept in self._sessions.values())

    def save(self, kept: Kept, destination_key: str | None, lifetime: float) -> None:
        """Keep a session for `lifetime` seconds, to be found by its endpoint and, if given, by the next-hop key."""
        expires = self._now() + lifetime
        self._sessions.setdefault(kept.endpoint, deque()).append((expires, kept))
        if destination_key is not None:
            # A repeated binding only restarts its timer: the order of endpoints is that of their first saving.
            bound = self._bindings.setdefault(destination_key, {})
            bound[kept.endpoint] = (expires, kept.destination, kept.is_best)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(lifetime, self._sweep)

    def find_destination(self, key: str) -> Kept | None:
        """Take the first session bound to a next-hop key."""
        bound = self._bindings.get(key)
        if not bound:
            return None
        now = self._now()
        for endpoint, (expires, destination, is_best) in list(bound.items()):
            if expires <= now:
                del bound[endpoint]
                continue
            kept = self.find_endpoint(endpoint)
            if kept is not None:
                return Kept(kept.session, destination, is_best, endpoint, kept.level)
        return None

    def find_endpoint(self, key: str) -> Kept | None:
        """Take the oldest session to an endpoint."""
        sessions = self._sessions.get(key)
        if not sessions:
            return None
        now = self._now()
        found = None
        while sessions and found is None:
            expires, kept = sessions.popleft()
            if expires > now:
                found = kept
            else:
                kept.session.close()
        if not sessions:
            del self._sessions[key]
        return found

    def close(self) -> None:
        """Close all sessions."""
        for sessions in self._sessions.values():
            for _, kept in sessions:
                kept.session.close()
        self._sessions.clear()
        self._bindings.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _now(self) -> float:
        return self._clock() if self._clock is not None else asyncio.get_running_loop().time()

    def _sweep(self) -> None:
        """End what has expired; keep the timer only while something is kept."""
        now = self._now()
        self._timer = None
        upcoming = []
        for key, sessions in list(self._sessions.items()):
            while sessions and sessions[0][0] <= now:
                sessions.popleft()[1].session.close()
            if sessions:
                upcoming.append(sessions[0][0])
            else:
                del self._sessions[key]
        for key, bound in list(self._bindings.items()):
            for endpoint in [endpoint for endpoint, binding in bound.items() if binding[0] <= now]:
                del bound[endpoint]
            if bound:
                upcoming.append(min(binding[0] for binding in bound.values()))
            else:
                del self._bindings[key]
        if upcoming:
            self._timer = asyncio.get_running_loop().call_later(max(0.01, min(upcoming) - now), self._sweep)
