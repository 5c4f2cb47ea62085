"""Authentication to one server for one message; implements :class:`postfix_smtp.delivery.session.Authenticator`."""

from typing import TYPE_CHECKING

from postfix_smtp import log
from postfix_smtp.dsn import Dsn
from postfix_smtp.errors import TableError
from postfix_smtp.sasl import choice
from postfix_smtp.sasl.choice import Kind, Property
from postfix_smtp.sasl.exchange import NO_MECHANISM, ChannelBinding, Exchange, Identity
from postfix_smtp.sasl.failure_cache import REFUSED, FailureCache
from postfix_smtp.sasl.oauth.accounts import Accounts
from postfix_smtp.sasl.passwords import Credentials, Passwords
from postfix_smtp.sasl.settings import SaslSettings
from postfix_smtp.sasl.token_authentication import TokenAuthentication, token_file
from postfix_smtp.smtp.authentication import cannot_authenticate
from postfix_smtp.smtp.context import TlsInfo
from postfix_smtp.smtp.failure import Failure
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.smtp.reply import Reply

if TYPE_CHECKING:
    from postfix_smtp.tables.match_list import MatchList


class Sasl:
    """What all authentications of a process share.

    Args:
        kinds: mechanisms, best first.
        accounts: of OAuth2.
        mechanism_filter: None if empty.
        cache: of refused credentials.
    """

    def __init__(
        self,
        settings: SaslSettings,
        passwords: Passwords,
        kinds: tuple[Kind, ...],
        accounts: Accounts,
        mechanism_filter: "MatchList | None" = None,
        cache: FailureCache | None = None,
    ) -> None:
        self.settings = settings
        self.passwords = passwords
        self.kinds = kinds
        self.mechanism_filter = mechanism_filter
        self.cache = cache
        self.accounts = accounts

    def wanted(self, tls: TlsInfo | None) -> Property:
        """What the security options ask of mechanisms in this session."""
        settings = self.settings
        if tls is None:
            return choice.security_properties(settings.plaintext_options)
        return choice.security_properties(settings.verified_options if tls.is_matched else settings.tls_options)


class ServerAuthenticator:
    """One use of SASL.

    Args:
        queue_id: for log lines.
        sender: envelope sender.
        destination: text of the next-hop.
    """

    def __init__(self, sasl: Sasl, queue_id: str, sender: str, destination: str, peer: Peer) -> None:
        self._sasl = sasl
        self._queue_id = queue_id
        self._sender = sender
        self._destination = destination
        self._peer = peer
        self._credentials: Credentials | None = None
        self._token: TokenAuthentication | None = None

    async def filter_mechanisms(self, words: str) -> str:
        """What ``smtp_sasl_mechanism_filter`` leaves of an AUTH keyword's list."""
        wanted = self._sasl.mechanism_filter
        if wanted is None:
            return words
        kept = []
        for word in words.split():
            is_kept = await wanted.amatch(word)
            if log.verbose():
                log.info(f"sasl_mech_filter: {'keep' if is_kept else 'drop'} SASL mechanism: '{word}'")
            if is_kept:
                kept.append(word)
        return " ".join(kept)

    async def has_credentials(self, tls: TlsInfo | None) -> bool:
        """Look the credentials up."""
        host = self._peer.name
        try:
            self._credentials = await self._sasl.passwords.find(self._sender, self._peer, self._destination)
        except TableError:
            log.warning(f"{self._queue_id}: smtp_sasl_password_maps lookup error")
            raise
        if log.verbose():
            if self._credentials is None:
                log.info(f"smtp_sasl_passwd_lookup: no auth info found (sender=`{self._sender}', host=`{host}')")
            else:
                log.info(f"smtp_sasl_passwd_lookup: host `{host}' user `{self._credentials.user}' pass `[hidden]'")
        return self._credentials is not None

    async def choose(
        self, mechanisms: str, tls: TlsInfo | None, connection: object | None = None
    ) -> Exchange | Failure:
        """The mechanism to use, ready to start."""
        sasl, peer, credentials = self._sasl, self._peer, self._credentials
        assert credentials is not None
        wanted = sasl.wanted(tls)
        if log.verbose():
            log.info(f"smtp_sasl_authenticate: {peer.endpoint}: SASL mechanisms {mechanisms}")
        filtered = sasl.kinds if sasl.mechanism_filter is not None else ()
        found = token_file(credentials, sasl.accounts, filtered, mechanisms, wanted)
        if found is not None:
            path, kinds = found
            self._token = TokenAuthentication(sasl.accounts, sasl.settings.program, credentials.user, path, peer)
            if tls is not None and kinds is choice.BEARER:
                # Inside TLS nobody overhears a token, and with ``oauth:`` nothing else was asked for
                wanted &= ~Property.NOPLAINTEXT
            return await self._token.choose(kinds, mechanisms, wanted)
        if sasl.cache is not None:
            known = await sasl.cache.find(peer.name, credentials)
            if known is not None:
                return self._refused_before(*known)
        binding = self._binding(mechanisms, tls, connection)
        kinds = sasl.kinds if binding is None else choice.bound(sasl.kinds) + sasl.kinds
        kind = choice.choose(kinds, mechanisms, wanted)
        if kind is None:
            if not choice.only_bound(mechanisms):
                log.warning("SASL authentication failure: No worthy mechs found")
            return cannot_authenticate(peer.host, NO_MECHANISM)
        settings = sasl.settings
        identity = Identity(
            credentials.user,
            credentials.password,
            authorize=settings.authorize,
            service=settings.program,
            host=peer.name,
            port=peer.port,
            binding=binding,
        )
        return kind.make(kind.name, identity)

    async def refused(self, reply: Reply) -> Exchange | str | None:
        """The server's final reply was a refusal."""
        if self._token is not None:
            return await self._token.refused(reply)
        if self._sasl.cache is not None and self._credentials is not None and reply.code == REFUSED:
            await self._sasl.cache.add(self._peer.name, self._credentials, reply)
        return None

    def _binding(self, mechanisms: str, tls: TlsInfo | None, connection: object | None) -> ChannelBinding | None:
        """How to bind to the TLS session, if that is wanted, possible, and of use here."""
        kinds = self._sasl.settings.bindings
        if tls is None or connection is None or not kinds or "-PLUS" not in mechanisms.upper():
            return None
        from postfix_smtp.sasl.channel_binding import binding_data

        for kind in kinds:
            data = binding_data(connection, kind, resumed=bool(getattr(tls, "resumed", False)))
            if data is not None:
                return ChannelBinding(kind, data)
        return None

    def _refused_before(self, status: str, text: str) -> Failure:
        """These very credentials were refused not long ago."""
        settings, host = self._sasl.settings, self._peer.name
        if settings.soft_bounce and status.startswith("5"):
            status = "4" + status[1:]
        reason = f"SASL [CACHED] authentication failed; server {host} said: {text}"
        return Failure(Dsn(status, reason, settings.program, text, "dns", host), throttle=True)
