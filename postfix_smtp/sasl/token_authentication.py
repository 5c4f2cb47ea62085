"""Authentication with an access token, and a second attempt with a new one if the first is refused (SASL chapter 7)."""

from postfix_smtp import log
from postfix_smtp.sasl import choice
from postfix_smtp.sasl.bearer import Bearer
from postfix_smtp.sasl.choice import Kind, Property
from postfix_smtp.sasl.exchange import NO_MECHANISM, Identity
from postfix_smtp.sasl.oauth.accounts import PREFIX, Accounts
from postfix_smtp.sasl.oauth.errors import TokenError
from postfix_smtp.sasl.passwords import Credentials
from postfix_smtp.smtp.authentication import cannot_authenticate
from postfix_smtp.smtp.failure import Failure
from postfix_smtp.smtp.mechanism import SaslError
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.smtp.reply import Reply


def token_file(
    credentials: Credentials, accounts: Accounts, kinds: tuple[Kind, ...], mechanisms: str, wanted: Property
) -> tuple[str, tuple[Kind, ...]] | None:
    """The token file that a password field names, and the mechanisms to choose from; None if it is a password.

    Either ``oauth:/path``, which needs nothing else, or in the manner of the sasl-xoauth2 plug-in a bare path: there
    must be a mechanism filter that lets one of the two mechanisms through, or else every password that looks like a
    path would be taken for one.

    Args:
        kinds: all mechanisms; empty without a filter.
        mechanisms: what the filter left of the server's offer.
    """
    password = credentials.password
    if password.startswith(PREFIX + "/"):
        return password.removeprefix(PREFIX), choice.BEARER
    if not password.startswith("/"):
        return None
    kind = choice.choose(kinds, mechanisms, wanted, bearer=True)
    if kind is None or not kind.bearer:
        return None
    if choice.choose(kinds, mechanisms, wanted) is not None and not accounts.exists(password):
        return None
    return password, (kind,)


class TokenAuthentication:
    """One use of an account.

    Args:
        service: ``smtp`` or ``lmtp``.
        path: of the token file.
    """

    def __init__(self, accounts: Accounts, service: str, user: str, path: str, peer: Peer) -> None:
        self._accounts = accounts
        self._service = service
        self._user = user
        self._path = path
        self._peer = peer
        self._kind: Kind | None = None
        self._exchange: Bearer | None = None
        self._tried_again = False

    async def choose(self, kinds: tuple[Kind, ...], mechanisms: str, wanted: Property) -> Bearer | Failure:
        """The mechanism to use, with a good token."""
        self._kind = choice.choose(kinds, mechanisms, wanted, bearer=True)
        if self._kind is None:
            log.warning("SASL authentication failure: No worthy mechs found")
            return cannot_authenticate(self._peer.host, NO_MECHANISM)
        try:
            return await self._begin()
        except TokenError as failure:
            return cannot_authenticate(self._peer.host, failure.reason)

    async def refused(self, reply: Reply) -> Bearer | str | None:
        """Get a new token and try again, once."""
        exchange = self._exchange
        assert exchange is not None
        reason = exchange.refusal
        told = f" ({reason})" if reason else ""
        log.info(f"OAuth2 token {self._path}: refused by {self._peer.host}: {reply.line}{told}")
        if self._tried_again or reply.kind != 5:
            return reason or None
        self._tried_again = True
        try:
            return await self._begin(refused=exchange.token)
        except TokenError as failure:
            return f"{reason}; {failure.reason}" if reason else failure.reason

    async def _begin(self, refused: str = "") -> Bearer:
        assert self._kind is not None
        access = await self._accounts.access(self._path, refused)
        user = self._user or access.user
        if not user:
            raise TokenError("neither the password table nor the token file has a user name", lasting=True)
        identity = Identity(user, access.token, service=self._service, host=self._peer.name, port=self._peer.port)
        exchange = self._kind.make(self._kind.name, identity)
        if not isinstance(exchange, Bearer):
            raise SaslError(NO_MECHANISM)
        self._exchange = exchange
        return exchange
