"""lmdb: files of the Lightning Memory-mapped Database, read without its library (tables chapter 6.3).

Postfix's files have no lock file beside them and are protected by a lock on the whole file, which the library's Python
binding knows nothing of. Reading goes by pages, as the file is at that moment.
"""

import os
import struct
from bisect import bisect_right
from fcntl import LOCK_SH, LOCK_UN, lockf
from os import pread

from postfix_smtp.errors import FatalError
from postfix_smtp.tables.base import Table, TableFlags
from postfix_smtp.tables.branches import ValidBranches
from postfix_smtp.tables.indexed import DamagedFile, DatabaseFile, IndexedTable, first_look, open_file
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
_FLAGS_AT = 10
_KEY_SIZE_AT, _KEY_AT = 6, 8  #: in a node
_PAGE_HEAD = struct.Struct("=3H")  #: from the flags on
_OFFSET = struct.Struct("=H")
_NODE = struct.Struct("=3H")  #: the two halves of its number, and its flags; the size of the key follows
_NUMBER = struct.Struct("=Q")


class LmdbTable(IndexedTable):
    """One file. Concurrent writers are allowed, so only a file that was replaced is a changed one."""

    locking = True

    def __init__(self, name: str, file: DatabaseFile) -> None:
        super().__init__(name, file, name)
        self._head = b""  # both metas, as of the last look-up, and what they said
        self._page_size = self._root = 0
        self._branches = ValidBranches(file, _take_apart)

    def changed(self) -> bool:
        """The file was removed or replaced."""
        return os.fstat(self._file.descriptor).st_nlink == 0

    def get(self, key: bytes) -> bytes | None:
        """Look up under a lock."""
        descriptor = self._file.descriptor
        if self.locking:
            try:
                lockf(descriptor, LOCK_SH)
            except OSError as error:
                raise FatalError(f"{self._file.path}: lock dictionary: {error.strerror}") from None
        try:
            return self._search(key)
        finally:
            if self.locking:
                lockf(descriptor, LOCK_UN)

    def read_head(self) -> None:
        """Find out where the tree begins now.

        Raises:
            DamagedFile: not such a file.
        """
        size = self._page_size
        head = self._file.read(0, size + _META_SIZE)
        if size and head == self._head:
            return
        first = head[:_META_SIZE]
        size = self._check_meta(first)
        if size != self._page_size:
            head = self._file.read(0, size + _META_SIZE)
        second = head[size:]
        self._check_meta(second)
        newer = max((first, second), key=lambda meta: _NUMBER.unpack_from(meta, _META_TRANSACTION_AT))
        if struct.unpack_from("=H", newer, _META_FLAGS_AT)[0]:
            raise DamagedFile("MDB_INCOMPATIBLE: Operation and DB incompatible, or DB flags changed")
        self._root = _NUMBER.unpack_from(newer, _META_ROOT_AT)[0]
        self._page_size, self._head = size, head

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
        branches = self._branches
        if not branches.still_valid():
            self.read_head()
            branches.renew()
        size, number, valid = self._page_size, self._root, branches.valid
        if number == _EMPTY or not 0 < len(key) <= _LONGEST_KEY:
            return None
        for _ in range(_HIGHEST):
            branch = valid.get(number)
            if branch is None:
                page = self._page(number, size)
                branch = branches.get(number)
                if branch is None or branch[0] != page:
                    flags, lower, upper = _PAGE_HEAD.unpack_from(page, _FLAGS_AT)
                    if not _HEADER <= lower <= upper <= size:
                        raise DamagedFile(_DAMAGED)
                    if flags & _LEAF:
                        return self._in_leaf(page, lower, key)
                    if not flags & _BRANCH:
                        raise DamagedFile(_DAMAGED)
                    branches.learn(number, page)
                    number = _child(page, (lower - _HEADER) // 2, key)
                    continue
                valid[number] = branch
            number = branch[2][bisect_right(branch[1], key, 1) - 1]
        raise DamagedFile(_DAMAGED)

    def _in_leaf(self, page: bytes, lower: int, key: bytes) -> bytes | None:
        # The octets are searched for in the whole page: that is one call, where comparing keys is one for each.
        wanted = _OFFSET.pack(len(key)) + key
        position = page.rfind(wanted, lower)
        while position >= 0:
            # Is it a key, or part of something else?
            offset = _OFFSET.pack(position - _KEY_SIZE_AT)
            at = page.find(offset, _HEADER, lower)
            while at >= 0 and at % 2:
                at = page.find(offset, at + 1, lower)
            if at >= 0:
                low, high, flags = _NODE.unpack_from(page, position - _KEY_SIZE_AT)
                start, length = position + len(wanted), low | high << 16
                if flags & _LONG_VALUE:
                    return self._long(_NUMBER.unpack(_part(page, start, 8))[0], len(page), length)
                if flags:
                    raise DamagedFile(_DAMAGED)
                return _part(page, start, length)
            position = page.rfind(wanted, lower, position + len(wanted) - 1)
        return None

    def _page(self, number: int, size: int) -> bytes:
        page = pread(self._file.descriptor, size, number * size) if number < _MOST_PAGES else b""
        if len(page) != size:
            raise DamagedFile(_NO_PAGE)
        if _NUMBER.unpack_from(page)[0] != number:
            raise DamagedFile(_DAMAGED)
        return page

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
    if not count:
        raise DamagedFile(_DAMAGED)
    first, last = 0, count - 1
    while first < last:
        middle = (first + last + 1) // 2
        if _node(page, middle)[1] <= key:
            first = middle
        else:
            last = middle - 1
    return _node(page, first)[0]


def _take_apart(page: bytes) -> tuple[list[bytes], list[int]] | None:
    """Keys and children of a branch page."""
    count = (_PAGE_HEAD.unpack_from(page, _FLAGS_AT)[1] - _HEADER) // 2
    nodes = [_node(page, index) for index in range(count)]
    return ([key for _, key in nodes], [child for child, _ in nodes]) if nodes else None


def _node(page: bytes, index: int) -> tuple[int, bytes]:
    """The page below and the key of a branch node."""
    offset = _OFFSET.unpack_from(page, _HEADER + 2 * index)[0]
    if not _HEADER <= offset <= len(page) - _KEY_AT:
        raise DamagedFile(_DAMAGED)
    low, high, flags = _NODE.unpack_from(page, offset)
    size = _OFFSET.unpack_from(page, offset + _KEY_SIZE_AT)[0]
    return low | high << 16 | flags << 32, _part(page, offset + _KEY_AT, size)


def _part(page: bytes, start: int, length: int) -> bytes:
    part = page[start : start + length]
    if len(part) != length:
        raise DamagedFile(_DAMAGED)
    return part


def open_lmdb(name: str, flags: TableFlags, opener: Opener) -> Table:
    """Open ``NAME.lmdb``."""
    path = f"{name}.lmdb"
    file = open_file(path)
    table = LmdbTable(f"lmdb:{name}", file)
    table.locking = bool(flags & TableFlags.LOCK)
    with first_look(file):
        lockf(file.descriptor, LOCK_SH)
        if not file.size():
            raise DamagedFile("Bad file descriptor")  # what the library says when it may not make a database of it
        table.read_head()
        lockf(file.descriptor, LOCK_UN)
    if table.locking:
        file.warn_if_older_than(name)
    return table
