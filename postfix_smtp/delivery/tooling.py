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
from postfix_smtp.smtp.context import RequireTls, StartTls, TlsInfo, TlsNeed
from postfix_smtp.smtp.failure import Failure
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.smtp.settings import SmtpSettings

if TYPE_CHECKING:
    from postfix_smtp.delivery.shared_cache import SharedCache
    from postfix_smtp.message.generic import GenericMapper
    from postfix_smtp.tls.reporting import SessionReport


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

    @property
    def reuse(self) -> bool:
        """A TLS session may be kept for the next delivery (``smtp_tls_connection_reuse``)."""

    @property
    def requiretls(self) -> RequireTls:
        """REQUIRETLS enforcement (3.11)."""

    @property
    def report(self) -> "SessionReport | None":
        """Is told how the session came out (TLSRPT, 3.10); None: nobody wants to know."""

    def authorizes(self, host: str) -> bool:
        """Whether an MX host may be used (MTA-STS, 3.10.5); logs why not."""

    def connected(self) -> None:
        """There is a connection now; logs what the plan leaves out on it."""

    def in_plaintext(self) -> "TlsPlan":
        """The same server without TLS, after TLS has failed where it is not required."""

    def status(self, start: StartTls, info: TlsInfo | None, *, announced: bool = False, begun: bool = True) -> str:
        """The value of ``tls=`` in log lines (3.11).

        Args:
            start: what became of TLS on the connection.
            announced: the server knows REQUIRETLS.
            begun: mail could be sent.
        """


class TlsPlans(Protocol):
    """The TLS policies of one delivery request."""

    async def begin_destination(self, domain: str) -> None:
        """A destination is about to be looked up.

        Args:
            domain: without brackets and port.
        """

    async def enforcement(self, domain: str) -> RequireTls | None:
        """REQUIRETLS enforcement for a destination (3.11); None: its policy is an error."""

    async def plan(self, nexthop: str, domain: str, peer: Peer, address: Address | None) -> TlsPlan | Failure:
        """The policy for one server.

        Args:
            nexthop: destination text.
            domain: the same without brackets and port.
            address: None for a UNIX-domain socket.

        Returns:
            A Failure if the policy cannot be looked up or understood.
        """

    @property
    def failed_status(self) -> str:
        """The value of ``tls=`` after the last :meth:`plan` that was a Failure (3.11)."""


class TlsPlanner(Protocol):
    """Looks TLS policies up."""

    @property
    def shows_status(self) -> bool:
        """Log lines have ``tls=`` (3.11)."""

    def begin(self, request: DeliveryRequest) -> TlsPlans:
        """Policies are looked up once for each delivery request."""

    def log_reuse(self, info: TlsInfo, peer: Peer) -> None:
        """A kept session is used again."""


@dataclass(frozen=True, slots=True)
class _Plaintext:
    level: int = 0
    need: TlsNeed = TlsNeed.NONE
    starter: TlsStarter | None = None
    reuse: bool = False
    requiretls: RequireTls = RequireTls.DISABLE
    report: "SessionReport | None" = None

    def authorizes(self, _host: str) -> bool:
        return True

    def connected(self) -> None:
        pass

    def in_plaintext(self) -> TlsPlan:
        return self

    def status(self, _start: StartTls, _info: TlsInfo | None, *, announced: bool = False, begun: bool = True) -> str:
        return ""


PLAINTEXT: TlsPlan = _Plaintext()


@dataclass(frozen=True, slots=True)
class Tooling:
    """The parts of a delivery agent.

    Attributes:
        body: makes the content of a request, for one or more transactions.
        shared_cache: scache(8); None if sessions are never kept.
        generic: ``smtp_generic_maps``; None if empty.
        cache_destination: ``smtp_connection_cache_destinations``; None if empty.
        debug_match: ``debug_peer_list`` by name and address; None if empty.
        debug_level: how much ``debug_peer_list`` raises verbosity.
        discard_map, pix_map, reply_filter: look-ups of the session, None if not configured.
        tls: None if no TLS is configured.
        authenticator: SASL for a server, None without SASL.
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
    shared_cache: "SharedCache | None" = None
    generic: "GenericMapper | None" = None
    cache_destination: Callable[[str], Awaitable[bool]] | None = None
    debug_match: Callable[[str, str], Awaitable[bool]] | None = None
    debug_level: int = 2
    discard_map: LookUp | None = None
    pix_map: LookUp | None = None
    reply_filter: LookUp | None = None
    tls: TlsPlanner | None = None
    authenticator: Callable[[DeliveryRequest, str, Peer], Authenticator] | None = None
