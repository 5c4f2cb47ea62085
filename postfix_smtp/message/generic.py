"""``smtp_generic_maps``: addresses as the outside world shall see them (message chapter 6.2)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postfix_smtp import log
from postfix_smtp.config.access import Parameters
from postfix_smtp.errors import FatalError, TableError
from postfix_smtp.message.address_search import AddressParts, AddressSearch, LocalDomains
from postfix_smtp.message.addresses import quoted_addresses
from postfix_smtp.message.settings import propagated_extensions
from postfix_smtp.smtp.quoting import quote_822, unquote_822
from postfix_smtp.text import to_octets, to_text

if TYPE_CHECKING:
    from postfix_smtp.tables.maps import Maps


@dataclass(frozen=True, slots=True)
class GenericSettings:
    """What the address search depends on.

    Attributes:
        origin: ``myorigin``.
        delimiters: the characters of ``recipient_delimiter``; empty: addresses have no extensions.
        unsplit: lower-case local parts that are never split.
        owner_special: ``owner-x`` and ``x-request`` are not split at ``-``.
        propagate: an extension that did not take part in the match is kept.
    """

    origin: str = ""
    delimiters: str = ""
    unsplit: frozenset[str] = frozenset({"postmaster", "mailer-daemon", "double-bounce"})
    owner_special: bool = True
    propagate: bool = False

    @classmethod
    def from_parameters(cls, parameters: Parameters) -> "GenericSettings":
        """Read the parameters that all of Postfix shares."""
        propagate = "generic" in propagated_extensions(parameters)
        return cls(*AddressParts.from_parameters(parameters), propagate=propagate)

    @property
    def parts(self) -> AddressParts:
        """What the search needs."""
        return AddressParts(self.origin, self.delimiters, self.unsplit, self.owner_special)


class GenericMapper:
    """Maps envelope and header addresses; one for the whole process."""

    __slots__ = ("_maps", "_rewrite", "_search", "_settings")

    def __init__(
        self,
        settings: GenericSettings,
        maps: "Maps",
        domains: LocalDomains,
        rewrite: Callable[[str], Awaitable[str]],
    ) -> None:
        """
        Args:
            maps: the tables of ``smtp_generic_maps``.
            rewrite: asks the address rewriting service; external form in, external form out.
        """
        self._settings = settings
        self._maps = maps
        self._search = AddressSearch(settings.parts, maps, domains)
        self._rewrite = rewrite

    async def map_internal(self, address: str) -> str:
        """The address to use in place of `address`; both in internal form. The empty address stays.

        Raises:
            FatalError: a table does not answer, or has no address as its result.
        """
        if not address:
            return address
        mapped = await self.find(address)
        return address if mapped is None else mapped

    async def find(self, address: str) -> str | None:
        """As :meth:`map_internal`; None if no table knows the address. The empty address of a header has a key, too."""
        try:
            found = await self._search.find(address)
        except TableError:
            raise self._problem(address) from None
        if found is None:
            return None
        value, extension = found
        if value.startswith("@"):
            local = address.rpartition("@")[0] if "@" in address else address
            value = quote_822(local.removesuffix(extension) + value)
        elif value in ("", "<>"):
            return ""
        results = quoted_addresses(to_octets(value))
        if not results:
            log.warning(f'{self._maps.title} lookup of {address} returns non-address result "{value}"')
            raise self._problem(address)
        if len(results) > 1:
            log.warning(f"multi-valued {self._maps.title} result for {address}")
        result = unquote_822(await self._rewrite(to_text(results[0]))) if results[0] != b'""' else ""
        if extension and self._settings.propagate:
            at = result.rfind("@")
            at = len(result) if at < 0 else at
            result = result[:at] + extension + result[at:]
        return result

    def _problem(self, address: str) -> FatalError:
        return FatalError(f"{self._maps.title} map lookup problem for {address}")
