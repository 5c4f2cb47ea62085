"""The domains this system is the final destination of (tables chapter 5)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postfix_smtp.tables.match_list import MatchList


class OwnDomains:
    """``mydestination`` and the address literals of this system."""

    def __init__(self, destinations: "MatchList | None", own_addresses: Callable[[], frozenset[str]]) -> None:
        self._destinations = destinations
        self._own_addresses = own_addresses

    def is_local(self, domain: str) -> bool:
        """Whether mail for `domain` (no trailing dot) is for this system.

        Raises:
            TableError: a table of ``mydestination`` cannot answer.
        """
        if self._destinations is not None and self._destinations.match(domain):
            return True
        if not domain.startswith("[") or not domain.endswith("]"):
            return False
        address = domain[1:-1]
        if address[:5].lower() == "ipv6:":
            address = address[5:]
        return address in self._own_addresses()
