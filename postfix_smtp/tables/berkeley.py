"""hash and btree: files of the Berkeley DB library, versions 3 to 18, read without it (tables chapter 6.1).

Every look-up reads the file anew under a lock, so a file that was rewritten in place is answered from as it is now.
"""

import fcntl
from collections.abc import Callable

from postfix_smtp.errors import FatalError
from postfix_smtp.tables import berkeley_btree, berkeley_hash
from postfix_smtp.tables.base import Table, TableFlags
from postfix_smtp.tables.berkeley_pages import META_SIZE, Meta, Pages, parse_meta
from postfix_smtp.tables.indexed import DatabaseFile, IndexedTable, first_look, open_file
from postfix_smtp.tables.opening import Opener

_Search = Callable[[Pages, bytes], bytes | None]


class BerkeleyTable(IndexedTable):
    """One file.

    Args:
        magic: number that tells the kind of file.
        search: how to find a key in it.
        locking: lock the file at every look-up.
    """

    def __init__(self, name: str, file: DatabaseFile, magic: int, search: _Search, *, locking: bool) -> None:
        super().__init__(name, file, file.path)
        self._magic = magic
        self._search = search
        self._locking = locking
        self._meta_octets = b""
        self._meta: Meta | None = None

    def get(self, key: bytes) -> bytes | None:
        """Look up under a lock."""
        descriptor = self._file.descriptor
        if not self._locking:
            return self._search(self._pages(), key)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        except OSError as error:
            raise FatalError(f"{self._file.path}: lock dictionary: {error.strerror}") from None
        try:
            return self._search(self._pages(), key)
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _pages(self) -> Pages:
        octets = self._file.read(0, META_SIZE)
        if self._meta is None or octets != self._meta_octets:
            self._meta = parse_meta(octets, self._magic, self._file.size())
            self._meta_octets = octets
        return Pages(self._file, self._meta)

    def check(self) -> None:
        """Read the head of the file.

        Raises:
            DamagedFile: not a file of this type.
            OSError: cannot be read.
        """
        self._pages()


def _opens(kind: str, magic: int, search: _Search) -> Callable[[str, TableFlags, Opener], Table]:
    def open_table(name: str, flags: TableFlags, opener: Opener) -> Table:
        path = f"{name}.db"
        file = open_file(path)
        locking = bool(flags & TableFlags.LOCK)
        table = BerkeleyTable(f"{kind}:{path}", file, magic, search, locking=locking)
        with first_look(file):
            # Not a look-up's lock: a file that is being built is waited for whatever the flags are.
            fcntl.flock(file.descriptor, fcntl.LOCK_SH)
            table.check()
            fcntl.flock(file.descriptor, fcntl.LOCK_UN)
        if locking:
            file.warn_if_older_than(name)
        return table

    return open_table


open_hash = _opens("hash", berkeley_hash.MAGIC, berkeley_hash.search)
open_btree = _opens("btree", berkeley_btree.MAGIC, berkeley_btree.search)
