"""``debug_peer_list``: more to read in the log about some servers (process chapter 14.10)."""

from collections.abc import Awaitable, Callable

from postfix_smtp import log


class PeerVerbosity:
    """Raises the verbosity of one delivery, one raise at a time.

    Args:
        match: whether a name or an address is on the list; None: there is no list.
        level: how much verbosity is raised (``debug_peer_level``).
    """

    def __init__(self, match: Callable[[str, str], Awaitable[bool]] | None, level: int) -> None:
        self._match = match
        self._level = level
        self._is_raised = False

    async def raise_for(self, name: str, address: str) -> bool:
        """Be verbose from now on if the list says so; the result is for :meth:`calm`."""
        if self._match is None or self._is_raised or not await self._match(name, address):
            return False
        self._is_raised = True
        log.verbosity.set(log.verbosity.get() + self._level)
        return True

    def calm(self, raised: bool) -> None:
        """Undo what :meth:`raise_for` did."""
        if raised:
            self._is_raised = False
            log.verbosity.set(log.verbosity.get() - self._level)
