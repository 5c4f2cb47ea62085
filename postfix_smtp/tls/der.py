"""Just enough of DER to look into a certificate (X.690, RFC 5280).

A certificate is looked into at every handshake; names in it may be encoded in ways that a strict parser refuses, and
have to be logged all the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass

SEQUENCE = 0x30
SET = 0x31
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
BOOLEAN = 0x01


class DerError(ValueError):
    """Not DER, or not what was expected."""


@dataclass(frozen=True, slots=True)
class Item:
    """One value.

    Attributes:
        tag: first octet.
        content: octets of the value.
        encoding: tag, length and value.
        end: where it ends in the surrounding octets.
    """

    tag: int
    content: bytes
    encoding: bytes
    end: int


def read(octets: bytes, position: int = 0) -> Item:
    """The value that begins at `position`. Raises DerError."""
    start = position
    try:
        tag = octets[position]
        length = octets[position + 1]
    except IndexError:
        raise DerError("truncated") from None
    position += 2
    if tag & 0x1F == 0x1F:
        raise DerError("long tag")
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4:
            raise DerError("length")
        length = int.from_bytes(octets[position : position + size])
        position += size
    end = position + length
    if end > len(octets):
        raise DerError("truncated")
    return Item(tag, octets[position:end], octets[start:end], end)


def items(octets: bytes) -> Iterator[Item]:
    """The values in a constructed value. Raises DerError."""
    position = 0
    while position < len(octets):
        item = read(octets, position)
        yield item
        position = item.end


def whole(octets: bytes, tag: int = SEQUENCE) -> Item:
    """The one value that `octets` are. Raises DerError."""
    item = read(octets)
    if item.end != len(octets) or item.tag != tag:
        raise DerError("excess data")
    return item


def identifier(content: bytes) -> str:
    """The dotted form of an object identifier's content."""
    numbers: list[int] = []
    value = 0
    for octet in content:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(value)
            value = 0
    if not numbers:
        raise DerError("empty identifier")
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:]]))
