"""Recording results: service record, log line, mark in the queue file, in Postfix's order (delivery chapter 10).

One :class:`Reporter` serves one delivery request. It is told how each recipient fared in the current session, decides
whether that is final, records what is, and keeps the others for the next server.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from postfix_smtp import log
from postfix_smtp.config.access import Parameters
from postfix_smtp.delivery.logline import Timeline, recipient_line, shown_address
from postfix_smtp.delivery.services import BounceService, FlushService, QueueMarks, VerifyService
from postfix_smtp.dsn import Dsn
from postfix_smtp.errors import TableError
from postfix_smtp.ipc.request import DeliveryReply, DeliveryRequest, Notify, Recipient, RequestFlags
from postfix_smtp.smtp.failure import Failure
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.smtp.reply import Reply

_PROBE_OK, _PROBE_SOFT, _PROBE_HARD = 0, 1, 2
SERVICE_FAILURE = "4.3.0"


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """What reporting needs from main.cf.

    Attributes:
        bounce, defer, trace: service names.
        delay_digits: ``delay_logging_resolution_limit``.
        external_addresses: ``info_log_address_format = external``.
        verify_failures: ``address_verify_negative_cache``.
        utf8: ``smtputf8_enable``.
    """

    bounce: str
    defer: str
    trace: str
    soft_bounce: bool
    delay_digits: int
    external_addresses: bool
    verify_failures: bool
    is_lmtp: bool
    utf8: bool = True

    @classmethod
    def from_parameters(cls, p: Parameters) -> "ReportSettings":
        """Read the parameters."""
        return cls(
            bounce=p.text("bounce_service_name"),
            defer=p.text("defer_service_name"),
            trace=p.text("trace_service_name"),
            soft_bounce=p.flag("soft_bounce"),
            delay_digits=p.number("delay_logging_resolution_limit"),
            external_addresses=p.text("info_log_address_format") != "internal",
            verify_failures=p.flag("address_verify_negative_cache"),
            is_lmtp=p.program == "lmtp",
            utf8=p.flag("smtputf8_enable"),
        )


@dataclass(frozen=True, slots=True)
class Services:
    """Where results go.

    Attributes:
        status_filter: ``smtp_delivery_status_filter`` applied to a result; None if there is none.
        flush_domain: whether a deferred message for a domain is told to flush(8); may raise TableError.
    """

    bounce: BounceService
    verify: VerifyService
    flush: FlushService
    flush_domain: Callable[[str], Awaitable[bool]] | None = None
    status_filter: Callable[[Dsn], Awaitable[Dsn]] | None = None


class Reporter:
    """Results of one delivery request; the listener of each of its sessions.

    Attributes:
        remaining: recipients that are still to be delivered, in the order of the request.
        last: what went wrong last, for recipients that are left over in the end.
        is_final: no further server will be tried: what fails now is recorded. Set by the agent.
        tls_status: value of ``tls=`` for log lines (3.11).
        completed_session: a session of this request ran to its end.
        throttled: the current session had a failure that is the destination's fault.
        has_credentials: whether we log in to the server of the current session; None without SASL. Set by the agent.
        retry_plaintext: the current session failed in TLS, and the same address may be tried without.
    """

    def __init__(
        self,
        settings: ReportSettings,
        services: Services,
        request: DeliveryRequest,
        queue_file: QueueMarks,
        *,
        final_delivery: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._services = services
        self._request = request
        self._queue_file = queue_file
        self._final_delivery = final_delivery
        self._clock = clock
        times = request.times
        self._timeline = Timeline(times.arrival, times.active, times.handoff or clock())
        self.remaining: list[Recipient] = list(request.recipients)
        self.last: Dsn | None = None
        self.is_final = False
        self.tls_status = ""
        self._session: Sequence[Recipient] = ()
        self._undecided: dict[int, Recipient] = {}
        self._kept: list[Recipient] = []
        self._relay = "none"
        self._host = ""
        self._uses = 1
        self._dsn_offered = False
        self._all_final = True
        self._host_status: Dsn | None = None
        self.completed_session = False
        self.throttled = False
        self.retry_plaintext = False
        self.has_credentials: Callable[[], Awaitable[bool]] | None = None

    # What the agent says

    def session_begins(self, peer: Peer | None, uses: int = 1) -> None:
        """All remaining recipients are given to one session.

        Args:
            peer: the server; None for what fails without one.
            uses: how often the connection is used with this time.
        """
        self._session = tuple(self.remaining)
        self._undecided = dict(enumerate(self._session))
        self._kept = []
        self._relay = peer.endpoint if peer is not None else "none"
        self._host = peer.name if peer is not None else ""
        self._uses = uses
        self._dsn_offered = False
        self.throttled = self.retry_plaintext = False

    def session_ended(self, *, completed: bool) -> None:
        """Recipients not done stay for the next server.

        Args:
            completed: the exchange ran to its end (delivery chapter 9.5).
        """
        kept = set(map(id, self._kept)) | set(map(id, self._undecided.values()))
        self.remaining = [recipient for recipient in self._session if id(recipient) in kept]
        self.completed_session = self.completed_session or completed
        self._undecided = {}
        self._timeline.setup = self._timeline.done = 0.0

    def note(self, dsn: Dsn) -> None:
        """Something failed that concerns no session: remember it as the last error."""
        self.last = dsn

    def handed_over(self, recipient: Recipient, *, done: bool) -> None:
        """Another agent took care of a recipient and of its report."""
        self.remaining.remove(recipient)
        self._all_final = self._all_final and done

    async def fail_one(self, recipient: Recipient, dsn: Dsn) -> None:
        """Record a failure that concerns no server, for one recipient that is left, finally."""
        self.session_begins(None)
        self.remaining.remove(recipient)
        self._undecided = {}
        await self._record_failure(recipient, dsn)

    async def fail_remaining(self, dsn: Dsn, *, relay: str = "none", throttle: bool = True) -> None:
        """Record one failure for all that are left, finally."""
        self.session_begins(None)
        self._relay = relay
        self.is_final = True
        await self.all_failed(Failure(dsn, throttle=throttle))
        self.session_ended(completed=False)

    def reply(self) -> DeliveryReply:
        """The reply to the queue manager; every recipient must be decided."""
        return DeliveryReply(self._all_final and not self.remaining, self._host_status)

    def shown(self, address: str) -> str:
        """An address as the log shows it."""
        return shown_address(address, external=self._settings.external_addresses)

    # What a session says

    def features_known(self, *, dsn: bool) -> None:
        """What the server offers, as far as reports depend on it."""
        self._dsn_offered = dsn

    def mail_started(self) -> None:
        """MAIL FROM is being built."""
        self._timeline.setup = self._clock()

    def data_done(self) -> None:
        """The (last) reply to the end of data came."""
        self._timeline.done = self._clock()

    async def recipient_delivered(self, index: int, reply: Reply) -> None:
        """One recipient of the session has been accepted for good."""
        recipient = self._undecided.pop(index)
        text = reply.line
        await self._record_success(recipient, Dsn(reply.status, text, "smtp", text, "dns", self._host))

    async def recipient_failed(self, index: int, failure: Failure) -> None:
        """One recipient was refused."""
        self.last = failure.dsn
        recipient = self._undecided.pop(index)
        if self._goes_on(failure):
            log.info(f"{self._request.queue_id}: {failure.dsn.reason}")
            self._kept.append(recipient)
        else:
            await self._record_failure(recipient, failure.dsn)

    async def all_failed(self, failure: Failure) -> None:
        """Every recipient not reported yet failed for one reason."""
        failure = await self.without_exposure(failure)
        self.last = failure.dsn
        self.throttled = self.throttled or failure.throttle
        self.retry_plaintext = failure.retry_plaintext
        now = self._clock()
        if not self._timeline.setup:
            self._timeline.setup = now
        self._timeline.done = now
        if self._goes_on(failure):
            log.info(f"{self._request.queue_id}: {failure.dsn.reason}")
            self._kept += self._undecided.values()
            self._undecided = {}
        else:
            all_done = True
            while self._undecided:
                done = await self._record_failure(self._undecided.pop(next(iter(self._undecided))), failure.dsn)
                all_done = all_done and done
            # a failure that met nobody, or was bounced, is no reason to leave the destination alone
            if failure.throttle and not all_done and not self.completed_session and self._host_status is None:
                self._host_status = failure.dsn
        if failure.corrupt_queue_file and self._all_final:
            self._queue_file.mark_corrupt()

    async def without_exposure(self, failure: Failure) -> Failure:
        """The failure without a retry in plaintext if a password would be sent then (TLS chapter 2.8)."""
        if not failure.retry_plaintext or self.has_credentials is None:
            return failure
        try:
            exposed = await self.has_credentials()
        except TableError:
            exposed = True
        return replace(failure, retry_plaintext=False) if exposed else failure

    def _goes_on(self, failure: Failure) -> bool:
        soft = failure.dsn.is_soft or self._settings.soft_bounce or failure.soft_unless_final
        return soft and (not self.is_final or failure.retry_plaintext)

    # Recording

    async def _record_success(self, recipient: Recipient, dsn: Dsn) -> None:
        dsn = await self._filtered(_of_class(dsn, "2", "sent"))
        request = self._request
        if request.is_probe:
            done = await self._record_probe(recipient, dsn, _PROBE_OK)
        else:
            notify = recipient.notify
            if self._dsn_offered:
                notify &= ~Notify.SUCCESS
            done = await self._trace_success(recipient, dsn, notify)
            if done:
                self._log(recipient, dsn, "sent")
            else:
                why = Dsn(SERVICE_FAILURE, f"{request.queue_id}: trace service failed")
                await self._defer(recipient, replace(dsn, status=why.status, reason=why.reason))
        if done and request.flags & RequestFlags.MARK_DONE:
            self._queue_file.mark_done(recipient.offset)
        self._all_final = self._all_final and done

    async def _trace_success(self, recipient: Recipient, dsn: Dsn, notify: Notify) -> bool:
        flags = self._request.flags
        delivered = self._final_delivery and self._settings.is_lmtp and not self._dsn_offered
        action = "delivered" if delivered else "relayed"
        delayed = flags & RequestFlags.RECORD_DELAYED and (not notify or notify & Notify.DELAY)
        reasons = (flags & RequestFlags.RECORD or delayed, notify & Notify.SUCCESS)
        for _ in filter(None, reasons):
            if not await self._trace(recipient, dsn, action, notify):
                log.warning(f"{self._request.queue_id}: trace service failure")
                return False
        return True

    async def _record_failure(self, recipient: Recipient, dsn: Dsn) -> bool:
        """Record a failure, finally; True when nothing is left to do for this recipient."""
        settings, request = self._settings, self._request
        if dsn.is_hard:
            dsn = await self._filtered(_of_class(dsn, "5", "bounce_append"))
        else:
            dsn = await self._filtered(_of_class(dsn, "4", "defer_append"))
        if request.is_probe:
            done = await self._record_probe(recipient, dsn, _PROBE_HARD if dsn.is_hard else _PROBE_SOFT)
            if done:
                self._queue_file.mark_done(recipient.offset)
        elif dsn.is_soft:
            done = False
            await self._defer(recipient, dsn)
        elif settings.soft_bounce:
            done = False
            await self._bounce_softly(recipient, replace(dsn, status="4" + dsn.status[1:]))
        else:
            done = await self._bounce(recipient, dsn)
        self._all_final = self._all_final and done
        return done

    async def _bounce(self, recipient: Recipient, dsn: Dsn) -> bool:
        settings, request = self._settings, self._request
        recorded = await self._services.bounce.append(
            settings.bounce, request, recipient, dsn, "failed", recipient.notify
        )
        if recorded and request.flags & RequestFlags.RECORD:
            recorded = await self._trace(recipient, dsn, "failed", recipient.notify)
            if not recorded:
                log.warning(f"{request.queue_id}: {settings.trace} service failure")
        if not recorded:
            await self._not_bounced(recipient, dsn)
            return False
        self._log(recipient, dsn, "bounced")
        self._queue_file.mark_done(recipient.offset)
        return True

    async def _bounce_softly(self, recipient: Recipient, dsn: Dsn) -> None:
        if not await self._record_delay(recipient, dsn):
            await self._not_bounced(recipient, dsn)
            return
        self._log(recipient, dsn, "SOFTBOUNCE")
        await self._trace_delay(recipient, dsn)

    async def _not_bounced(self, recipient: Recipient, dsn: Dsn) -> None:
        """Nobody would tell the sender: try again later."""
        reason = f"{self._settings.bounce} or {self._settings.trace} service failure"
        await self._defer(recipient, replace(dsn, status=SERVICE_FAILURE, reason=reason))

    async def _defer(self, recipient: Recipient, dsn: Dsn) -> None:
        if not await self._record_delay(recipient, dsn):
            log.warning(f"{self._request.queue_id}: {self._settings.defer} service failure")
        self._log(recipient, dsn, "deferred")
        await self._trace_delay(recipient, dsn)
        await self._flush(recipient)

    async def _record_delay(self, recipient: Recipient, dsn: Dsn) -> bool:
        service, notify = self._settings.defer, recipient.notify
        return await self._services.bounce.append(service, self._request, recipient, dsn, "delayed", notify)

    async def _trace_delay(self, recipient: Recipient, dsn: Dsn) -> None:
        request = self._request
        if request.flags & RequestFlags.RECORD and not await self._trace(recipient, dsn, "delayed", recipient.notify):
            for _ in range(2):
                log.warning(f"{request.queue_id}: {self._settings.trace} service failure")

    async def _flush(self, recipient: Recipient) -> None:
        services = self._services
        _, at, domain = recipient.address.rpartition("@")
        if not at or not domain or services.flush_domain is None:
            return
        try:
            done = not await services.flush_domain(domain) or await services.flush.add(domain, self._request.queue_id)
        except TableError:
            done = False
        if not done:
            log.warning(f"{self._request.queue_id}: flush service failure")

    async def _record_probe(self, recipient: Recipient, dsn: Dsn, result: int) -> bool:
        """Report an address probe; True when somebody knows the result now."""
        word = "deliverable" if result == _PROBE_OK else "undeliverable"
        queue_id = self._request.queue_id
        if self._request.flags & RequestFlags.VERIFY_MTA:
            if result != _PROBE_OK and not self._settings.verify_failures:
                word = "undeliverable-but-not-cached"
            elif not await self._verify(recipient, dsn, result):
                log.warning(f"{queue_id}: verify service failure")
                return False
        elif not await self._trace(recipient, dsn, word, recipient.notify):
            log.warning(f"{queue_id}: trace service failure")
            return False
        self._log(recipient, dsn, word)
        return True

    async def _verify(self, recipient: Recipient, dsn: Dsn, result: int) -> bool:
        verify = self._services.verify
        original = recipient.original
        if original and not await verify.update(original, result, dsn.reason):
            return False
        return original == recipient.address or await verify.update(recipient.address, result, dsn.reason)

    async def _trace(self, recipient: Recipient, dsn: Dsn, action: str, notify: Notify) -> bool:
        if self._relay != "none":
            dsn = replace(dsn, reason=f"delivery via {self._relay}: {dsn.reason}")
        return await self._services.bounce.append(self._settings.trace, self._request, recipient, dsn, action, notify)

    async def _filtered(self, dsn: Dsn) -> Dsn:
        status_filter = self._services.status_filter
        return dsn if status_filter is None else await status_filter(dsn)

    def _log(self, recipient: Recipient, dsn: Dsn, word: str) -> None:
        log.info(
            recipient_line(
                self._request.queue_id,
                recipient,
                self._relay,
                self._uses,
                self._timeline.delays(self._clock(), self._settings.delay_digits),
                dsn,
                word,
                external=self._settings.external_addresses,
                utf8=self._settings.utf8,
                tls=self.tls_status,
            )
        )


def _of_class(dsn: Dsn, wanted: str, where: str) -> Dsn:
    if dsn.status.startswith(wanted):
        return dsn
    log.warning(f'{where}: ignoring dsn code "{dsn.status}"')
    return replace(dsn, status=f"{wanted}.0.0")
