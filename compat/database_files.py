"""Database files for the tests of their readers: made here, or changed into what other machines would write."""

import struct
from collections.abc import Iterable

from postfix_smtp.tables.cdb import cdb_hash

_HASH_MAGIC = 0x00061561
_HEADER = 26
_HASH_PAGES, _OVERFLOW = (2, 13), 7
_INTERNAL, _LEAF = 3, 5
_META_NUMBERS = {
    8: (*range(8, 24, 4), *range(28, 52, 4), *range(72, 224, 4)),
    9: (*range(8, 24, 4), *range(28, 52, 4), *range(72, 92, 4)),
}


def make_cdb(entries: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A constant database (tables chapter 6.2)."""
    records = bytearray(2048)
    slots: list[list[tuple[int, int]]] = [[] for _ in range(256)]
    for key, value in entries:
        number = cdb_hash(key)
        slots[number % 256].append((number, len(records)))
        records += struct.pack("<2I", len(key), len(value)) + key + value
    for index, used in enumerate(slots):
        size = 2 * len(used)
        table = [(0, 0)] * size
        for number, position in used:
            slot = (number >> 8) % size
            while table[slot][1]:
                slot = (slot + 1) % size
            table[slot] = (number, position)
        struct.pack_into("<2I", records, 8 * index, len(records), size)
        for pair in table:
            records += struct.pack("<2I", *pair)
    return bytes(records)


def swap_berkeley(octets: bytes) -> bytes:
    """A little-endian Berkeley DB file as a big-endian machine would have written it (tables chapter 6.1)."""
    (page_size,) = struct.unpack_from("<I", octets, 20)
    swapped = bytearray(octets)
    for start in range(0, len(octets), page_size):
        page = bytearray(octets[start : start + page_size])
        if start == 0:
            _swap(page, "I", _META_NUMBERS[page[25]])
        else:
            _swap_page(page)
        swapped[start : start + page_size] = page
    return bytes(swapped)


def _swap(page: bytearray, kind: str, positions: Iterable[int]) -> None:
    for position in positions:
        struct.pack_into(f">{kind}", page, position, *struct.unpack_from(f"<{kind}", page, position))


def _swap_page(page: bytearray) -> None:
    (count,) = struct.unpack_from("<H", page, 20)
    kind = page[25]
    if kind != _OVERFLOW:
        for offset in struct.unpack_from(f"<{count}H", page, _HEADER):
            if kind in _HASH_PAGES:
                if page[offset] == 3:
                    _swap(page, "I", (offset + 4, offset + 8))
            elif kind == _LEAF:
                if page[offset + 2] & 0x7F == 3:
                    _swap(page, "I", (offset + 4, offset + 8))
                else:
                    _swap(page, "H", (offset,))
            elif kind == _INTERNAL:
                _swap(page, "H", (offset,))
                _swap(page, "I", (offset + 4, offset + 8))
                if page[offset + 2] & 0x7F == 3:
                    _swap(page, "I", (offset + 16, offset + 20))
        _swap(page, "H", range(_HEADER, _HEADER + 2 * count, 2))
    _swap(page, "I", (8, 12, 16))
    _swap(page, "H", (20, 22))
