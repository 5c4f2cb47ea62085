"""What SASL needs before the jail, and the authenticators made from it."""

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING

from postfix_smtp.config.access import Parameters
from postfix_smtp.ipc.request import DeliveryRequest
from postfix_smtp.message.address_search import AddressParts, AddressSearch, LocalDomains
from postfix_smtp.sasl.authenticator import Sasl, ServerAuthenticator
from postfix_smtp.sasl.choice import Kind, ranked
from postfix_smtp.sasl.failure_cache import FLAGS, FailureCache
from postfix_smtp.sasl.oauth.opening import OAuthSettings, open_accounts
from postfix_smtp.sasl.passwords import Passwords
from postfix_smtp.sasl.settings import SaslSettings
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.tables.base import TableFlags
from postfix_smtp.tables.maps import Maps

if TYPE_CHECKING:
    from postfix_smtp.tables.match_list import MatchList
    from postfix_smtp.tables.opening import Opener

_FLAGS = TableFlags.LOCK | TableFlags.FOLD_FIX | TableFlags.UTF8_REQUEST
_INSTANCE_FLAGS_SINCE = (3, 11)


def open_sasl(p: Parameters, opener: "Opener", domains: Callable[[], LocalDomains]) -> Sasl:
    """Open tables and load mechanisms, as root and with the real file tree.

    Args:
        domains: what is local; called if authentication depends on the sender.

    Raises:
        FatalError: something is not as it must be.
    """
    settings = SaslSettings.from_parameters(p)
    if settings.bindings:
        import postfix_smtp.sasl.channel_binding  # noqa: F401 - may be needed in the jail
    title = p.spelling("smtp_sasl_password_maps")
    maps = opener.open_maps(title, settings.passwords, _FLAGS) or Maps(title, [])
    senders = None
    if settings.sender_dependent:
        senders = AddressSearch(AddressParts.from_parameters(p), maps, domains(), unquoted_too=True)
    wanted = _open_filter(settings, opener)
    return Sasl(
        settings,
        Passwords(maps, settings.delimiter, senders),
        ranked(_kerberos(), _ntlm()),
        open_accounts(OAuthSettings.from_parameters(p)),
        wanted,
        _open_cache(p, settings) if settings.cache_name else None,
    )


def authenticators(sasl: Sasl) -> Callable[[DeliveryRequest, str, Peer], ServerAuthenticator]:
    """What a delivery asks for an authenticator for one server."""

    def authenticator(request: DeliveryRequest, destination: str, peer: Peer) -> ServerAuthenticator:
        return ServerAuthenticator(sasl, request.queue_id, request.sender, destination, peer)

    return authenticator


def _open_filter(settings: SaslSettings, opener: "Opener") -> "MatchList | None":
    if not settings.mechanism_filter.strip():
        return None
    from postfix_smtp.tables.match_list import MatchList, Style

    return MatchList("smtp_sasl_mechanism_filter", settings.mechanism_filter, opener, Style.STRING, error_is_fatal=True)


def _open_cache(p: Parameters, settings: SaslSettings) -> FailureCache:
    from postfix_smtp.ipc.proxymap import ProxyMapClient
    from postfix_smtp.ipc.settings import IpcSettings

    ipc = IpcSettings.from_parameters(p)
    client = ProxyMapClient(ipc, p.text("queue_directory"), ipc.proxywrite)
    name = settings.cache_name.removeprefix("proxy:")
    has_instance_flags = p.version >= _INSTANCE_FLAGS_SINCE
    flags = client.open(name, int(FLAGS) if has_instance_flags else 0)
    return FailureCache(client, name, settings.cache_seconds, flags if has_instance_flags else 0)


def _kerberos() -> Kind | None:
    """GSSAPI, if its extra package is installed."""
    if importlib.util.find_spec("gssapi") is None:
        return None
    from postfix_smtp.sasl.kerberos import KIND

    return KIND


def _ntlm() -> Kind | None:
    """NTLM, if its extra package is installed."""
    if importlib.util.find_spec("spnego") is None:
        return None
    from postfix_smtp.sasl.ntlm import KIND, load

    load()
    return KIND
