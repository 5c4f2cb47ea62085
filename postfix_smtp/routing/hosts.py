"""From one destination to the addresses to try: the MX, SRV and host procedures (delivery chapter 4 and 6)."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace

from postfix_smtp import log
from postfix_smtp.dsn import Dsn
from postfix_smtp.routing import names, order
from postfix_smtp.routing.address import Address, Resolution
from postfix_smtp.routing.destination import LOOP_PORT, Destination
from postfix_smtp.routing.dns import Answer, Resolver, Result, append_within_limit
from postfix_smtp.routing.settings import RoutingSettings

_FAMILY_TYPES = {socket.AF_INET: "A", socket.AF_INET6: "AAAA"}
_DNS_STATUS = {
    Result.RETRY: ("4.4.3", "4.4.3"),
    Result.FAIL: ("5.4.3", "4.4.3"),
    Result.INVAL: ("5.4.4", "4.4.4"),
    Result.POLICY: ("4.7.0", "4.7.0"),
    Result.NOTFOUND: ("5.4.4", "4.4.4"),
}
_MX_STATUS = {Result.INVAL: "5.4.4", Result.FAIL: "5.4.3", Result.RETRY: "4.4.3"}


class _Trouble:
    """The status of one destination while its hosts are looked up: soft sticks, the text is the last one's."""

    def __init__(self) -> None:
        self.dsn: Dsn | None = None

    def add(self, hard_or_soft: tuple[str, str], reason: str) -> None:
        soft_before = self.dsn is not None and self.dsn.is_soft
        self.dsn = Dsn(hard_or_soft[1] if soft_before else hard_or_soft[0], reason)


class HostFinder:
    """Finds the addresses of destinations.

    Args:
        resolver: DNS look-ups; None only if the settings allow none.
        own_addresses: called when a loop is looked for: the addresses of this host and of its proxies.
        srv_match: whether a service name is looked up with SRV (``use_srv_lookup``).
    """

    def __init__(
        self,
        settings: RoutingSettings,
        resolver: Resolver | None,
        own_addresses: Callable[[], frozenset[str]],
        srv_match: Callable[[str], Awaitable[bool]] | None = None,
    ) -> None:
        self._settings = settings
        self._resolver = resolver
        self._own_addresses = own_addresses
        self._srv_match = srv_match

    async def find(self, destination: Destination) -> Resolution:
        """The addresses of a destination in the order to try, or why there are none."""
        settings = self._settings
        if not settings.families:
            return Resolution(failure=Dsn("4.4.4", "all network protocols are disabled"))
        by_name = settings.dns_enabled and not destination.literal
        if by_name and self._srv_match is not None and await self._srv_match(destination.service):
            resolution = await self._find_srv(destination)
        elif by_name and settings.mx_lookups:
            resolution = await self._find_mx(destination, destination.host)
        else:
            resolution = await self._find_host(destination, destination.host)
        failure = resolution.failure
        if failure is not None and failure.status[1:] == ".4.6":
            return replace(resolution, is_last=True)
        return resolution

    async def _find_mx(self, destination: Destination, name: str) -> Resolution:
        settings = self._settings
        assert self._resolver is not None
        answer = await self._resolver.lookup(name, "MX", validate=settings.dnssec)
        ascii_name = names.to_ascii(name) or name
        match answer.result:
            case Result.OK:
                return await self._hosts_of_mx(destination, name, answer)
            case Result.NULLMX:
                return Resolution(failure=Dsn("5.1.0", answer.text))
            case Result.POLICY:
                return Resolution(failure=Dsn("4.7.0", answer.text))
            case Result.INVAL | Result.FAIL | Result.RETRY if not settings.ignore_mx_error:
                return Resolution(failure=Dsn(_MX_STATUS[answer.result], answer.text))
        return await self._find_host(destination, ascii_name)

    async def _hosts_of_mx(self, destination: Destination, name: str, answer: Answer) -> Resolution:
        records = sorted(answer.records, key=lambda record: record.preference)
        targets = [(record.data, record.preference, destination.port) for record in records]
        addresses, trouble = await self._addresses_of(targets, answer.secure, records[0].owner)
        if not addresses:
            log.warning(f"no MX host for {name} has a valid address record")
            failure = trouble.dsn
            if failure is not None and failure.is_hard and self._settings.defer_no_mx_address:
                failure = replace(failure, status="4" + failure.status[1:])
            return Resolution(failure=failure)
        kept, loop = self._without_own(destination, name, addresses, records[0].preference)
        if not kept:
            return loop
        return replace(loop, addresses=tuple(self._ordered(kept)))

    async def _find_srv(self, destination: Destination) -> Resolution:
        settings = self._settings
        assert self._resolver is not None
        name = f"_{destination.service}._tcp.{destination.host}"
        answer = await self._resolver.lookup(name, "SRV", validate=settings.dnssec)
        fallback = settings.srv_fallback
        loop = Resolution()
        match answer.result:
            case Result.OK:
                records = order.order_services(answer.records)
                targets = [(record.data, record.preference, record.port or destination.port) for record in records]
                addresses, trouble = await self._addresses_of(targets, answer.secure)
                if addresses:
                    best = min(record.preference for record in records)
                    kept, loop = self._without_own(destination, name, addresses, best)
                    if kept:
                        return replace(loop, addresses=tuple(self._ordered(kept, sort=False)))
                    failure = loop.failure
                else:
                    log.warning(f"no SRV host for {name} has a valid address record")
                    failure = trouble.dsn
            case Result.NULLSRV:
                failure = Dsn("5.1.0", answer.text)
            case Result.POLICY:
                failure = Dsn("4.7.0", answer.text)
            case Result.NOTFOUND:
                failure = Dsn("5.4.4", answer.text)
            case _:
                failure = Dsn(_MX_STATUS[answer.result], answer.text)
                fallback = fallback or settings.ignore_srv_error
        if not fallback or failure is None:
            return replace(loop, failure=failure)
        log.info(f"skipping SRV lookup for {name}: {failure.reason}")
        if settings.mx_lookups:
            return await self._find_mx(destination, destination.host)
        return await self._find_host(destination, destination.host)

    async def _addresses_of(
        self, targets: list[tuple[str, int, int]], secure: bool, mx_owner: str = ""
    ) -> tuple[list[Address], _Trouble]:
        """Addresses of MX or SRV hosts, in their order; trouble of single hosts counts only if there are none."""
        settings = self._settings
        validate = (settings.dnssec and secure) or settings.validate_insecure_mx
        if self._resolver is not None and settings.use_dns and len(targets) > 1:
            for host, _, _ in targets:
                if names.numeric_address(host) is None:
                    self._resolver.prefetch_addresses(host, settings.families, validate=validate)
        addresses: list[Address] = []
        trouble = _Trouble()
        for host, preference, port in targets:
            found, truncated = await self._addresses(host, validate, trouble)
            of_host = [
                replace(address, preference=preference, port=port, from_mx=True, mx_secure=secure, mx_owner=mx_owner)
                for address in found
            ]
            if append_within_limit(addresses, of_host, _question) or truncated:
                break
        return addresses, trouble

    async def _find_host(self, destination: Destination, name: str) -> Resolution:
        trouble = _Trouble()
        addresses, _ = await self._addresses(name, self._settings.dnssec, trouble)
        if not addresses:
            return Resolution(failure=trouble.dsn)
        if self._loops(destination) and any(item.address in self._own_addresses() for item in addresses):
            return Resolution(failure=Dsn("5.4.6", f"mail for {name} loops back to myself"))
        addresses = [replace(address, port=destination.port) for address in addresses]
        return Resolution(addresses=tuple(self._ordered(addresses)))

    async def _addresses(self, host: str, validate: bool, trouble: _Trouble) -> tuple[list[Address], bool]:
        """The addresses of one host, unordered, and whether there were too many; port is still to be set."""
        settings = self._settings
        host = names.to_ascii(host) or host  # from here on it has no other name
        numeric = names.numeric_address(host)
        if numeric is not None and ("AAAA" if ":" in numeric else "A") in settings.families:
            return [Address(host, numeric, 0, 0)], False
        if settings.use_dns:
            assert self._resolver is not None
            answer = await self._resolver.addresses(host, settings.families, validate=validate)
            if answer.result is Result.OK:
                addresses = [
                    Address(
                        record.owner if settings.cname_overrides else host,
                        record.data,
                        0,
                        0,
                        secure=answer.secure,
                        query=host,
                        owner=record.owner,
                    )
                    for record in answer.records
                ]
                return addresses, answer.truncated
            trouble.add(_DNS_STATUS[answer.result], answer.text)
            if answer.result is not Result.NOTFOUND:
                return [], False
        if settings.use_native:
            return await self._native_addresses(host, trouble), False
        return [], False

    async def _native_addresses(self, host: str, trouble: _Trouble) -> list[Address]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, None, family=self._native_family, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            trouble.add(_native_status(error.errno), f"unable to look up host {host}: {error.strerror}")
            return []
        except (OSError, UnicodeError) as error:
            trouble.add(("4.3.0", "4.3.0"), f"unable to look up host {host}: {error}")
            return []
        addresses = []
        for family, _, _, _, sockaddr in found:
            if _FAMILY_TYPES.get(family) not in self._settings.families:
                log.info(f"skipping address family {int(family)} for host {host}")
                continue
            addresses.append(Address(host, str(sockaddr[0]), 0, 0))
        if not addresses:
            trouble.add(("5.4.4", "4.4.4"), f"{host}: host not found")
        return addresses

    @property
    def _native_family(self) -> socket.AddressFamily:
        """The only enabled family, or any."""
        enabled = [family for family, rtype in _FAMILY_TYPES.items() if rtype in self._settings.families]
        return enabled[0] if len(enabled) == 1 else socket.AF_UNSPEC

    def _loops(self, destination: Destination) -> bool:
        return self._settings.program == "smtp" and destination.port == LOOP_PORT

    def _without_own(
        self, destination: Destination, name: str, addresses: list[Address], best: int
    ) -> tuple[list[Address], Resolution]:
        """Remove own addresses and all that are not better than the first of them."""
        if not self._loops(destination):
            return addresses, Resolution()
        own = self._own_addresses()
        mine = next((address for address in addresses if address.address in own), None)
        if mine is None:
            return addresses, Resolution()
        kept = [address for address in addresses if address.preference < mine.preference]
        if kept:
            return kept, Resolution(is_last=True)
        if addresses[0].preference != best:
            failure = Dsn("4.4.4", f"unable to find primary relay for {name}")
        else:
            failure = Dsn("5.4.6", f"mail for {name} loops back to myself")
        return [], Resolution(failure=failure, is_last=True)

    def _ordered(self, addresses: list[Address], *, sort: bool = True) -> list[Address]:
        settings = self._settings
        return order.order_addresses(
            addresses,
            randomize=settings.randomize,
            preference=settings.preference if len(settings.families) > 1 else "any",
            balance_limit=settings.address_limit if settings.balance else 0,
            sort=sort,
        )


def _question(address: Address) -> tuple[str, str]:
    return address.query or address.host, "AAAA" if address.is_ipv6 else "A"


def _native_status(code: int | None) -> tuple[str, str]:
    if code == socket.EAI_AGAIN:
        return "4.4.4", "4.4.4"
    if code == socket.EAI_NONAME:  # not EAI_NODATA, which Postfix does not know
        return "5.4.4", "4.4.4"
    if code in (socket.EAI_MEMORY, getattr(socket, "EAI_SYSTEM", None)):
        return "4.3.0", "4.3.0"
    return "5.3.0", "4.3.0"
