"""Pages of a tree that lead to other pages, remembered with their keys taken apart.

What is remembered of a page counts only if the page was read again and has the same octets, or if the file surely has
not been changed since: so a file may be rewritten at any time, with or without locks.
"""

import os
import time
from collections.abc import Callable
from typing import NamedTuple

from postfix_smtp.tables.indexed import DamagedFile, DatabaseFile

#: Pages to remember: enough for a file of some 10,000 leaves; they take up to 15 kB each.
_MOST = 128

#: A file that was changed within this time may be changed once more with its time staying the same (nanoseconds).
_SETTLES = 5_000_000_000
#: For how long time and size of a file are enough to say that it is the same (seconds).
_PERIOD = 1.0


class Branch(NamedTuple):
    """A page; child number i is for keys from keys[i] on, and the first for all less than keys[1]."""

    page: bytes
    keys: list[bytes]
    children: list[int]


_TakeApart = Callable[[bytes], tuple[list[bytes], list[int]] | None]

#: Instead of a page that cannot be taken apart.
_UNKNOWN = Branch(b"", [], [])


class Branches(dict[int, Branch]):
    """What is known of the branch pages of one file, by number.

    Args:
        take_apart: keys and children of a page; None if the keys are not all in the page.
    """

    def __init__(self, take_apart: _TakeApart) -> None:
        super().__init__()
        self._take_apart = take_apart

    def learn(self, number: int, page: bytes) -> None:
        """Remember a page that is not known, or known with other octets, if there is room."""
        known = self.get(number)
        if known is _UNKNOWN or (known is None and len(self) >= _MOST):
            return
        try:
            parts = self._take_apart(page)
        except DamagedFile:
            parts = None  # whether that matters depends on the key
        self[number] = Branch(page, *parts) if parts else _UNKNOWN


class ValidBranches(Branches):
    """The same, for a file whose time is asked before each look-up.

    It is not the modification time, which anybody may set, but that of any change; and even so it is not relied on for
    long at a time, whatever the file system.

    Attributes:
        valid: the pages that need not be read again: they have been since the file was changed.
    """

    def __init__(self, file: DatabaseFile, take_apart: _TakeApart) -> None:
        super().__init__(take_apart)
        self.valid: dict[int, Branch] = {}
        self._descriptor = file.descriptor
        self._changed = self._size = 0
        self._ends = self._unsettled_until = 0.0

    def still_valid(self) -> bool:
        """Whether the file surely is what it was at the last :meth:`renew`."""
        now = time.monotonic()
        if now >= self._unsettled_until:
            status = os.fstat(self._descriptor)
            changed, size = status.st_ctime_ns, status.st_size
            if now < self._ends and changed == self._changed and size == self._size:
                return True
            self._changed, self._size = changed, size
            self._unsettled_until = now + min(_SETTLES, changed + _SETTLES - time.time_ns()) / 1e9
        self._ends = 0.0
        self.valid.clear()
        return False

    def renew(self) -> None:
        """What is read from now on stays valid, if the file has settled. To be called when its head has been read."""
        now = time.monotonic()
        if now >= self._unsettled_until:
            self._ends = now + _PERIOD
