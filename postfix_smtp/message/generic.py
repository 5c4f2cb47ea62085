"""``smtp_generic_maps``: addresses as the outside world shall see them (message chapter 6.2)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from postfix_smtp import log
from postfix_smtp.config.access import Parameters
from postfix_smtp.errors import FatalError, TableError
from postfix_smtp.message.addresses import Kind, parse
from postfix_smtp.smtp.quoting import quote_822, unquote_822
from postfix_smtp.text import to_octets, to_text

if TYPE_CHECKING:
    from postfix_smtp.tables.maps import Maps


class LocalDomains(Protocol):
    """The domains this system is the final destination of."""

    def is_local(self, domain: str) -> bool | Awaitable[bool]:
        """Whether `domain` (no trailing dot) matches ``mydestination`` or is an address literal of this system.

        May be answered later, if a table has to be waited for.

        Raises:
            TableError: a table does not answer.
        """


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
        propagate = parameters.text("propagate_unmatched_extensions").replace(",", " ").split()
        double_bounce = parameters.text("double_bounce_sender").lower()
        return cls(
            origin=parameters.text("myorigin"),
            delimiters=parameters.text("recipient_delimiter"),
            unsplit=frozenset({"postmaster", "mailer-daemon", double_bounce}),
            owner_special=parameters.flag("owner_request_special"),
            propagate="generic" in (name.lower() for name in propagate),
        )


class GenericMapper:
    """Maps envelope and header addresses; one for the whole process."""

    __slots__ = ("_domains", "_maps", "_rewrite", "_settings")

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
        self._domains = domains
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
            found = await self._search(address)
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
        results = [to_text(text) for kind, text in parse(to_octets(value)) if kind is Kind.ADDRESS]
        if not results:
            log.warning(f'{self._maps.title} lookup of {address} returns non-address result "{value}"')
            raise self._problem(address)
        if len(results) > 1:
            log.warning(f"multi-valued {self._maps.title} result for {address}")
        result = unquote_822(await self._rewrite(quote_822(results[0]))) if results[0] else ""
        if extension and self._settings.propagate:
            at = result.rfind("@")
            at = len(result) if at < 0 else at
            result = result[:at] + extension + result[at:]
        return result

    async def _search(self, address: str) -> tuple[str, str] | None:
        """Look an address up in all its forms; the value, and the extension that took no part in the match."""
        value = await self._look_up(quote_822(address) or '""')
        if value is not None:
            return value, ""
        local, at, domain = address.rpartition("@")
        if not at:
            local, domain = address, ""
        extension = self._extension(local)
        base = local.removesuffix(extension)
        if extension and (value := await self._look_up(quote_822(base + at + domain), partial=True)) is not None:
            return value, extension
        if not at:
            return None
        if await self._is_local(domain):
            if (value := await self._look_up(_quote_local(local), partial=True)) is not None:
                return value, ""
            if extension and (value := await self._look_up(_quote_local(base), partial=True)) is not None:
                return value, extension
        if (value := await self._look_up(f"@{domain}", partial=True)) is not None:
            return value, ""
        return None

    async def _look_up(self, key: str, partial: bool = False) -> str | None:
        maps = self._maps
        found = maps.find(key, partial=partial) if maps.local else await maps.alookup(key, partial=partial)
        return found[0] if found else None

    def _extension(self, local: str) -> str:
        """The extension of a local part with its delimiter, or nothing."""
        settings = self._settings
        if not settings.delimiters:
            return ""
        folded = local.lower()
        if folded in settings.unsplit:
            return ""
        if (
            settings.owner_special
            and "-" in settings.delimiters
            and (folded.startswith("owner-") or (folded.endswith("-request") and len(folded) > len("-request")))
        ):
            return ""
        for index, character in enumerate(local):
            if character in settings.delimiters:
                return local[index:] if index else ""
        return ""

    async def _is_local(self, domain: str) -> bool:
        if domain.lower() == self._settings.origin.lower():
            return True
        answer = self._domains.is_local(domain.removesuffix("."))
        return answer if isinstance(answer, bool) else await answer

    def _problem(self, address: str) -> FatalError:
        return FatalError(f"{self._maps.title} map lookup problem for {address}")


def _quote_local(local: str) -> str:
    """A local part as a key: an ``@`` in it is no domain."""
    return quote_822(local + "@")[:-1]
