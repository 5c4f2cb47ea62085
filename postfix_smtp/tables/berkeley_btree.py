"""Berkeley DB's trees: from a key to its value (tables chapter 6.1)."""

import struct

from postfix_smtp.tables.berkeley_pages import DAMAGED, TYPE_AT, Pages
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
        offsets = pages.offsets(page, count)
        if kind == _LEAF:
            return _in_leaf(pages, page, offsets, key)
        if kind != _INTERNAL or not count:
            raise DamagedFile(DAMAGED)
        number = _child(pages, page, offsets, key)


def _child(pages: Pages, page: bytes, offsets: tuple[int, ...], key: bytes) -> int:
    """The page below for keys from the last entry on that is not greater; the first is less than everything."""
    first, last = 0, len(offsets) - 1
    while first < last:
        middle = (first + last + 1) // 2
        if _internal_key(pages, page, offsets[middle]) <= key:
            first = middle
        else:
            last = middle - 1
    return int(struct.unpack(f"{pages.meta.order}I", _part(page, offsets[first] + 4, 4))[0])


def _internal_key(pages: Pages, page: bytes, offset: int) -> bytes:
    length, kind = struct.unpack(f"{pages.meta.order}HB", _part(page, offset, 3))
    item = _part(page, offset + 12, length)
    if kind & ~_DELETED == _INLINE:
        return item
    if kind & ~_DELETED == _LONG:
        return pages.long_item(item[4:12])
    raise DamagedFile(DAMAGED)


def _in_leaf(pages: Pages, page: bytes, offsets: tuple[int, ...], key: bytes) -> bytes | None:
    if len(offsets) % 2:
        raise DamagedFile(DAMAGED)
    first, last = 0, len(offsets) // 2
    while first < last:
        middle = (first + last) // 2
        kind, found = _leaf_item(pages, page, offsets[2 * middle])
        if found == key:
            data_kind, value = _leaf_item(pages, page, offsets[2 * middle + 1])
            return None if (kind | data_kind) & _DELETED else value
        if found < key:
            first = middle + 1
        else:
            last = middle
    return None


def _leaf_item(pages: Pages, page: bytes, offset: int) -> tuple[int, bytes]:
    length, kind = struct.unpack(f"{pages.meta.order}HB", _part(page, offset, 3))
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
