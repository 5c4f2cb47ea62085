"""The use of servers by one delivery request: cached sessions and new ones (delivery chapter 8, 9 and 14).

The walk says which server is next (:mod:`postfix_smtp.delivery.walk`); here it is done. What becomes of recipients goes
to the :class:`~postfix_smtp.delivery.report.Reporter`.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

from postfix_smtp import log
from postfix_smtp.delivery import keys, notice
from postfix_smtp.delivery.connect import ConnectError
from postfix_smtp.delivery.keys import KeyContext
from postfix_smtp.delivery.pool import Kept
from postfix_smtp.delivery.report import Reporter
from postfix_smtp.delivery.session import Body, Session, SessionContext
from postfix_smtp.delivery.stream import Stream
from postfix_smtp.delivery.tooling import PLAINTEXT, TlsPlan, Tooling
from postfix_smtp.delivery.verbosity import PeerVerbosity
from postfix_smtp.delivery.walk import Connect, Outcome, ReuseAddress, Reused, ReuseDestination
from postfix_smtp.errors import FatalError
from postfix_smtp.ipc.request import DeliveryRequest, RequestFlags
from postfix_smtp.queue.file import QueueFile
from postfix_smtp.routing.address import Address
from postfix_smtp.routing.destination import LOOP_PORT
from postfix_smtp.smtp.context import RequireTls, StartTls, TlsNeed
from postfix_smtp.smtp.envelope import Envelope
from postfix_smtp.smtp.failure import Failure
from postfix_smtp.smtp.peer import Peer

CERTIFICATE_LEVEL = 2  #: TLS levels above this one match certificates


class Servers:
    """The servers of one delivery request.

    Attributes:
        may_load: cached sessions may be used for this request.
        nexthop: the request next-hop of cache keys, while it is remembered; else empty.
    """

    def __init__(
        self,
        tools: Tooling,
        request: DeliveryRequest,
        queue_file: QueueFile,
        reporter: Reporter,
        verbosity: PeerVerbosity,
    ) -> None:
        self._tools = tools
        self._request = request
        self._queue_file = queue_file
        self._reporter = reporter
        self._verbosity = verbosity
        self._body: Body | None = None
        self._may_store = False
        self._options = request.options
        if tools.settings.version < (3, 10):
            self._options = request.options.before_3_10()
        self._keys = keys.key_form(tools.settings.version)
        self._key_context = KeyContext(
            tools.settings.service,
            request.sender if tools.settings.sender_dependent and tools.settings.sasl_passwords else None,
            tools.settings.sasl_passwords,
            self._options.needs_smtputf8,
        )
        tls = tools.tls
        self._tls_plans = None if tls is None else tls.begin(request)
        self._shows_tls = tls is not None and tls.shows_status
        self.may_load = False
        self.nexthop = ""

    # Once for a request or a destination

    async def decide_caching(self, name: str, text: str) -> None:
        """Whether sessions are taken from and given to the pool, once per request (delivery chapter 14.1)."""
        tools, flags = self._tools, self._request.flags
        match = tools.cache_destination
        if match is not None and await match(name):
            self.may_load = self._may_store = True
        elif tools.settings.cache_on_demand:
            self.may_load = bool(flags & RequestFlags.CACHE_LOAD)
            self._may_store = bool(flags & RequestFlags.CACHE_STORE)
        if self.may_load or self._may_store:
            self.nexthop = text

    async def begin_destination(self, domain: str) -> None:
        """TLS rules that are looked up once for a destination."""
        if self._tls_plans is not None:
            await self._tls_plans.begin_destination(domain)
            if self._keys.requiretls:
                enforcement = await self._tls_plans.enforcement(domain)
                self._key_context = replace(self._key_context, requiretls=int(enforcement or 0))

    # UNIX-domain servers (delivery chapter 3.3)

    async def use_local(self, path: str) -> None:
        """Deliver to the server at a UNIX-domain socket, over a cached or a new session; every error is final."""
        tools, reporter = self._tools, self._reporter
        peer = Peer(tools.settings.hostname, path, 0)
        await self.decide_caching(path, path)
        await self.begin_destination(peer.name)
        plan = await self._plan(path, peer.name, peer, None)
        if isinstance(plan, Failure):
            log.warning(f"TLS policy lookup error for {peer.name}/{path}: {plan.dsn.reason}")
            reporter.note(plan.dsn)
            return
        if self.may_load:
            kept = await self._find_destination(path, plan.level, 0)
            if kept is not None:
                await self._use_kept(kept, kept.session.peer, plan, final=True)
        if reporter.remaining:
            await self._new_session(peer, path, plan, is_best=True, final=True, final_session=True, detect_loops=False)

    # Sessions from the pool, then from the shared cache (delivery chapter 14.2)

    async def _find_destination(self, nexthop: str, level: int, port: int) -> Kept | None:
        tools = self._tools
        key = keys.destination_key(self._keys, self._key_context, nexthop, level)
        kept = tools.pool.find_destination(key)
        if kept is None and tools.shared_cache is not None:
            kept = await tools.shared_cache.find_destination(key, port)
        return kept

    async def reuse_destination(self, step: ReuseDestination) -> Reused | None:
        """A session found by the request's next-hop."""
        kept = await self._find_destination(self.nexthop, 0, step.destination.port)
        if kept is None:
            return None
        peer = kept.session.peer
        if not await self._use_kept(kept, peer, PLAINTEXT, final=step.is_final(peer.address)):
            return None
        return Reused(peer.address)

    async def reuse_address(self, step: ReuseAddress) -> Outcome:
        """A session found by address."""
        text = step.destination.text
        peer = _peer(step.address)
        plan = await self._plan(text, step.destination.host, peer, step.address)
        if isinstance(plan, Failure):
            log.warning(f"TLS policy lookup error for {text}/{peer.name}: {plan.dsn.reason}")
            return Outcome.MISSED
        endpoint = self._endpoint_key(text, peer, plan.level)
        found = self._tools.pool.find_endpoint(endpoint)
        if found is None and self._tools.shared_cache is not None:
            found = await self._tools.shared_cache.find_endpoint(endpoint, peer, text, is_best=step.is_best)
        if found is None:
            return Outcome.MISSED
        kept = Kept(found.session, text, step.is_best, endpoint, plan.level)
        return Outcome.SESSION if await self._use_kept(kept, peer, plan, final=step.final) else Outcome.MISSED

    async def _use_kept(self, kept: Kept, peer: Peer, plan: TlsPlan, *, final: bool) -> bool:
        """Deliver over a session from the pool; False if it turns out to be dead.

        Args:
            peer: the server under the name it has for this delivery.
            plan: its TLS policy, if that was looked up.
        """
        session, reporter = kept.session, self._reporter
        raised = await self._verbosity.raise_for(peer.name, peer.address)
        with self._in_use(session, raised):
            if session.tls is not None and self._tools.tls is not None:
                self._tools.tls.log_reuse(session.tls, peer)
            context = await self._context(plan, peer, kept.is_best, kept.destination, detect_loops=False)
            context.plaintext_retry = False
            if not await session.probe(context):
                session.close()
                return False
            session.peer = peer
            session.reuse_count += 1
            reporter.session_begins(peer, session.reuse_count + 1)
            reporter.is_final = final
            await self._transact(kept)
            return True

    @contextlib.contextmanager
    def _in_use(self, session: Session, raised: bool) -> Iterator[None]:
        """A session during its delivery: an error that leaves closes it. Then the peer's verbosity ends."""
        try:
            yield
        except FatalError:
            # Later: if this ends the process, the server sees the end of the connection with the process
            asyncio.get_running_loop().call_soon(session.close)
            raise
        except BaseException:
            session.close()
            raise
        finally:
            self._verbosity.calm(raised)

    # New sessions

    async def connect(self, step: Connect) -> Outcome:
        """A new session."""
        peer = _peer(step.address)
        text = step.destination.text
        plan = await self._plan(text, step.destination.host, peer, step.address)
        if isinstance(plan, Failure):
            log.warning(f"TLS policy lookup for {text}/{peer.name}: {plan.dsn.reason}")
            self._reporter.note(plan.dsn)
            return Outcome.UNUSABLE
        if step.plaintext:
            plan = plan.in_plaintext()
        if self._tools.settings.wrapper_mode and plan.need < TlsNeed.ENCRYPT:
            name = self._tools.settings.program
            log.warning(f'{name}_tls_wrappermode requires "{name}_tls_security_level = encrypt" (or stronger)')
            return Outcome.UNUSABLE
        if not plan.authorizes(peer.name):
            return Outcome.UNUSABLE
        return await self._new_session(
            peer,
            text,
            plan,
            is_best=step.is_best,
            final=step.final,
            final_session=step.final_session,
            detect_loops=self._tools.settings.program == "smtp" and step.destination.port == LOOP_PORT,
        )

    async def _new_session(
        self,
        peer: Peer,
        destination: str,
        plan: TlsPlan,
        *,
        is_best: bool,
        final: bool,
        final_session: bool,
        detect_loops: bool,
    ) -> Outcome:
        """Connect, shake hands, deliver.

        Args:
            final: nothing else will be tried after this address.
            final_session: the same, once the handshake has been completed.
        """
        tools, reporter = self._tools, self._reporter
        started = time.time()
        try:
            connection = await tools.connector.connect(peer)
        except ConnectError as error:
            reporter.note(error.failure.dsn)
            return Outcome.UNUSABLE
        plan.connected()
        keep_until = started + tools.smtp.reuse_time_limit if self._may_store else None
        session = Session(Stream(connection), peer, tools.smtp, keep_until=keep_until)
        raised = await self._verbosity.raise_for(peer.name, peer.address)
        with self._in_use(session, raised):
            context = await self._context(plan, peer, is_best, destination, detect_loops=detect_loops)
            if plan.report is not None:
                plan.report.begin(session)
            failure = await session.handshake(context)
            if plan.report is not None:
                plan.report.ended(session.starttls, session.tls, accepted=failure is None)
            if self._shows_tls:
                reporter.tls_status = plan.status(
                    session.starttls,
                    session.tls,
                    announced=session.offers_requiretls,
                    begun=failure is None,
                )
            reporter.session_begins(peer)
            reporter.has_credentials = _credentials_for(context)
            if failure is not None:
                failure = await reporter.without_exposure(failure)
                again = failure.retry_plaintext
                reporter.is_final = final and not again
                await reporter.all_failed(failure)
                await session.quit()
                reporter.session_ended(completed=False)
                await self._notify_postmaster(session)
                session.close()
                return Outcome.AGAIN if again else Outcome.UNUSABLE
            reporter.is_final = final_session
            if session.tls is not None and not plan.reuse:
                session.keep_until = None
            await self._transact(
                Kept(session, destination, is_best, self._endpoint_key(destination, peer, plan.level), plan.level)
            )
            return Outcome.AGAIN if reporter.retry_plaintext else Outcome.SESSION

    async def _transact(self, kept: Kept) -> None:
        """One transaction, and what becomes of the session: kept for the next delivery, or closed."""
        session, reporter = kept.session, self._reporter
        reporter.features_known(dsn=session.offers_dsn)
        if self._body is None:
            self._body = await self._tools.body(self._queue_file, self._request)
        await session.transact(await self._envelope(), self._body, reporter)
        reporter.session_ended(completed=session.completed)
        await self._notify_postmaster(session)
        if session.keep_until is None or not session.reusable:
            session.close()
        elif self._is_expired(session):
            await session.quit()
            session.close()
        else:
            nexthop = None
            if self.nexthop:
                nexthop = keys.destination_key(self._keys, self._key_context, self.nexthop, kept.level)
            self._tools.pool.save(kept, nexthop, self._tools.settings.cache_seconds)
        if not reporter.throttled:
            self.nexthop = ""

    def _is_expired(self, session: Session) -> bool:
        limit = self._tools.smtp.reuse_count_limit
        assert session.keep_until is not None
        return time.time() > session.keep_until or 0 < limit <= session.reuse_count

    async def _envelope(self) -> Envelope:
        """The envelope for the recipients that are left, with generic maps applied."""
        request, recipients = self._request, tuple(self._reporter.remaining)
        sender = request.sender
        generic = self._tools.generic
        if generic is not None:
            sender = await generic.map_internal(sender)
            recipients = tuple(
                [replace(recipient, address=await generic.map_internal(recipient.address)) for recipient in recipients]
            )
        return Envelope(
            sender=sender,
            recipients=recipients,
            size=request.size,
            encoding=request.encoding,
            envelope_id=request.envelope_id,
            ret=request.ret,
            options=self._options,
            submission=request.submission,
            probe=self._tools.smtp.probe_target if request.is_probe else None,
        )

    async def _context(
        self, plan: TlsPlan, peer: Peer, is_best: bool, destination: str, *, detect_loops: bool
    ) -> SessionContext:
        tools, request = self._tools, self._request
        now = time.time()
        may_retry = (
            plan.need is TlsNeed.MAY
            and plan.requiretls < RequireTls.OPPORTUNISTIC_STARTTLS
            and (
                request.is_probe
                or int(request.times.active) - int(request.times.arrival) >= tools.settings.minimal_backoff
            )
        )
        return SessionContext(
            request.queue_id,
            nexthop=request.nexthop,
            message_age=now - request.times.arrival,
            options=self._options,
            best_preference=is_best,
            detect_loops=detect_loops,
            tls=plan.need,
            tls_available=plan.starter is not None or plan.need is TlsNeed.NONE,
            tls_wrapper=tools.settings.wrapper_mode,
            plaintext_retry=may_retry,
            requiretls=plan.requiretls,
            authenticate=tools.authenticator is not None,
            discard_map=tools.discard_map,
            pix_map=tools.pix_map,
            reply_filter=tools.reply_filter,
            starter=plan.starter,
            authenticator=None if tools.authenticator is None else tools.authenticator(request, destination, peer),
        )

    async def _plan(self, destination: str, domain: str, peer: Peer, address: Address | None) -> TlsPlan | Failure:
        """The TLS policy for one server.

        Args:
            domain: of the destination, without brackets and port.
        """
        plans = self._tls_plans
        if plans is None:
            return PLAINTEXT
        plan = await plans.plan(destination, domain, peer, address)
        if self._shows_tls:
            if isinstance(plan, Failure):
                self._reporter.tls_status = plans.failed_status
            else:
                self._reporter.tls_status = plan.status(StartTls.UNUSED, None, begun=False)
        return plan

    def _endpoint_key(self, destination: str, peer: Peer, level: int) -> str:
        return keys.endpoint_key(
            self._keys,
            self._key_context,
            destination,
            peer.name,
            peer.address,
            peer.port,
            level,
            certificate_match=level > CERTIFICATE_LEVEL,
        )

    async def _notify_postmaster(self, session: Session) -> None:
        tools, request = self._tools, self._request
        if not notice.wanted(tools.notices, {str(kind) for kind in session.error_classes}, request.sender):
            return
        settings, transcript, peer = tools.notices, session.transcript, session.peer
        await tools.cleanup.submit(
            notice.flags(settings),
            settings.sender,
            settings.recipient,
            lambda queue_id: notice.lines(settings, queue_id, peer, transcript, time.time()),
        )


def _credentials_for(context: SessionContext) -> Callable[[], Awaitable[bool]] | None:
    """Tells whether the server is one that we log in to; None without SASL."""
    authenticator = context.authenticator
    return None if authenticator is None else lambda: authenticator.has_credentials(None)


def _peer(address: Address) -> Peer:
    return Peer(address.host, address.address, address.port)
