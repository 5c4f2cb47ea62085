"""Berkeley DB's trees: from a key to its value (tables chapter 6.1)."""

import struct

from postfix_smtp.tables.berkeley_pages import DAMAGED, HEADER, TYPE_AT, Pages
from postfix_smtp.tables.indexed import DamagedFile

MAGIC = 0x00053162

_INTERNAL, _LEAF = 3, 5
_INLINE, _LONG = 1, 3
_DELETED = 0x80
_LEAF_LEVEL = 1
_LEVEL_AT = 24
_HIGHEST_LEVEL = 255


def search(pages: Pages, key: bytes) -> bytes | None:
    """Find a key.

    Raises:
        DamagedFile: the file is not as it should be.
    """
    (number,) = pages.meta.numbers(88, 1)
    above = _HIGHEST_LEVEL + 1
    while True:
        page = pages.read(number)
        level, kind = page[_LEVEL_AT], page[TYPE_AT]
        if not _LEAF_LEVEL <= level < above:  # or a chain of pages might lead back
            raise DamagedFile(DAMAGED)
        above = level
        count = pages.meta.links.unpack_from(page, 12)[2]
        if HEADER + 2 * count > len(page):
            raise DamagedFile(DAMAGED)
        if kind == _LEAF:
            return _in_leaf(pages, page, count, key)
        if kind != _INTERNAL or not count:
            raise DamagedFile(DAMAGED)
        number = _child(pages, page, count, key)


def _child(pages: Pages, page: bytes, count: int, key: bytes) -> int:
    """The page below for keys from the last entry on that is not greater; the first is less than everything."""
    first, last = 0, count - 1
    while first < last:
        middle = (first + last + 1) // 2
        if _internal_key(pages, page, pages.offset(page, middle, count)) <= key:
            first = middle
        else:
            last = middle - 1
    child = _part(page, pages.offset(page, first, count) + 4, 4)
    return int(struct.unpack(f"{pages.meta.order}I", child)[0])


def _internal_key(pages: Pages, page: bytes, offset: int) -> bytes:
    length, kind = struct.unpack(f"{pages.meta.order}HB", _part(page, offset, 3))
    item = _part(page, offset + 12, length)
    if kind & ~_DELETED == _INLINE:
        return item
    if kind & ~_DELETED == _LONG:
        return pages.long_item(item[4:12])
    raise DamagedFile(DAMAGED)


def _in_leaf(pages: Pages, page: bytes, count: int, key: bytes) -> bytes | None:
    if count % 2:
        raise DamagedFile(DAMAGED)
    first, last = 0, count // 2
    while first < last:
        middle = (first + last) // 2
        kind, found = _leaf_item(pages, page, pages.offset(page, 2 * middle, count))
        if found == key:
            data_kind, value = _leaf_item(pages, page, pages.offset(page, 2 * middle + 1, count))
            return None if (kind | data_kind) & _DELETED else value
        if found < key:
            first = middle + 1
        else:
            last = middle
    return None


def _leaf_item(pages: Pages, page: bytes, offset: int) -> tuple[int, bytes]:
    if offset + 3 > len(page):
        raise DamagedFile(DAMAGED)
    length, kind = pages.meta.offset.unpack_from(page, offset)[0], page[offset + 2]
    if kind & ~_DELETED == _INLINE:
        return kind, _part(page, offset + 3, length)
    if kind & ~_DELETED == _LONG:
        return kind, pages.long_item(_part(page, offset + 4, 8))
    raise DamagedFile(DAMAGED)


def _part(page: bytes, start: int, length: int) -> bytes:
    part = page[start : start + length]
    if len(part) != length:
        raise DamagedFile(DAMAGED)
    return part
