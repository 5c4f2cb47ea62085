"""Berkeley DB's extended linear hashing: from a key to its value (tables chapter 6.1)."""

import struct
from os import pread

from postfix_smtp.tables.berkeley_pages import DAMAGED, HEADER, LINKS_AT, TYPE_AT, Meta, Pages
from postfix_smtp.tables.indexed import DamagedFile, DatabaseFile

MAGIC = 0x00061561

_PRIME = 16777619
#: Types of page: with unsorted and with sorted keys.
_HASH, _UNUSED = (2, 13), 0
_INLINE, _LONG = 1, 3
#: The library may have been given another hash function: the head then has another hash of this text.
_CHECK_TEXT = b"%$sniglet^&\0"
#: Octets that are hashed before the number is cut to 32 bits: cutting costs more than a longer number, up to a point.
_STRETCH = 48


def fnv(key: bytes) -> int:
    """The library's hash of a key, 32 bits."""
    number = 0
    for octet in key[:_STRETCH]:
        number = number * _PRIME ^ octet
    for start in range(_STRETCH, len(key), _STRETCH):
        number &= 0xFFFFFFFF
        for octet in key[start : start + _STRETCH]:
            number = number * _PRIME ^ octet
    return number & 0xFFFFFFFF


_CHECK = fnv(_CHECK_TEXT)


class HashPages(Pages):
    """The pages of a hash file."""

    def __init__(self, file: DatabaseFile, meta: Meta) -> None:
        super().__init__(file, meta)
        self._buckets, self._high, self._low, _, _, self._check = meta.numbers(72, 6)
        self._spares = meta.numbers(96, 32)
        self._neighbours = struct.Struct(f"{meta.order}3H")

    def search(self, key: bytes) -> bytes | None:
        """Find a key."""
        if self._check != _CHECK:
            raise DamagedFile(DAMAGED)
        bucket = fnv(key) & self._high
        if bucket > self._buckets:
            bucket &= self._low
        # Buckets are numbered on; their pages come in groups that were added whenever the table doubled.
        group = bucket.bit_length()
        number = bucket + self._spares[group] if group < 32 else 0
        size = self.size
        for _ in range(self.meta.page_count):
            page = pread(self.descriptor, size, number * size)
            if not number or len(page) != size:
                raise DamagedFile(DAMAGED)
            following, count, _ = self._links.unpack_from(page, LINKS_AT)
            kind = page[TYPE_AT]
            if kind in _HASH:
                value = self._in_page(page, count, key) if count else None
                if value is not None:
                    return value
            elif kind != _UNUSED or count:
                raise DamagedFile(DAMAGED)
            if not following:
                return None
            number = following
        raise DamagedFile(DAMAGED)

    def _in_page(self, page: bytes, count: int, key: bytes) -> bytes | None:
        low = HEADER + 2 * count
        if low > len(page) or count % 2:
            raise DamagedFile(DAMAGED)
        # The octets are searched for in the whole page first: that is one call, where comparing keys is one for each.
        wanted = b"\1" + key
        position = page.rfind(wanted, low)
        while position >= 0:
            at = self.entry_at(page, low, position)
            if at >= 0:
                # Items fill the page from its end downwards, so one ends where the one before it begins.
                end, _, value = self._neighbours.unpack_from(page, at - 2)
                if (end if at > HEADER else len(page)) == position + len(wanted):
                    return self._item(page[value:position] if low <= value else b"")
            position = page.rfind(wanted, low, position + len(wanted) - 1)
        if page.find(_LONG, low) >= 0:
            for index in range(0, count, 2):
                start = self.offset(page, index, count)
                if page[start] == _LONG:
                    end = self.offset(page, index - 1, count) if index else len(page)
                    if self._item(page[start:end]) == key:
                        return self._item(page[self.offset(page, index + 1, count) : start])
        return None

    def _item(self, item: bytes) -> bytes:
        if not item:
            raise DamagedFile(DAMAGED)
        if item[0] == _INLINE:
            return item[1:]
        if item[0] == _LONG:
            return self.long_item(item[4:])
        raise DamagedFile(DAMAGED)
