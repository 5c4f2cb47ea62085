"""How an address is looked up: whole, without its extension, its local part, its domain (tables chapter 5)."""

from collections.abc import Awaitable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from postfix_smtp.config.access import Parameters
from postfix_smtp.smtp.quoting import quote_822, unquote_822

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


class AddressParts(NamedTuple):
    """What decides how addresses are taken apart.

    Attributes:
        origin: ``myorigin``.
        delimiters: the characters of ``recipient_delimiter``; empty: addresses have no extensions.
        unsplit: lower-case local parts that are never split.
        owner_special: ``owner-x`` and ``x-request`` are not split at ``-``.
    """

    origin: str = ""
    delimiters: str = ""
    unsplit: frozenset[str] = frozenset({"postmaster", "mailer-daemon", "double-bounce"})
    owner_special: bool = True

    @classmethod
    def from_parameters(cls, parameters: Parameters) -> "AddressParts":
        """Read the parameters that all of Postfix shares."""
        double_bounce = parameters.text("double_bounce_sender").lower()
        return cls(
            origin=parameters.text("myorigin"),
            delimiters=parameters.text("recipient_delimiter"),
            unsplit=frozenset({"postmaster", "mailer-daemon", double_bounce}),
            owner_special=parameters.flag("owner_request_special"),
        )

    def extension(self, local: str) -> str:
        """The extension of a local part with its delimiter, or nothing."""
        if not self.delimiters:
            return ""
        folded = local.lower()
        if folded in self.unsplit:
            return ""
        if (
            self.owner_special
            and "-" in self.delimiters
            and (folded.startswith("owner-") or (folded.endswith("-request") and len(folded) > len("-request")))
        ):
            return ""
        for index, character in enumerate(local):
            if character in self.delimiters:
                return local[index:] if index else ""
        return ""


class AddressSearch:
    """Looks addresses up in a list of tables.

    Args:
        unquoted_too: each key is tried in quoted form, then, if that differs, as it is.
    """

    __slots__ = ("_domains", "_maps", "_parts", "_unquoted_too")

    def __init__(self, parts: AddressParts, maps: "Maps", domains: LocalDomains, *, unquoted_too: bool = False) -> None:
        self._parts = parts
        self._maps = maps
        self._domains = domains
        self._unquoted_too = unquoted_too

    async def find(self, address: str) -> tuple[str, str] | None:
        """Look an address up in all its forms; the value, and the extension that took no part in the match.

        Args:
            address: internal form.

        Raises:
            TableError: a table does not answer.
        """
        value = await self._look_up(quote_822(address) or '""')
        if value is not None:
            return value, ""
        local, at, domain = address.rpartition("@")
        if not at:
            local, domain = address, ""
        extension = self._parts.extension(local)
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
        if found is None and self._unquoted_too and (plain := unquote_822(key)) != key:
            found = await maps.alookup(plain, partial=partial)
        return found[0] if found else None

    async def _is_local(self, domain: str) -> bool:
        if domain.lower() == self._parts.origin.lower():
            return True
        answer = self._domains.is_local(domain.removesuffix("."))
        return answer if isinstance(answer, bool) else await answer


def _quote_local(local: str) -> str:
    """A local part as a key: an ``@`` in it is no domain."""
    return quote_822(local + "@")[:-1]
