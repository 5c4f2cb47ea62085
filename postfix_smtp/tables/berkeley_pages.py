"""The pages of a Berkeley DB file, and values too long for one page (tables chapter 6.1)."""

import os
import struct
from dataclasses import dataclass

from postfix_smtp.tables.indexed import DamagedFile, DatabaseFile

META_SIZE = 256  #: of the first page: behind the last field that is read
HEADER = 26
LINKS_AT = 16
TYPE_AT = 25
OVERFLOW = 7

_VERSIONS = {0x00061561: (7, 8, 9, 10), 0x00053162: (8, 9, 10)}
_META_TYPES = {0x00061561: 8, 0x00053162: 9}
_SMALLEST, _LARGEST = 512, 65536
#: What the library's own error says.
DAMAGED = "Invalid argument"


@dataclass(frozen=True, slots=True)
class Meta:
    """The head of a file.

    Attributes:
        octets: its beginning.
        order: ``<`` or ``>``, byte order of every number.
        page_size: octets.
        page_count: of the whole file.
        links: next page, number of entries, offset of the free part: in the header of a page, from :data:`LINKS_AT`.
        offset: of an entry, in a page.
    """

    octets: bytes
    order: str
    page_size: int
    page_count: int
    links: struct.Struct
    offset: struct.Struct

    def numbers(self, position: int, count: int) -> tuple[int, ...]:
        """32-bit numbers of the head."""
        return struct.unpack_from(f"{self.order}{count}I", self.octets, position)


def parse_meta(octets: bytes, magic: int, file_size: int) -> Meta:
    """Read the head of a file.

    Args:
        magic: number of the kind of file.

    Raises:
        DamagedFile: not such a file, or not one that can be read.
    """
    if len(octets) < META_SIZE:
        raise DamagedFile(DAMAGED)
    for order in "<>":
        if struct.unpack_from(f"{order}I", octets, 12)[0] == magic:
            break
    else:
        raise DamagedFile(DAMAGED)
    version, page_size = struct.unpack_from(f"{order}2I", octets, 16)
    encryption, kind = octets[24], octets[25]
    if version not in _VERSIONS[magic] or encryption or kind != _META_TYPES[magic]:
        raise DamagedFile(DAMAGED)
    if not _SMALLEST <= page_size <= _LARGEST or page_size & (page_size - 1) or file_size % page_size:
        raise DamagedFile(DAMAGED)
    return Meta(
        octets, order, page_size, file_size // page_size, struct.Struct(f"{order}I2H"), struct.Struct(f"{order}H")
    )


class Pages:
    """Reads the pages of a file with a certain head. Numbers of pages come from the file and are not trusted."""

    def __init__(self, file: DatabaseFile, meta: Meta) -> None:
        self.descriptor = file.descriptor
        self.size = meta.page_size
        self._links = meta.links
        self.meta = meta

    def read(self, number: int) -> bytes:
        """One page.

        Raises:
            DamagedFile: the file has no such page.
        """
        size = self.size
        page = os.pread(self.descriptor, size, number * size)
        if not number or len(page) != size:
            raise DamagedFile(DAMAGED)
        return page

    def search(self, key: bytes) -> bytes | None:
        """Find a key.

        Raises:
            DamagedFile: the file is not as it should be.
        """
        raise NotImplementedError

    def offset(self, page: bytes, index: int, count: int) -> int:
        """Where entry `index` of `count` is.

        Raises:
            DamagedFile: not where an entry can be.
        """
        offset: int = self.meta.offset.unpack_from(page, HEADER + 2 * index)[0]
        if not HEADER + 2 * count <= offset < len(page):
            raise DamagedFile(DAMAGED)
        return offset

    def entry_at(self, page: bytes, low: int, position: int) -> int:
        """Where in the list of entries, which ends at `low`, is the key that begins at `position`.

        -1: nowhere, what is there is part of something else.
        """
        packed = self.meta.offset.pack(position)
        at = page.find(packed, HEADER, low)
        while at >= 0 and (at - HEADER) % 4:
            at = page.find(packed, at + 1, low)
        return at

    def long_item(self, reference: bytes) -> bytes:
        """An item on pages of its own.

        Args:
            reference: number of its first page and its length, 32 bits each.

        Raises:
            DamagedFile: the chain of pages is broken, or not as long as it should be.
        """
        if len(reference) != 8:
            raise DamagedFile(DAMAGED)
        number, total = struct.unpack(f"{self.meta.order}2I", reference)
        pieces, length = [], 0
        # Each page holds something, so a chain that bites its own tail comes to an end.
        while number and length < total:
            page = self.read(number)
            number, _, used = self._links.unpack_from(page, LINKS_AT)
            if page[TYPE_AT] != OVERFLOW or not 0 < used <= len(page) - HEADER:
                raise DamagedFile(DAMAGED)
            pieces.append(page[HEADER : HEADER + used])
            length += used
        if length != total:
            raise DamagedFile(DAMAGED)
        return b"".join(pieces)
