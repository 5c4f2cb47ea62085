"""The domains this system is the final destination of (tables chapter 5)."""

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from postfix_smtp.routing.literals import literal_address

if TYPE_CHECKING:
    from postfix_smtp.tables.match_list import MatchList

_IPV4_MAPPED = bytes(10) + b"\xff\xff"


class OwnDomains:
    """``mydestination`` and the address literals of this system.

    Args:
        ipv6: IPv6 is in use (``inet_protocols``). If it is not, an IPv4 address may be written as an IPv6 one.
    """

    def __init__(
        self, destinations: "MatchList | None", own_addresses: Callable[[], frozenset[str]], *, ipv6: bool = True
    ) -> None:
        self._destinations = destinations
        self._own_addresses = own_addresses
        self._ipv6 = ipv6
        self._packed: frozenset[bytes] | None = None

    def is_local(self, domain: str) -> bool:
        """Whether mail for `domain` (no trailing dot) is for this system.

        Raises:
            TableError: a table of ``mydestination`` cannot answer.
        """
        if self._destinations is not None and self._destinations.match(domain):
            return True
        address = literal_address(domain)
        if address and not self._ipv6 and address.startswith(_IPV4_MAPPED):
            address = address[len(_IPV4_MAPPED) :]
        return address is not None and address in self._own()

    def _own(self) -> frozenset[bytes]:
        if self._packed is None:
            self._packed = frozenset(
                socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
                for address in self._own_addresses()
            )
        return self._packed
