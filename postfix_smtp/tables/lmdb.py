"""lmdb: files of the Lightning Memory-mapped Database, read without its library (tables chapter 6.3).

Postfix's files have no lock file beside them and are protected by a lock on the whole file, which the library's Python
binding knows nothing of. Reading goes by pages, as the file is at that moment.
"""

import fcntl
import os
import struct

from postfix_smtp.errors import FatalError
from postfix_smtp.tables.base import Table, TableFlags
from postfix_smtp.tables.indexed import DamagedFile, IndexedTable, first_look, open_file
from postfix_smtp.tables.opening import Opener

_MAGIC = 0xBEEFC0DE
_VERSION = 1
_BRANCH, _LEAF, _LONG, _META = 1, 2, 4, 8
_LONG_VALUE = 1
_EMPTY = 2**64 - 1
_HEADER = 16
_LONGEST_KEY = 511
#: A tree higher than this is damaged: pages lead back to each other.
_HIGHEST = 64
_MOST_PAGES = 2**46
_PAGE_SIZES = frozenset(2**power for power in range(8, 17))

_NO_LMDB = "MDB_INVALID: File is not an LMDB file"
_OTHER_VERSION = "MDB_VERSION_MISMATCH: Database environment version mismatch"
_DAMAGED = "MDB_CORRUPTED: Located page was wrong type"
_NO_PAGE = "MDB_PAGE_NOTFOUND: Requested page not found"

# Numbers are in the machine's order, and sizes as on a 64-bit machine: files are not portable (tables chapter 6.3).
_META_HEAD = struct.Struct("=2I")
_META_SIZE = _HEADER + 136
_META_PAGE_SIZE_AT = _HEADER + 24
_META_FLAGS_AT = _HEADER + 24 + 48 + 4
_META_ROOT_AT = _HEADER + 24 + 48 + 40
_META_TRANSACTION_AT = _HEADER + 24 + 96 + 8
_OFFSET = struct.Struct("=H")
_NODE = struct.Struct("=4H")
_NUMBER = struct.Struct("=Q")


class LmdbTable(IndexedTable):
    """One file. Concurrent writers are allowed, so only a file that was replaced is a changed one."""

    locking = True
    _metas = b"", b""  # of the last look-up, and what they said
    _page_size = _root = 0

    def changed(self) -> bool:
        """The file was removed or replaced."""
        return os.fstat(self._file.descriptor).st_nlink == 0

    def get(self, key: bytes) -> bytes | None:
        """Look up under a lock."""
        descriptor = self._file.descriptor
        if not self.locking:
            return self._search(key)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_SH)
        except OSError as error:
            raise FatalError(f"{self._file.path}: lock dictionary: {error.strerror}") from None
        try:
            return self._search(key)
        finally:
            fcntl.lockf(descriptor, fcntl.LOCK_UN)

    def root(self) -> tuple[int, int]:
        """Page size, and the page where the tree begins.

        Raises:
            DamagedFile: not such a file.
        """
        first = self._file.read(0, _META_SIZE)
        second = self._file.read(self._page_size, _META_SIZE) if self._page_size else b""
        if (first, second) == self._metas:
            return self._page_size, self._root
        size = self._check_meta(first)
        second = self._file.read(size, _META_SIZE)
        self._check_meta(second)
        newer = max((first, second), key=lambda meta: _NUMBER.unpack_from(meta, _META_TRANSACTION_AT))
        if struct.unpack_from("=H", newer, _META_FLAGS_AT)[0]:
            raise DamagedFile("MDB_INCOMPATIBLE: Operation and DB incompatible, or DB flags changed")
        self._metas = first, second
        self._page_size, self._root = size, _NUMBER.unpack_from(newer, _META_ROOT_AT)[0]
        return self._page_size, self._root

    def _check_meta(self, meta: bytes) -> int:
        if len(meta) < _META_SIZE or not struct.unpack_from("=H", meta, 10)[0] & _META:
            raise DamagedFile(_NO_LMDB)
        magic, version = _META_HEAD.unpack_from(meta, _HEADER)
        size = int(struct.unpack_from("=I", meta, _META_PAGE_SIZE_AT)[0])
        if magic != _MAGIC or size not in _PAGE_SIZES:
            raise DamagedFile(_NO_LMDB)
        if version != _VERSION:
            raise DamagedFile(_OTHER_VERSION)
        return size

    def _search(self, key: bytes) -> bytes | None:
        size, number = self.root()
        if number == _EMPTY or not 0 < len(key) <= _LONGEST_KEY:
            return None
        for _ in range(_HIGHEST):
            page = self._page(number, size)
            flags, lower, upper = struct.unpack_from("=3H", page, 10)
            count = (lower - _HEADER) // 2
            if not _HEADER <= lower <= upper <= size:
                raise DamagedFile(_DAMAGED)
            if flags & _LEAF:
                return self._in_leaf(page, count, key)
            if not flags & _BRANCH or not count:
                raise DamagedFile(_DAMAGED)
            number = _child(page, count, key)
        raise DamagedFile(_DAMAGED)

    def _page(self, number: int, size: int) -> bytes:
        page = self._file.read(number * size, size) if number < _MOST_PAGES else b""
        if len(page) != size:
            raise DamagedFile(_NO_PAGE)
        if _NUMBER.unpack_from(page)[0] != number:
            raise DamagedFile(_DAMAGED)
        return page

    def _in_leaf(self, page: bytes, count: int, key: bytes) -> bytes | None:
        first, last = 0, count
        while first < last:
            middle = (first + last) // 2
            start, low, high, flags, key_size = _node(page, middle)
            found = _part(page, start, key_size)
            if found == key:
                length = low | high << 16
                if flags & _LONG_VALUE:
                    return self._long(_NUMBER.unpack(_part(page, start + key_size, 8))[0], len(page), length)
                if flags:
                    raise DamagedFile(_DAMAGED)
                return _part(page, start + key_size, length)
            if found < key:
                first = middle + 1
            else:
                last = middle
        return None

    def _long(self, number: int, size: int, length: int) -> bytes:
        """A value on pages of its own."""
        page = self._page(number, size)
        flags, count = struct.unpack_from("=HI", page, 10)
        if not flags & _LONG or length > count * size - _HEADER:
            raise DamagedFile(_DAMAGED)
        if number * size + _HEADER + length > self._file.size():
            raise DamagedFile(_NO_PAGE)
        return self._file.read(number * size + _HEADER, length)


def _child(page: bytes, count: int, key: bytes) -> int:
    """The page below for keys from the last node on that is not greater; the first is less than everything."""
    first, last = 0, count - 1
    while first < last:
        middle = (first + last + 1) // 2
        start, _, _, _, key_size = _node(page, middle)
        if _part(page, start, key_size) <= key:
            first = middle
        else:
            last = middle - 1
    _, low, high, flags, _ = _node(page, first)
    return int(low | high << 16 | flags << 32)


def _node(page: bytes, index: int) -> tuple[int, int, int, int, int]:
    """Where the key of a node begins, the two halves of its number, its flags, and the size of the key."""
    offset = _OFFSET.unpack_from(page, _HEADER + 2 * index)[0]
    if not _HEADER <= offset <= len(page) - 8:
        raise DamagedFile(_DAMAGED)
    return offset + 8, *_NODE.unpack_from(page, offset)


def _part(page: bytes, start: int, length: int) -> bytes:
    part = page[start : start + length]
    if len(part) != length:
        raise DamagedFile(_DAMAGED)
    return part


def open_lmdb(name: str, flags: TableFlags, opener: Opener) -> Table:
    """Open ``NAME.lmdb``."""
    path = f"{name}.lmdb"
    file = open_file(path)
    table = LmdbTable(f"lmdb:{name}", file, f"lmdb:{name}")
    table.locking = bool(flags & TableFlags.LOCK)
    with first_look(file):
        fcntl.lockf(file.descriptor, fcntl.LOCK_SH)
        if not file.size():
            raise DamagedFile("Bad file descriptor")  # what the library says when it may not make a database of it
        table.root()
        fcntl.lockf(file.descriptor, fcntl.LOCK_UN)
    if table.locking:
        file.warn_if_older_than(name)
    return table
