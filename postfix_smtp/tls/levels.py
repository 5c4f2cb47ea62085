"""Security levels (TLS chapter, levels)."""

from enum import IntEnum


class Level(IntEnum):
    """What is demanded of a server; the numbers are part of cache keys."""

    INVALID = -1  #: the policy is an error
    NONE = 0
    MAY = 1
    ENCRYPT = 2
    FINGERPRINT = 3
    HALFDANE = 4  #: result only: verified by TLSA records of a host whose name came over insecure DNS
    DANE = 5
    DANE_ONLY = 6
    VERIFY = 7
    SECURE = 8

    @property
    def text(self) -> str:
        """The name as it is configured and logged."""
        return _NAMES[self]

    @property
    def must_match(self) -> bool:
        """The server's certificate must match."""
        return self > Level.ENCRYPT

    @property
    def is_required(self) -> bool:
        """Mail does not go out without TLS."""
        return self > Level.MAY

    @property
    def uses_tlsa(self) -> bool:
        """The server is known by TLSA records."""
        return Level.HALFDANE <= self <= Level.DANE_ONLY


_NAMES = {level: level.name.lower().replace("_", "-") for level in Level}
_CONFIGURABLE = {name: level for level, name in _NAMES.items() if level not in (Level.INVALID, Level.HALFDANE)}


def parse_level(text: str) -> Level | None:
    """The level with this name, in any case; None if there is none that can be configured."""
    return _CONFIGURABLE.get(text.lower())
