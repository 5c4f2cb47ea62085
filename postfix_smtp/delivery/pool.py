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
from postfix_smtp.smtp.peer import Peer

#: Seconds a session waits for this process before others may have it. A process that delivers to a destination again
#: and again finds its sessions at once; what it leaves alone for so long, another one can use.
HAND_OVER_AFTER = 0.5


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


@dataclass(frozen=True, slots=True)
class _Binding:
    """What a next-hop key leads to: an endpoint, and the server there under the name it has for this next-hop."""

    endpoint: str
    destination: str
    is_best: bool
    peer: Peer


#: Takes over a session that nobody of this process wanted, with the next-hop key it was saved under.
HandOver = Callable[[Kept, str | None], None]


class Pool:
    """The sessions of one process.

    Args:
        hand_over: where plaintext sessions go that were not wanted here; None: they are closed.
        patience: seconds after which they go there.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        hand_over: HandOver | None = None,
        patience: float = HAND_OVER_AFTER,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._hand_over = hand_over
        self._patience = patience
        self._clock = clock
        self._sessions: dict[str, deque[tuple[float, Kept, str | None]]] = {}
        self._bindings: dict[str, dict[_Binding, float]] = {}  # next-hop key: times of expiry
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(len(kept) for kept in self._sessions.values())

    def save(self, kept: Kept, destination_key: str | None, lifetime: float) -> None:
        """Keep a session for `lifetime` seconds, to be found by its endpoint and, if given, by the next-hop key."""
        if self._moves(kept):
            lifetime = min(lifetime, self._patience)
        expires = self._now() + lifetime
        self._sessions.setdefault(kept.endpoint, deque()).append((expires, kept, destination_key))
        if destination_key is not None:
            # A repeated binding only restarts its timer: the order of bindings is that of their first saving.
            bound = self._bindings.setdefault(destination_key, {})
            bound[_Binding(kept.endpoint, kept.destination, kept.is_best, kept.session.peer)] = expires
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(lifetime, self._sweep)

    def find_destination(self, key: str) -> Kept | None:
        """Take the first session bound to a next-hop key."""
        bound = self._bindings.get(key)
        if not bound:
            return None
        now = self._now()
        for binding, expires in list(bound.items()):
            if expires <= now:
                del bound[binding]
                continue
            kept = self.find_endpoint(binding.endpoint)
            if kept is not None:
                kept.session.peer = binding.peer
                return Kept(kept.session, binding.destination, binding.is_best, binding.endpoint, kept.level)
        return None

    def find_endpoint(self, key: str) -> Kept | None:
        """Take the oldest session to an endpoint."""
        sessions = self._sessions.get(key)
        if not sessions:
            return None
        now = self._now()
        found = None
        while sessions and found is None:
            expires, kept, _ = sessions.popleft()
            if expires > now or self._moves(kept):
                found = kept
            else:
                kept.session.close()
        if not sessions:
            del self._sessions[key]
        return found

    def close(self) -> None:
        """Part with all sessions."""
        for sessions in self._sessions.values():
            for _, kept, destination_key in sessions:
                self._part_with(kept, destination_key)
        self._sessions.clear()
        self._bindings.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _moves(self, kept: Kept) -> bool:
        """Whether a session can be of use to another process."""
        return self._hand_over is not None and kept.session.tls is None

    def _part_with(self, kept: Kept, destination_key: str | None) -> None:
        if self._hand_over is not None and kept.session.tls is None:
            self._hand_over(kept, destination_key)
        else:
            kept.session.close()

    def _now(self) -> float:
        return self._clock() if self._clock is not None else asyncio.get_running_loop().time()

    def _sweep(self) -> None:
        """End what has expired; keep the timer only while something is kept."""
        now = self._now()
        self._timer = None
        upcoming = []
        for key, sessions in list(self._sessions.items()):
            while sessions and sessions[0][0] <= now:
                _, kept, destination_key = sessions.popleft()
                self._part_with(kept, destination_key)
            if sessions:
                upcoming.append(sessions[0][0])
            else:
                del self._sessions[key]
        for key, bound in list(self._bindings.items()):
            for binding in [binding for binding, expires in bound.items() if expires <= now]:
                del bound[binding]
            if bound:
                upcoming.append(min(bound.values()))
            else:
                del self._bindings[key]
        if upcoming:
            self._timer = asyncio.get_running_loop().call_later(max(0.01, min(upcoming) - now), self._sweep)
