"""The order in which addresses are tried, and how many of each family (delivery chapter 5)."""

import random
from collections.abc import Callable, Iterable

from postfix_smtp.routing.address import Address
from postfix_smtp.routing.dns_client import Record

MAX_BALANCED = 100
Shuffle = Callable[[list[Address]], None]


def order_addresses(
    addresses: list[Address],
    *,
    randomize: bool,
    preference: str,
    balance_limit: int,
    sort: bool = True,
    shuffle: Shuffle = random.shuffle,
) -> list[Address]:
    """Shuffle, sort by MX preference and address family, balance.

    Args:
        preference: ``any``, ``ipv4``, ``ipv6``: the family that comes first among equals.
        balance_limit: number of addresses to share between the families; 0: no balancing.
        sort: False leaves the order of an SRV look-up alone.
    """
    ordered = list(addresses)
    if len(ordered) > 1 and sort:
        if randomize:
            shuffle(ordered)
        ordered.sort(key=lambda address: (address.preference, _family_rank(address, preference)))
    if balance_limit > 0:
        ordered = balance_families(ordered, min(balance_limit, MAX_BALANCED))
    return ordered


def _family_rank(address: Address, preference: str) -> int:
    if preference == "any":
        return 0
    return 0 if address.is_ipv6 == (preference == "ipv6") else 1


def balance_families(addresses: list[Address], limit: int) -> list[Address]:
    """Keep at most `limit` addresses with a fair share for each family; relative order is kept."""
    count6 = sum(address.is_ipv6 for address in addresses)
    count4 = len(addresses) - count6
    if not count4 or not count6 or count4 + count6 <= limit:
        return addresses
    if count6 <= limit // 2:
        keep6, keep4 = count6, limit - count6
    elif count4 <= limit // 2:
        keep4, keep6 = count4, limit - count4
    else:
        keep4 = limit // 2 if addresses[0].is_ipv6 else (limit + 1) // 2
        keep6 = limit - keep4
    kept = []
    for address in addresses:
        if address.is_ipv6 and keep6 > 0:
            keep6 -= 1
        elif not address.is_ipv6 and keep4 > 0:
            keep4 -= 1
        else:
            continue
        kept.append(address)
    return kept


def order_services(records: Iterable[Record]) -> list[Record]:
    """SRV records by priority, and by weighted random choice within one priority (RFC 2782)."""
    remaining = list(records)
    random.shuffle(remaining)
    remaining.sort(key=lambda record: record.preference)
    ordered: list[Record] = []
    while remaining:
        group = [record for record in remaining if record.preference == remaining[0].preference]
        del remaining[: len(group)]
        if len({record.weight for record in group}) > 1:
            while len(group) > 1:
                pick = random.randint(0, sum(record.weight for record in group))
                for position, record in enumerate(group):
                    pick -= record.weight
                    if pick <= 0:
                        ordered.append(group.pop(position))
                        break
        ordered += group
    return ordered
