"""``smtp_tls_per_site``, the policy table of old (TLS chapter 2.7)."""

from postfix_smtp import log
from postfix_smtp.errors import TableError
from postfix_smtp.tables.maps import Maps
from postfix_smtp.tls.levels import Level
from postfix_smtp.tls.policy_entry import PolicyError

_WORDS = {
    "none": Level.NONE,
    "may": Level.MAY,
    "must_nopeermatch": Level.ENCRYPT,
    "must": Level.VERIFY,
}


def combine(found: Level | None, value: Level) -> Level:
    """What a further entry makes of the level found so far."""
    if found in (None, Level.NONE):
        return value if found is None or value is not Level.MAY else Level.NONE
    assert found is not None
    if value is Level.NONE:
        return Level.NONE if found is Level.MAY else found
    return max(found, value)


def conclude(found: Level | None, general: Level) -> Level:
    """The level in the end.

    Args:
        general: the level of the whole program.
    """
    if found is None or (found is Level.MAY and general > Level.MAY):
        return general
    return found


async def site_level(maps: Maps, title: str, nexthop: str, host: str, general: Level) -> Level:
    """The level for a server. Raises PolicyError."""
    keys = [(nexthop, "next-hop destination")]
    if host.lower() != nexthop.lower():
        keys.append((host, "server hostname"))
    found: Level | None = None
    for key, kind in keys:
        try:
            value = await maps.value(key)
        except TableError:
            log.warning(f'{title}: {kind} "{key}": per-site table lookup error')
            raise PolicyError("Temporary lookup error", "4.3.0") from None
        if value is None:
            continue
        level = _WORDS.get(value.lower())
        if level is None:
            log.warning(f"{title}: unknown TLS policy '{value}' for {kind} {key}")
            raise PolicyError
        found = combine(found, level)
    return conclude(found, general)
