"""Looking credentials up (SASL chapter 3)."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from postfix_smtp.smtp.peer import Peer

if TYPE_CHECKING:
    from postfix_smtp.message.address_search import AddressSearch
    from postfix_smtp.tables.maps import Maps


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the table says about an account.

    Attributes:
        password: or the place of an OAuth2 token.
    """

    user: str
    password: str = field(repr=False)


class Passwords:
    """``smtp_sasl_password_maps``.

    Args:
        delimiter: ends the user name.
        senders: looks sender addresses up, if authentication depends on the sender.
    """

    def __init__(self, maps: "Maps", delimiter: str, senders: "AddressSearch | None") -> None:
        self._maps = maps
        self._delimiter = delimiter
        self._senders = senders

    async def find(self, sender: str, peer: Peer, destination: str) -> Credentials | None:
        """The credentials for one server, None if there are none.

        Args:
            sender: of the message, as it came, empty for the null sender.
            destination: as in the delivery request or the fallback list; for a UNIX-domain socket its path.

        Raises:
            TableError: a table does not answer; logged, but not for which message.
        """
        value = None
        if self._senders is not None and sender:
            found = await self._senders.find(sender)
            value = None if found is None else found[0]
        if value is None:
            value = await self._maps.value(peer.name)
        if value is None:
            value = await self._maps.value(destination)
        if value is None:
            return None
        user, _, password = value.partition(self._delimiter)
        return Credentials(user, password)
