"""Berkeley DB's extended linear hashing: from a key to its value (tables chapter 6.1)."""

from postfix_smtp.tables.berkeley_pages import DAMAGED, HEADER, TYPE_AT, Pages
from postfix_smtp.tables.indexed import DamagedFile

MAGIC = 0x00061561

_PRIME = 16777619
_UNSORTED, _SORTED, _UNUSED = 2, 13, 0
_INLINE, _LONG = 1, 3
#: The library may have been given another hash function: the head then has another hash of this text.
_CHECK_TEXT = b"%$sniglet^&\0"


def fnv(key: bytes) -> int:
    """The library's hash of a key, 32 bits."""
    number = 0
    for octet in key:
        number = (number * _PRIME ^ octet) & 0xFFFFFFFF
    return number


_CHECK = fnv(_CHECK_TEXT)


def search(pages: Pages, key: bytes) -> bytes | None:
    """Find a key.

    Raises:
        DamagedFile: the file is not as it should be.
    """
    buckets, high, low, _, _, check = pages.meta.numbers(72, 6)
    if check != _CHECK:
        raise DamagedFile(DAMAGED)
    bucket = fnv(key) & high
    if bucket > buckets:
        bucket &= low
    # Buckets are numbered on; their pages come in groups that were added whenever the table doubled.
    group = bucket.bit_length()
    number = bucket + pages.meta.numbers(96 + 4 * group, 1)[0] if group < 32 else 0
    for _ in range(pages.meta.page_count):
        page = pages.read(number)
        _, following, count, _ = pages.meta.links.unpack_from(page, 12)
        if page[TYPE_AT] in (_UNSORTED, _SORTED):
            value = _in_page(pages, page, count, key)
            if value is not None:
                return value
        elif page[TYPE_AT] != _UNUSED or count:
            raise DamagedFile(DAMAGED)
        if not following:
            return None
        number = following
    raise DamagedFile(DAMAGED)


def _in_page(pages: Pages, page: bytes, count: int, key: bytes) -> bytes | None:
    if not count:
        return None
    low = HEADER + 2 * count
    if low > len(page) or count % 2:
        raise DamagedFile(DAMAGED)
    # The octets are searched for in the whole page first: that is one call, where comparing keys is one for each.
    wanted = b"\1" + key
    position = page.find(wanted, low)
    while position >= 0:
        index = _entry_at(pages, page, low, position)
        if index >= 0 and _end(pages, page, index, count) == position + len(wanted):
            return _item(pages, page, index + 1, count)
        position = page.find(wanted, position + 1)
    if page.find(_LONG, low) >= 0:
        for index in range(0, count, 2):
            if page[pages.offset(page, index, count)] == _LONG and _item(pages, page, index, count) == key:
                return _item(pages, page, index + 1, count)
    return None


def _entry_at(pages: Pages, page: bytes, low: int, position: int) -> int:
    """Which key is at `position`; -1 if none: the octets are part of something else."""
    packed = pages.meta.offset.pack(position)
    at = page.find(packed, HEADER, low)
    while at >= 0:
        if (at - HEADER) % 4 == 0:
            return (at - HEADER) // 2
        at = page.find(packed, at + 1, low)
    return -1


def _end(pages: Pages, page: bytes, index: int, count: int) -> int:
    """Where an item ends: items fill the page from its end downwards."""
    return pages.offset(page, index - 1, count) if index else len(page)


def _item(pages: Pages, page: bytes, index: int, count: int) -> bytes:
    item = page[pages.offset(page, index, count) : _end(pages, page, index, count)]
    if not item:
        raise DamagedFile(DAMAGED)
    if item[0] == _INLINE:
        return item[1:]
    if item[0] == _LONG:
        return pages.long_item(item[4:])
    raise DamagedFile(DAMAGED)
