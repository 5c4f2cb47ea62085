"""Berkeley DB's trees: from a key to its value (tables chapter 6.1)."""

import struct
from bisect import bisect_right

from postfix_smtp.tables.berkeley_pages import DAMAGED, HEADER, LINKS_AT, TYPE_AT, Meta, Pages
from postfix_smtp.tables.branches import Branches
from postfix_smtp.tables.indexed import DamagedFile, DatabaseFile

MAGIC = 0x00053162

_INTERNAL, _LEAF = 3, 5
_INLINE, _LONG = 1, 3
_DELETED = 0x80
_LEAF_LEVEL = 1
_LEVEL_AT = 24
_HIGHEST_LEVEL = 255
#: An item is put on pages of its own if fewer than "minimum keys" such items, each key with its value, would fit in a
#: page. A key of less than half that size, to be on the safe side, is surely in the page itself.
_FRACTION = 4


class TreePages(Pages):
    """The pages of a btree file."""

    def __init__(self, file: DatabaseFile, meta: Meta) -> None:
        super().__init__(file, meta)
        (minimum_keys,) = meta.numbers(76, 1)
        (self._root,) = meta.numbers(88, 1)
        self._short_key = meta.page_size // (_FRACTION * minimum_keys) if minimum_keys else 0
        self._item_head = struct.Struct(f"{meta.order}HB")
        self._child_number = struct.Struct(f"{meta.order}I")
        self._branches = Branches(self._take_apart)

    def search(self, key: bytes) -> bytes | None:
        """Find a key."""
        branches = self._branches
        number = self._root
        above = _HIGHEST_LEVEL + 1
        while True:
            page = self.read(number)
            level = page[_LEVEL_AT]
            if not _LEAF_LEVEL <= level < above:  # or a chain of pages might lead back
                raise DamagedFile(DAMAGED)
            above = level
            branch = branches.get(number)
            if branch is not None and branch[0] == page:
                number = branch[2][bisect_right(branch[1], key, 1) - 1]
                continue
            kind = page[TYPE_AT]
            if kind == _LEAF:
                return self._in_leaf(page, key)
            if kind != _INTERNAL:
                raise DamagedFile(DAMAGED)
            branches.learn(number, page)
            number = self._child(page, key)

    def _count(self, page: bytes) -> int:
        count = int(self._links.unpack_from(page, LINKS_AT)[1])
        if HEADER + 2 * count > len(page):
            raise DamagedFile(DAMAGED)
        return count

    def _child(self, page: bytes, key: bytes) -> int:
        """The page below for keys from the last entry on that is not greater; the first is less than everything."""
        count = self._count(page)
        if not count:
            raise DamagedFile(DAMAGED)
        first, last = 0, count - 1
        while first < last:
            middle = (first + last + 1) // 2
            if self._internal_key(page, self.offset(page, middle, count)) <= key:
                first = middle
            else:
                last = middle - 1
        return self._child_at(page, self.offset(page, first, count))

    def _take_apart(self, page: bytes) -> tuple[list[bytes], list[int]] | None:
        """Keys and children of an internal page; None if a key is on other pages, which may change on their own."""
        count = self._count(page)
        offsets = [self.offset(page, index, count) for index in range(count)]
        if not count or any(_part(page, offset + 2, 1)[0] & ~_DELETED != _INLINE for offset in offsets[1:]):
            return None
        keys = [b"", *(self._internal_key(page, offset) for offset in offsets[1:])]
        return keys, [self._child_at(page, offset) for offset in offsets]

    def _child_at(self, page: bytes, offset: int) -> int:
        return int(self._child_number.unpack(_part(page, offset + 4, 4))[0])

    def _internal_key(self, page: bytes, offset: int) -> bytes:
        length, kind = self._item_head.unpack(_part(page, offset, 3))
        item = _part(page, offset + 12, length)
        if kind & ~_DELETED == _INLINE:
            return item
        if kind & ~_DELETED == _LONG:
            return self.long_item(item[4:12])
        raise DamagedFile(DAMAGED)

    def _in_leaf(self, page: bytes, key: bytes) -> bytes | None:
        count = self._count(page)
        if count % 2:
            raise DamagedFile(DAMAGED)
        if len(key) > self._short_key:
            return self._by_comparing(page, count, key)
        # The octets are searched for in the whole page: that is one call, where comparing keys is one for each.
        low = HEADER + 2 * count
        wanted = self._item_head.pack(len(key), _INLINE) + key
        position = page.rfind(wanted, low)
        while position >= 0:
            at = self.entry_at(page, low, position)
            if at >= 0:
                return self._value(page, (at - HEADER) // 2, count)
            position = page.rfind(wanted, low, position + len(wanted) - 1)
        return None

    def _by_comparing(self, page: bytes, count: int, key: bytes) -> bytes | None:
        first, last = 0, count // 2
        while first < last:
            middle = (first + last) // 2
            kind, found = self._leaf_item(page, self.offset(page, 2 * middle, count))
            if found == key:
                return None if kind & _DELETED else self._value(page, 2 * middle, count)
            if found < key:
                first = middle + 1
            else:
                last = middle
        return None

    def _value(self, page: bytes, index: int, count: int) -> bytes | None:
        """The value of key number `index` of the page."""
        kind, value = self._leaf_item(page, self.offset(page, index + 1, count))
        return None if kind & _DELETED else value

    def _leaf_item(self, page: bytes, offset: int) -> tuple[int, bytes]:
        if offset + 3 > len(page):
            raise DamagedFile(DAMAGED)
        length, kind = self._item_head.unpack_from(page, offset)
        if kind & ~_DELETED == _INLINE:
            return kind, _part(page, offset + 3, length)
        if kind & ~_DELETED == _LONG:
            return kind, self.long_item(_part(page, offset + 4, 8))
        raise DamagedFile(DAMAGED)


def _part(page: bytes, start: int, length: int) -> bytes:
    part = page[start : start + length]
    if len(part) != length:
        raise DamagedFile(DAMAGED)
    return part
