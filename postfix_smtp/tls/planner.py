"""TLS for the delivery agent: the policy of each server, and the means to follow it (TLS chapter 2.8)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from postfix_smtp import log
from postfix_smtp.delivery.session import TlsStarter
from postfix_smtp.dsn import Dsn
from postfix_smtp.ipc.request import DeliveryRequest, SendOptions
from postfix_smtp.routing.address import Address
from postfix_smtp.smtp.context import RequireTls, StartTls, TlsInfo, TlsNeed
from postfix_smtp.smtp.failure import Failure
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.tls import status
from postfix_smtp.tls.established import Established
from postfix_smtp.tls.levels import Level
from postfix_smtp.tls.policy import Policy, PolicyFinder, Server, is_authorized
from postfix_smtp.tls.policy_entry import PolicyError
from postfix_smtp.tls.settings import PolicySettings

if TYPE_CHECKING:
    from postfix_smtp.tls.reporting import Report, Reporting, SessionReport

_MAX_POLICIES = 20
_TLS_REQUIRED_SINCE = (3, 10)
_REQUIRETLS_SINCE = (3, 11)
_NEEDS = {Level.NONE: TlsNeed.NONE, Level.MAY: TlsNeed.MAY, Level.ENCRYPT: TlsNeed.ENCRYPT}

#: Makes the handshake for a policy.
StarterMaker = Callable[[Policy, Server, Peer, "SessionReport | None"], TlsStarter]
#: REQUIRETLS enforcement for a next-hop domain; None: the policy is an error.
RequireTlsPolicy = Callable[[str], Awaitable[RequireTls | None]]


@dataclass(frozen=True, slots=True)
class Plan:
    """The policy for one server; implements :class:`postfix_smtp.delivery.tooling.TlsPlan`."""

    policy: Policy
    need: TlsNeed
    settings: PolicySettings
    starter: TlsStarter | None = None
    requiretls: RequireTls = RequireTls.DISABLE
    is_plaintext_retry: bool = False
    is_unix_domain: bool = False
    report: "SessionReport | None" = None

    @property
    def level(self) -> int:
        """Numeric level for cache keys."""
        return int(Level.NONE if self.is_plaintext_retry else self.policy.level)

    @property
    def reuse(self) -> bool:
        """A TLS session may be kept for the next delivery."""
        return self.policy.keep

    def authorizes(self, host: str) -> bool:
        """Whether an MX host may be used (MTA-STS); logs why not."""
        return is_authorized(self.policy, host, self.settings)

    def connected(self) -> None:
        """There is a connection now; logs that there will be no opportunistic TLS on it."""
        if self.is_unix_domain and self.policy.level is Level.MAY:
            log.warning(
                "smtp_connect_local: opportunistic TLS encryption is not appropriate for unix-domain destinations."
            )

    def in_plaintext(self) -> "Plan":
        """The same, after TLS has failed where it is not required."""
        return Plan(self.policy, TlsNeed.NONE, self.settings, requiretls=self.requiretls, is_plaintext_retry=True)

    def status(self, start: StartTls, info: TlsInfo | None, *, announced: bool = False, begun: bool = True) -> str:
        """The value of ``tls=`` in log lines (3.11).

        Args:
            start: what became of TLS on the connection.
            announced: the server knows REQUIRETLS.
            begun: mail could be sent.
        """
        return status.describe(self.policy.level, self.requiretls, start, info, announced=announced, begun=begun)


class Planner:
    """Looks policies up; implements :class:`postfix_smtp.delivery.tooling.TlsPlanner`.

    Args:
        make_starter: None if the engine could not be initialised.
        requiretls: None if it is not enabled, or not known to this version.
        reporting: TLSRPT; None if it is off.
    """

    def __init__(
        self,
        settings: PolicySettings,
        finder: PolicyFinder,
        make_starter: StarterMaker | None,
        requiretls: RequireTlsPolicy | None = None,
        reporting: "Reporting | None" = None,
        *,
        shows_status: bool = False,
    ) -> None:
        self._settings = settings
        self._finder = finder
        self._make_starter = make_starter
        self._requiretls = requiretls
        self._reporting = reporting
        self.shows_status = shows_status

    def begin(self, request: DeliveryRequest) -> "Plans":
        """The policies of one delivery request."""
        return Plans(request, self._settings, self._finder, self._make_starter, self._requiretls, self._reporting)

    def log_reuse(self, info: TlsInfo, peer: Peer) -> None:
        """A kept session is used again."""
        if isinstance(info, Established) and info.is_logged:
            log.info(info.line("reused", peer))


class Plans:
    """The policies that one delivery request has met, each looked up once."""

    def __init__(
        self,
        request: DeliveryRequest,
        settings: PolicySettings,
        finder: PolicyFinder,
        make_starter: StarterMaker | None,
        requiretls: RequireTlsPolicy | None,
        reporting: "Reporting | None",
    ) -> None:
        self._settings = settings
        self._finder = finder
        self._make_starter = make_starter
        self._queue_id = request.queue_id
        self.failed_status = ""
        self._known: dict[tuple[str, str, int], Policy | PolicyError] = {}
        self._levels: dict[str, RequireTls | None] = {}
        self._reporting = reporting
        self._reports: dict[str, Report | None] = {}
        options = request.options
        self._wants_requiretls = bool(options & SendOptions.REQUIRETLS) and requiretls is not None
        self._requiretls = requiretls if self._wants_requiretls else None
        self._lenient = (
            bool(options & SendOptions.TLS_REQUIRED_NO)
            and settings.tls_required
            and settings.version >= _TLS_REQUIRED_SINCE
            and not self._wants_requiretls
        )

    async def begin_destination(self, domain: str) -> None:
        """A destination is about to be looked up.

        Args:
            domain: without brackets and port.
        """
        if self._reporting is not None and not self._lenient and domain not in self._reports:
            self._reports[domain] = await self._reporting.find(domain)

    async def plan(self, nexthop: str, domain: str, peer: Peer, address: Address | None) -> Plan | Failure:
        """The policy for one server; a Failure if there is none.

        Args:
            nexthop: destination text.
            domain: the same without brackets and port.
            address: None for a UNIX-domain socket.
        """
        server = Server(nexthop, domain, peer.name, peer.port, address)
        policy = await self._policy(server)
        if isinstance(policy, PolicyError):
            self.failed_status = status.UNKNOWN
            return Failure(Dsn(policy.status, policy.reason))
        requiretls = await self.enforcement(domain)
        starter = None
        report = None
        if policy.level > Level.NONE:
            found = self._reports.get(domain)
            report = found.session(policy, peer) if found is not None else None
            if self._make_starter is not None:
                starter = self._make_starter(policy, server, peer, report)
        plan = Plan(
            policy,
            _NEEDS.get(policy.level, TlsNeed.MATCH),
            self._settings,
            starter,
            requiretls or RequireTls.DISABLE,
            report=report,
        )
        if address is None and policy.level is Level.MAY:
            plan = replace(plan.in_plaintext(), is_unix_domain=True)
        if self._requiretls is not None:
            failure = status.requiretls_failure(policy.level, requiretls, peer.name, self._queue_id)
            if failure is not None:
                self.failed_status = status.ruled_out(policy.level, requiretls)
                return failure
        return plan

    async def _policy(self, server: Server) -> Policy | PolicyError:
        key = (server.nexthop, server.host, server.port)
        policy = self._known.get(key)
        if policy is None:
            try:
                policy = await self._finder.find(server, tls_required_no=self._lenient)
            except PolicyError as error:
                policy = error
            if len(self._known) >= _MAX_POLICIES:
                del self._known[next(iter(self._known))]
            self._known[key] = policy
        return policy

    async def enforcement(self, domain: str) -> RequireTls | None:
        """REQUIRETLS enforcement for a destination; None: its policy is an error."""
        if self._requiretls is None:
            return RequireTls.DISABLE
        if domain not in self._levels:
            self._levels[domain] = await self._requiretls(domain)
        return self._levels[domain]
