"""What a delivery needs from other rooms, put together once per process by :mod:`postfix_smtp.delivery.program`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from postfix_smtp.delivery.connect import Connector
from postfix_smtp.delivery.notice import NoticeSettings
from postfix_smtp.delivery.pool import Pool
from postfix_smtp.delivery.report import ReportSettings, Services
from postfix_smtp.delivery.session import Authenticator, Body, LookUp, TlsStarter
from postfix_smtp.delivery.settings import AgentSettings
from postfix_smtp.ipc.cleanup import CleanupClient
from postfix_smtp.ipc.pass_on import PassOnClient
from postfix_smtp.ipc.request import DeliveryRequest
from postfix_smtp.queue.file import QueueFile
from postfix_smtp.queue.path import QueueSettings
from postfix_smtp.routing.address import Address
from postfix_smtp.routing.hosts import HostFinder
from postfix_smtp.routing.settings import RoutingSettings
from postfix_smtp.smtp.context import RequireTls, TlsNeed
from postfix_smtp.smtp.failure import Failure
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.smtp.settings import SmtpSettings

if TYPE_CHECKING:
    from postfix_smtp.message.generic import GenericMapper


class TlsPlan(Protocol):
    """TLS policy for one server: what is demanded, and the means to do it."""

    @property
    def level(self) -> int:
        """Numeric level for cache keys: none 0, may 1, encrypt 2 ... secure 8."""

    @property
    def need(self) -> TlsNeed:
        """What the session has to do."""

    @property
    def starter(self) -> TlsStarter | None:
        """Does the handshake; None at level ``none`` or without TLS engine."""


class TlsPlanner(Protocol):
    """Looks TLS policies up."""

    async def plan(
        self, request: DeliveryRequest, nexthop: str, peer: Peer, address: Address | None
    ) -> TlsPlan | Failure:
        """The policy for one server.

        Args:
            nexthop: destination text.
            address: None for a UNIX-domain socket.

        Returns:
            A Failure if the policy cannot be looked up or understood.
        """

    @property
    def wrapper_mode(self) -> bool:
        """TLS from the first octet on."""

    @property
    def reuse(self) -> bool:
        """TLS sessions may be kept for the next delivery (``smtp_tls_connection_reuse``)."""


@dataclass(frozen=True, slots=True)
class _Plaintext:
    level: int = 0
    need: TlsNeed = TlsNeed.NONE
    starter: TlsStarter | None = None


PLAINTEXT: TlsPlan = _Plaintext()


@dataclass(frozen=True, slots=True)
class Tooling:
    """The parts of a delivery agent.

    Attributes:
        body: makes the content of a request, for one or more transactions.
        generic: ``smtp_generic_maps``; None if empty.
        cache_destination: ``smtp_connection_cache_destinations``; None if empty.
        debug_match: ``debug_peer_list`` by name and address; None if empty.
        debug_level: how much ``debug_peer_list`` raises verbosity.
        discard_map, pix_map, reply_filter: look-ups of the session, None if not configured.
        tls: None if no TLS is configured.
        authenticator: SASL for a server, None without SASL.
        requiretls: REQUIRETLS policy for a next-hop (3.11), None if not enabled.
    """

    settings: AgentSettings
    routing: RoutingSettings
    smtp: SmtpSettings
    report: ReportSettings
    notices: NoticeSettings
    queue: QueueSettings
    finder: HostFinder
    connector: Connector
    pool: Pool
    services: Services
    pass_on: PassOnClient
    cleanup: CleanupClient
    body: Callable[[QueueFile, DeliveryRequest], Awaitable[Body]]
    generic: "GenericMapper | None" = None
    cache_destination: Callable[[str], Awaitable[bool]] | None = None
    debug_match: Callable[[str, str], Awaitable[bool]] | None = None
    debug_level: int = 2
    discard_map: LookUp | None = None
    pix_map: LookUp | None = None
    reply_filter: LookUp | None = None
    tls: TlsPlanner | None = None
    authenticator: Callable[[DeliveryRequest, str, Peer], Authenticator] | None = None
    requiretls: Callable[[DeliveryRequest, str], Awaitable[RequireTls]] | None = None
