"""hash and btree: files of the Berkeley DB library, versions 3 to 18, read without it (tables chapter 6.1).

Every look-up reads the file anew under a lock, so a file that was rewritten in place is answered from as it is now.
"""

from collections.abc import Callable
from fcntl import LOCK_SH, LOCK_UN, flock
from os import pread

from postfix_smtp.errors import FatalError
from postfix_smtp.tables.base import Table, TableFlags
from postfix_smtp.tables.berkeley_btree import MAGIC as BTREE
from postfix_smtp.tables.berkeley_btree import TreePages
from postfix_smtp.tables.berkeley_hash import MAGIC as HASH
from postfix_smtp.tables.berkeley_hash import HashPages
from postfix_smtp.tables.berkeley_pages import META_SIZE, Pages, parse_meta
from postfix_smtp.tables.indexed import DatabaseFile, IndexedTable, first_look, open_file
from postfix_smtp.tables.opening import Opener


class BerkeleyTable(IndexedTable):
    """One file.

    Args:
        magic: number that tells the kind of file.
        kind: how to find a key in it.
        locking: lock the file at every look-up.
    """

    def __init__(self, name: str, file: DatabaseFile, magic: int, kind: type[Pages], *, locking: bool) -> None:
        super().__init__(name, file, file.path)
        self._magic = magic
        self._kind = kind
        self._locking = locking
        self._head = b""
        self._pages: Pages | None = None

    def get(self, key: bytes) -> bytes | None:
        """Look up under a lock."""
        descriptor = self._file.descriptor
        if self._locking:
            try:
                flock(descriptor, LOCK_SH)
            except OSError as error:
                raise FatalError(f"{self._file.path}: lock dictionary: {error.strerror}") from None
        try:
            head = pread(descriptor, META_SIZE, 0)
            pages = self._pages
            if pages is None or head != self._head:
                pages = self._read(head)
            return pages.search(key)
        finally:
            if self._locking:
                flock(descriptor, LOCK_UN)

    def check(self) -> None:
        """Read the head of the file.

        Raises:
            DamagedFile: not a file of this type.
            OSError: cannot be read.
        """
        self._read(self._file.read(0, META_SIZE))

    def _read(self, head: bytes) -> Pages:
        """The pages of a file that begins so."""
        pages = self._pages = self._kind(self._file, parse_meta(head, self._magic, self._file.size()))
        self._head = head
        return pages


def _opens(kind: str, magic: int, pages: type[Pages]) -> Callable[[str, TableFlags, Opener], Table]:
    def open_table(name: str, flags: TableFlags, opener: Opener) -> Table:
        path = f"{name}.db"
        file = open_file(path)
        locking = bool(flags & TableFlags.LOCK)
        table = BerkeleyTable(f"{kind}:{path}", file, magic, pages, locking=locking)
        with first_look(file):
            # Not a look-up's lock: a file that is being built is waited for whatever the flags are.
            flock(file.descriptor, LOCK_SH)
            table.check()
            flock(file.descriptor, LOCK_UN)
        if locking:
            file.warn_if_older_than(name)
        return table

    return open_table


open_hash = _opens("hash", HASH, HashPages)
open_btree = _opens("btree", BTREE, TreePages)
