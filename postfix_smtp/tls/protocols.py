"""Protocol lists (TLS chapter 5.2)."""

import re
from dataclasses import dataclass

from postfix_smtp.config.lists import split

SEPARATORS = ", \t\r\n:"
_VERSIONS = {"sslv3": 0x0300, "tlsv1": 0x0301, "tlsv1.1": 0x0302, "tlsv1.2": 0x0303, "tlsv1.3": 0x0304, "none": 0}
_BITS = {"sslv2": 0, "sslv3": 2, "tlsv1": 4, "tlsv1.1": 8, "tlsv1.2": 16, "tlsv1.3": 32}
_ALL = sum(_BITS.values())
#: SSL_OP_NO_... by bit of :attr:`Protocols.excluded`.
_OPTIONS = {2: 0x02000000, 4: 0x04000000, 8: 0x10000000, 16: 0x08000000, 32: 0x20000000}
#: Versions that are never used with TLSA records.
NO_OLD_SSL = 2
_MAX_NUMBER = 0xFFFFFFFF
_HEXADECIMAL = re.compile(r"(?:0[xX])?[0-9a-fA-F]*")


@dataclass(frozen=True, slots=True)
class Protocols:
    """A protocol list, understood.

    Attributes:
        excluded: bits of versions that are switched off: SSLv3 2, TLSv1 4, 1.1 8, 1.2 16, 1.3 32.
        lowest, highest: version numbers of the protocol, 0: no limit.
    """

    excluded: int = 0
    lowest: int = 0
    highest: int = 0

    def without(self, excluded: int) -> "Protocols":
        """The same with further versions excluded."""
        return Protocols(self.excluded | excluded, self.lowest, self.highest)

    @property
    def options(self) -> int:
        """The library's option bits that switch the excluded versions off."""
        return sum(option for bit, option in _OPTIONS.items() if self.excluded & bit)


def parse_protocols(text: str) -> Protocols | None:
    """Understand a list; None if it is malformed."""
    excluded = included = lowest = highest = 0
    for element in split(text, SEPARATORS):
        if element[:2] in (">=", "<="):
            version = _version(element[2:])
            if version is None:
                return None
            if element[0] == ">":
                lowest = version
            else:
                highest = version
            continue
        negative = element.startswith("!")
        bit = _BITS.get(element.removeprefix("!").lower())
        if bit is None:
            return None
        if negative:
            excluded |= bit
        else:
            included |= bit
    if included:
        excluded |= _ALL & ~included
    return Protocols(excluded, lowest, highest)


def _version(text: str) -> int | None:
    known = _VERSIONS.get(text.lower())
    if known is not None:
        return known
    if _HEXADECIMAL.fullmatch(text) is None:
        return None
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    number = int(digits, 16) if digits else 0
    return number if number <= _MAX_NUMBER else None
