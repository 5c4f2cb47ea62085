"""The delivery agent as a program: puts the rooms together, in the order of process chapter 3, steps 13 to 23."""

import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from postfix_smtp.config.access import Parameters
from postfix_smtp.config.interfaces import addresses_of
from postfix_smtp.delivery.agent import deliver
from postfix_smtp.delivery.connect import Connector, ConnectSettings
from postfix_smtp.delivery.notice import NoticeSettings
from postfix_smtp.delivery.pool import Pool
from postfix_smtp.delivery.report import ReportSettings, Services
from postfix_smtp.delivery.session import Authenticator, Body, LookUp
from postfix_smtp.delivery.settings import AgentSettings
from postfix_smtp.delivery.tooling import TlsPlanner, Tooling
from postfix_smtp.errors import FatalError, TableError
from postfix_smtp.ipc.bounce import BounceClient
from postfix_smtp.ipc.cleanup import CleanupClient
from postfix_smtp.ipc.flush import FlushClient
from postfix_smtp.ipc.pass_on import PassOnClient
from postfix_smtp.ipc.request import DeliveryReply, DeliveryRequest
from postfix_smtp.ipc.settings import IpcSettings
from postfix_smtp.ipc.verify import VerifyClient
from postfix_smtp.message.added import DeliveryFlags, added_headers
from postfix_smtp.message.content import Content
from postfix_smtp.message.settings import MessageSettings, propagated_extensions
from postfix_smtp.queue.file import QueueFile, inspect
from postfix_smtp.queue.path import QueueSettings
from postfix_smtp.routing.hosts import HostFinder
from postfix_smtp.routing.settings import RoutingSettings
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.smtp.settings import SmtpSettings
from postfix_smtp.tables.base import TableFlags

if TYPE_CHECKING:
    from postfix_smtp.delivery.domains import OwnDomains
    from postfix_smtp.delivery.shared_cache import SharedCache
    from postfix_smtp.delivery.status_filter import StatusFilter
    from postfix_smtp.message.checks import Checks
    from postfix_smtp.message.generic import GenericMapper
    from postfix_smtp.routing.dns import Resolver
    from postfix_smtp.sasl.authenticator import Sasl
    from postfix_smtp.tables.maps import Maps
    from postfix_smtp.tables.match_list import MatchList
    from postfix_smtp.tables.opening import Opener
    from postfix_smtp.tls.opening import Opened

T = TypeVar("T")
_CHECKS = ("smtp_header_checks", "smtp_mime_header_checks", "smtp_nested_header_checks", "smtp_body_checks")
_LIST = TableFlags.LOCK
_FOLDED = TableFlags.LOCK | TableFlags.FOLD_FIX
_UTF8 = TableFlags.LOCK | TableFlags.FOLD_FIX | TableFlags.UTF8_REQUEST


class DeliveryProgram:
    """Implements :class:`postfix_smtp.daemon.program.Program`."""

    def __init__(self) -> None:
        self._tools: Tooling | None = None
        self._queue = QueueSettings()
        self._opener: Opener | None = None
        self._enter: Callable[[], None] = lambda: None

    def prepare(self, parameters: Parameters, arguments: Sequence[str]) -> None:
        """As root, before the jail: settings, tables, and the modules that deliveries will need."""
        preparation = _Preparation(parameters)
        preparation.open_tables()
        self._queue = QueueSettings.from_parameters(parameters)
        self._opener = preparation.opener
        _load_late_modules(parameters)

        def enter() -> None:
            self._tools = preparation.finish(arguments)

        self._enter = enter

    def enter(self) -> None:
        """In the jail: the rest, and the service's arguments."""
        self._enter()

    async def start(self) -> None:
        """Nothing: connections are made when they are needed."""

    def inspect(self, queue_name: str, queue_id: str) -> None:
        """Log what is strange about the queue file."""
        inspect(self._queue, queue_name, queue_id)

    async def deliver(self, request: DeliveryRequest) -> DeliveryReply:
        """Deliver one request."""
        assert self._tools is not None
        return await deliver(self._tools, request)

    def changed_table(self) -> str | None:
        """The registered name of a table whose file was changed."""
        return None if self._opener is None else self._opener.changed()

    async def stop(self) -> None:
        """Close what is open."""
        tools = self._tools
        if tools is not None:
            tools.pool.close()
            if tools.shared_cache is not None:
                await tools.shared_cache.settle()


class _Preparation:
    """Start-up in two halves: what has to be done as root, and the rest.

    Tables are opened in Postfix's order, because an error in one hides those in later ones.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._p = parameters
        self.opener: Opener | None = None
        self._status_filter: StatusFilter | None = None
        self._debug: MatchList | None = None
        self._cache: MatchList | None = None
        self._local: MatchList | None = None
        self._flush: MatchList | None = None
        self._maps: dict[str, Maps | None] = {}
        self._reply_filter: LookUp | None = None
        self._parents: MatchList | None = None
        self._sasl: Sasl | None = None
        self._tls: Opened | None = None

    def open_tables(self) -> None:
        """Open every table that is opened before the jail, and check what Postfix checks without using it."""
        p = self._p
        propagated_extensions(p)
        status_filter = self._open_maps("smtp_delivery_status_filter", _LIST, title="smtp_delivery_status_filter")
        if status_filter is not None:
            from postfix_smtp.delivery.status_filter import StatusFilter

            self._status_filter = StatusFilter(_lenient(status_filter))
        self._debug = self._open_list("debug_peer_list", addresses=True, styled=True)
        if p.flag("smtp_sasl_auth_enable"):
            self._open_sasl()
        self._open_tls()
        self._parent_style()
        self._flush = self._open_list("fast_flush_domains", styled=True)
        self._cache = self._open_list("smtp_connection_cache_destinations")
        self._maps["discard"] = self._open_maps("smtp_discard_ehlo_keyword_address_maps", _LIST)
        self._maps["pix"] = self._open_maps("smtp_pix_workaround_maps", _LIST)
        self._maps["generic"] = self._open_maps("smtp_generic_maps", _UTF8)
        for name in _CHECKS:
            self._maps[name] = self._open_maps(name, _LIST)
        if reply_filter := p.text("smtp_reply_filter"):
            self._reply_filter = self._single_table(reply_filter)
        self._maps["dns"] = self._open_maps("smtp_dns_reply_filter", _FOLDED)
        if self._tls is not None and p.version >= (3, 11):
            from postfix_smtp.tls.opening import open_requiretls

            open_requiretls(self._tls, self._tables())
        if self._local is None:
            self._local = self._open_list("mydestination")

    def finish(self, arguments: Sequence[str]) -> Tooling:
        """After the jail: everything else."""
        p = self._p
        insecure_mx = p.text("smtp_tls_dane_insecure_mx_policy")
        if p.program == "smtp" and insecure_mx.lower() not in ("may", "encrypt", "dane"):
            raise FatalError(f'invalid smtp_tls_dane_insecure_mx_policy: "{insecure_mx}"')
        routing = RoutingSettings.from_parameters(p)
        ipc = IpcSettings.from_parameters(p)
        smtp = SmtpSettings.from_parameters(p)
        flags = DeliveryFlags.from_arguments(arguments)
        notices = NoticeSettings.from_parameters(p)
        message = MessageSettings.from_parameters(p)
        generic = self._generic_mapper(ipc)
        shared_cache = self._shared_cache(ipc, smtp)
        resolver = self._resolver(routing)
        own_ipv4 = tuple(item.address for item in p.interfaces if ":" not in item.address)
        own_ipv6 = tuple(item.address for item in p.interfaces if ":" in item.address)
        return Tooling(
            settings=AgentSettings.from_parameters(p, flags),
            routing=routing,
            smtp=smtp,
            report=ReportSettings.from_parameters(p),
            notices=notices,
            queue=QueueSettings.from_parameters(p),
            finder=HostFinder(
                routing,
                resolver,
                _own_addresses(p),
                self._match_later("use_srv_lookup", routing.use_srv),
            ),
            connector=Connector(ConnectSettings.from_parameters(p), own_ipv4, own_ipv6),
            pool=Pool(None if shared_cache is None else shared_cache.hand_over),
            shared_cache=shared_cache,
            services=Services(
                bounce=BounceClient(ipc),
                verify=VerifyClient(ipc),
                flush=FlushClient(ipc),
                flush_domain=None if self._flush is None else self._flush.amatch,
                status_filter=self._status_filter,
            ),
            pass_on=PassOnClient(ipc),
            cleanup=CleanupClient(ipc),
            body=_body_maker(message, flags, self._checks(), generic),
            generic=generic,
            cache_destination=_without_errors(self._cache),
            debug_match=_without_errors(self._debug),
            debug_level=p.number("debug_peer_level"),
            discard_map=_whole_key(self._maps["discard"]),
            pix_map=_whole_key(self._maps["pix"]),
            reply_filter=self._reply_filter,
            tls=self._planner(resolver),
            authenticator=self._authenticator(),
        )

    # Tables

    def _tables(self) -> "Opener":
        if self.opener is None:
            from postfix_smtp.tables.opening import Opener, TableSettings

            self.opener = Opener(TableSettings.from_parameters(self._p), self._p)
        return self.opener

    def _open_maps(self, name: str, flags: TableFlags, *, title: str = "") -> "Maps | None":
        value = self._p.text(name)
        return self._tables().open_maps(title or self._p.spelling(name), value, flags) if value.strip() else None

    def _open_list(self, name: str, *, addresses: bool = False, styled: bool = False) -> "MatchList | None":
        """A match list; None if it is empty. Its title is the smtp(8) name in both programs."""
        value = self._p.text(name)
        if not value.strip():
            return None
        from postfix_smtp.tables.match_list import MatchList, Style

        style = Style.STRING
        if styled:
            style = Style.PARENT if self._parent_style().match(name) else Style.DOT
        return MatchList(name, value, self._tables(), style, addresses=addresses)

    def _parent_style(self) -> "MatchList":
        if self._parents is None:
            from postfix_smtp.tables.match_list import MatchList, Style

            name = "parent_domain_matches_subdomains"
            self._parents = MatchList(name, self._p.text(name), self._tables(), Style.STRING, error_is_fatal=True)
        return self._parents

    def _single_table(self, spec: str) -> LookUp:
        table = self._tables().open(spec, _FOLDED, watch=self._p.version >= (3, 11))

        async def lookup(line: str) -> str | None:
            if table.local:
                return table.lookup(line)
            import asyncio

            return await asyncio.to_thread(table.lookup, line)

        return lookup

    def _match_later(self, name: str, value: str) -> Callable[[str], Awaitable[bool]] | None:
        """A list that is opened after the jail."""
        if not value.strip():
            return None
        from postfix_smtp.tables.match_list import MatchList, Style

        return _without_errors(MatchList(name, value, self._tables(), Style.STRING))

    def _open_sasl(self) -> None:
        from postfix_smtp.sasl.opening import open_sasl

        def domains() -> "OwnDomains":
            self._local = self._open_list("mydestination")
            return self._own_domains()

        self._sasl = open_sasl(self._p, self._tables(), domains)

    def _open_tls(self) -> None:
        """TLS as root: nothing of it is loaded if it is not configured."""
        p = self._p
        configured = p.text("smtp_tls_security_level") or p.flag("smtp_use_tls") or p.flag("smtp_enforce_tls")
        configured = configured or p.text("smtp_tls_policy_maps") or p.text("smtp_tls_per_site")
        reported = p.version >= (3, 10) and p.flag("smtp_tlsrpt_enable")
        if configured or reported or p.version >= (3, 11):
            from postfix_smtp.tls.opening import open_tls

            self._tls = open_tls(p, self._tables)

    # Parts

    def _planner(self, resolver: "Resolver | None") -> "TlsPlanner | None":
        if self._tls is None:
            return None
        from postfix_smtp.tls.opening import finish_tls

        return finish_tls(self._tls, resolver)

    def _shared_cache(self, ipc: IpcSettings, smtp: SmtpSettings) -> "SharedCache | None":
        if not _keeps_connections(self._p):
            return None
        from postfix_smtp.delivery.shared_cache import SharedCache
        from postfix_smtp.ipc.scache import CacheClient

        lifetime = self._p.seconds("smtp_connection_cache_time_limit")
        return SharedCache(CacheClient(ipc), smtp, lifetime, self._p.version)

    def _authenticator(self) -> "Callable[[DeliveryRequest, str, Peer], Authenticator] | None":
        if self._sasl is None:
            return None
        from postfix_smtp.sasl.opening import authenticators

        return authenticators(self._sasl)

    def _checks(self) -> "Checks | None":
        tables = [self._maps[name] for name in _CHECKS]
        if not any(tables):
            return None
        from postfix_smtp.message.checks import Checks

        return Checks(*tables)

    def _generic_mapper(self, ipc: IpcSettings) -> "GenericMapper | None":
        maps = self._maps["generic"]
        if maps is None:
            return None
        from postfix_smtp.ipc.rewrite import RewriteClient
        from postfix_smtp.message.generic import GenericMapper, GenericSettings

        settings = GenericSettings.from_parameters(self._p)
        return GenericMapper(settings, maps, self._own_domains(), RewriteClient(ipc).rewrite)

    def _own_domains(self) -> "OwnDomains":
        from postfix_smtp.delivery.domains import OwnDomains

        ipv6 = socket.AF_INET6 in self._p.families
        return OwnDomains(self._local, _own_addresses(self._p), ipv6=ipv6)

    def _resolver(self, routing: RoutingSettings) -> "Resolver | None":
        if not routing.dns_enabled:
            return None
        from postfix_smtp.routing.dns import Resolver
        from postfix_smtp.routing.dns_client import DnsClient

        return Resolver(
            DnsClient(routing.dns_cache_size),
            reply_filter=_whole_key(self._maps["dns"]),
            filter_title=self._p.spelling("smtp_dns_reply_filter"),
            dnssec_probe=routing.dnssec_probe,
            defnames=routing.defnames,
            dnsrch=routing.dnsrch,
        )


def _keeps_connections(p: Parameters) -> bool:
    return p.flag("smtp_connection_cache_on_demand") or bool(p.text("smtp_connection_cache_destinations").strip())


def _whole_key(maps: "Maps | None") -> LookUp | None:
    return None if maps is None else maps.value


def _lenient(maps: "Maps") -> LookUp:
    """Look-ups whose errors mean "nothing found"."""

    async def lookup(key: str) -> str | None:
        try:
            return await maps.value(key)
        except TableError:
            return None

    return lookup


def _without_errors(matches: "MatchList | None") -> Callable[..., Awaitable[bool]] | None:
    """A match list whose errors mean "no match"."""
    if matches is None:
        return None
    amatch = matches.amatch

    async def match(name: str, address: str = "") -> bool:
        try:
            return await amatch(name, address)
        except TableError:
            return False

    return match


def _own_addresses(p: Parameters) -> Callable[[], frozenset[str]]:
    """The own addresses and those of proxies, which are looked up when they are first needed (config chapter 13)."""
    known: frozenset[str] | None = None

    def own_addresses() -> frozenset[str]:
        nonlocal known
        if known is None:
            proxies = p.text("proxy_interfaces")
            others = addresses_of("proxy_interfaces", proxies, p.families) if proxies else []
            known = frozenset([item.address for item in p.interfaces] + others)
        return known

    return own_addresses


def _body_maker(
    settings: MessageSettings, flags: DeliveryFlags, checks: "Checks | None", generic: "GenericMapper | None"
) -> Callable[[QueueFile, DeliveryRequest], Awaitable[Body]]:
    async def body(queue_file: QueueFile, request: DeliveryRequest) -> Body:
        added = await added_headers(flags, request, generic) if flags.any_header else ()
        return Content(queue_file, request, settings, checks=checks, generic=generic, added=added)

    return body


def _load_late_modules(p: Parameters) -> None:
    """Import now what may be needed in the jail, where nothing can be imported any more."""
    import postfix_smtp.message.processor
    from postfix_smtp.routing import names

    if _keeps_connections(p):
        import postfix_smtp.delivery.shared_cache
    if not p.flag("disable_dns_lookups"):
        import postfix_smtp.routing.dns
        import postfix_smtp.routing.dns_client  # noqa: F401
    if p.flag("smtputf8_enable"):
        names.to_ascii("\u00e4.example")
