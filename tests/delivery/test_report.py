"""What is recorded where, in which order, and what the queue manager is told."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from postfix_smtp.delivery.report import Reporter, ReportSettings, Services
from postfix_smtp.dsn import Dsn
from postfix_smtp.errors import TableError
from postfix_smtp.ipc.request import (
    NOTIFY_NOT_GIVEN,
    DeliveryRequest,
    MessageTimes,
    Notify,
    Recipient,
    RequestFlags,
    Ret,
    SendOptions,
    Submission,
)
from postfix_smtp.smtp.failure import Failure, local_failure, reply_failure
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.smtp.reply import Reply

PEER = Peer("mx1.dest.example", "192.0.2.1", 25)
OK = Reply(250, "2.0.0", "250 2.0.0 Ok: queued")
SOFT = reply_failure(PEER, Reply(450, "4.2.0", "450 4.2.0 later"), "host said: 450 4.2.0 later")
HARD = reply_failure(PEER, Reply(550, "5.1.1", "550 5.1.1 no"), "host said: 550 5.1.1 no")
LOST = local_failure("4.4.2", "lost connection", throttle=True)
REFUSED = reply_failure(PEER, Reply(554, "5.7.1", "554 5.7.1 no"), "refused: 554 5.7.1 no", throttle=True)


@dataclass
class Recorder:
    """All services and the queue file; `events` is what happened, in order, log lines included."""

    events: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    async def append(
        self, service: str, request: DeliveryRequest, recipient: Recipient, dsn: Dsn, action: str, notify: Notify
    ) -> bool:
        extra = f" notify={int(notify)}" if notify != recipient.notify else ""
        self.events.append(f"{service} {recipient.address[0]} {action} {dsn.status} ({dsn.reason}){extra}")
        return service not in self.broken

    async def update(self, address: str, status: int, reason: str) -> bool:
        self.events.append(f"verify {address} {status} ({reason})")
        return "verify" not in self.broken

    async def add(self, site: str, queue_id: str) -> bool:
        self.events.append(f"flush {site} {queue_id}")
        return "flush" not in self.broken

    def mark_done(self, offset: int) -> None:
        self.events.append(f"mark {offset}")

    def mark_corrupt(self) -> None:
        self.events.append("corrupt")


class LogToEvents(logging.Handler):
    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if " to=<" in text:
            address = text.partition("to=<")[2][0]
            text = f"{address} {text.partition('status=')[2]}"
        self.recorder.events.append(f"log {text}")


Script = Callable[[Reporter], object]


def run(
    script: Script,
    *,
    flags: RequestFlags = RequestFlags.MARK_DONE,
    recipients: str = "a",
    notify: Notify = NOTIFY_NOT_GIVEN,
    broken: tuple[str, ...] = (),
    soft_bounce: bool = False,
    lmtp: bool = False,
    final_delivery: bool = False,
    verify_failures: bool = True,
    flush_domain: Callable[[str], object] | None = None,
) -> tuple[list[str], Reporter]:
    recorder = Recorder(broken=set(broken))
    request = DeliveryRequest(
        flags, "active", "QID", 0, 0, "dest.example", "7bit", SendOptions(0), "s@s.example", "", Ret(0),
        MessageTimes(1.0, 2.0, 3.0), Submission(),
        tuple(Recipient("", f"{name}@dest.example", 100 + n, notify=notify) for n, name in enumerate(recipients)),
    )  # fmt: skip
    settings = ReportSettings("bounce", "defer", "trace", soft_bounce, 2, True, verify_failures, lmtp)
    services = Services(recorder, recorder, recorder, flush_domain)  # type: ignore[arg-type]
    reporter = Reporter(settings, services, request, recorder, final_delivery=final_delivery, clock=lambda: 4.0)
    handler = LogToEvents(recorder)
    logger = logging.getLogger("postfix_smtp")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        asyncio.run(script(reporter))  # type: ignore[arg-type]
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
    return recorder.events, reporter


def session(*calls: Callable[[Reporter], object], final: bool = False, dsn: bool = False, uses: int = 1) -> Script:
    async def script(reporter: Reporter) -> None:
        reporter.session_begins(PEER, uses)
        reporter.is_final = final
        reporter.features_known(dsn=dsn)
        for call in calls:
            await call(reporter)  # type: ignore[misc]
        reporter.session_ended(completed=True)

    return script


def delivered(index: int) -> Callable[[Reporter], object]:
    return lambda reporter: reporter.recipient_delivered(index, OK)


def failed(index: int, failure: Failure) -> Callable[[Reporter], object]:
    return lambda reporter: reporter.recipient_failed(index, failure)


def all_failed(failure: Failure) -> Callable[[Reporter], object]:
    return lambda reporter: reporter.all_failed(failure)


def test_a_delivered_recipient_is_logged_then_marked() -> None:
    events, reporter = run(session(delivered(0)))
    assert events == ["log a sent (250 2.0.0 Ok: queued)", "mark 100"]
    assert reporter.reply().all_final
    assert reporter.reply().host_status is None


def test_without_the_mark_flag_success_leaves_the_queue_file_alone() -> None:
    assert run(session(delivered(0)), flags=RequestFlags(0))[0] == ["log a sent (250 2.0.0 Ok: queued)"]


def test_a_bounced_recipient_is_recorded_logged_and_marked_whatever_the_flags() -> None:
    events, reporter = run(session(failed(0, HARD)), flags=RequestFlags(0))
    assert events == [
        "bounce a failed 5.1.1 (host said: 550 5.1.1 no)",
        "log a bounced (host said: 550 5.1.1 no)",
        "mark 100",
    ]
    assert reporter.reply().all_final


def test_a_soft_failure_on_a_server_that_is_not_the_last_is_only_noted() -> None:
    events, reporter = run(session(failed(0, SOFT), delivered(1)), recipients="ab")
    assert events == ["log QID: host said: 450 4.2.0 later", "log b sent (250 2.0.0 Ok: queued)", "mark 101"]
    assert [recipient.address[0] for recipient in reporter.remaining] == ["a"]
    assert reporter.last == SOFT.dsn


def test_a_soft_failure_on_the_last_server_is_deferred() -> None:
    events, reporter = run(session(failed(0, SOFT), final=True))
    assert events == [
        "defer a delayed 4.2.0 (host said: 450 4.2.0 later)",
        "log a deferred (host said: 450 4.2.0 later)",
    ]
    assert reporter.reply() == type(reporter.reply())(False, None)


def test_a_lost_session_is_logged_although_everybody_waits_for_the_next_server() -> None:
    events, _ = run(session(failed(0, SOFT), all_failed(LOST)))
    assert [event for event in events if event.startswith("log")][-1].endswith("lost connection")
    assert sum("lost connection" in event for event in events) == 1


def test_a_failure_of_all_is_noted_once_and_order_is_kept() -> None:
    events, reporter = run(session(failed(1, SOFT), all_failed(LOST)), recipients="abc")
    assert events == ["log QID: host said: 450 4.2.0 later", "log QID: lost connection"]
    assert [recipient.address[0] for recipient in reporter.remaining] == ["a", "b", "c"]


def test_trouble_of_the_destination_is_told_to_the_queue_manager() -> None:
    async def script(reporter: Reporter) -> None:
        reporter.session_begins(PEER)
        reporter.is_final = True
        await reporter.all_failed(LOST)
        reporter.session_ended(completed=False)

    _, reporter = run(script)
    assert reporter.reply().host_status == LOST.dsn


def test_but_not_after_a_completed_session() -> None:
    async def script(reporter: Reporter) -> None:
        await session(failed(0, SOFT))(reporter)  # type: ignore[misc]
        await reporter.fail_remaining(LOST.dsn)

    _, reporter = run(script)
    assert reporter.reply().host_status is None
    assert not reporter.reply().all_final


def test_and_not_when_everybody_was_bounced() -> None:
    async def script(reporter: Reporter) -> None:
        await reporter.fail_remaining(Dsn("5.4.4", "no such host"))

    events, reporter = run(script)
    assert events[1] == "log a bounced (no such host)"
    assert reporter.reply() == type(reporter.reply())(True, None)


def test_soft_bounce_defers_and_keeps_the_original_code_for_the_queue_manager() -> None:
    async def script(reporter: Reporter) -> None:
        reporter.session_begins(PEER)
        reporter.is_final = True
        await reporter.all_failed(REFUSED)
        reporter.session_ended(completed=False)

    events, reporter = run(script, soft_bounce=True, flush_domain=lambda _: pytest.fail("no flush"))
    assert events == [
        "defer a delayed 4.7.1 (refused: 554 5.7.1 no)",
        "log a SOFTBOUNCE (refused: 554 5.7.1 no)",
    ]
    assert reporter.reply().host_status == REFUSED.dsn


def test_with_soft_bounce_a_hard_failure_tries_the_next_host() -> None:
    events, reporter = run(session(failed(0, HARD)), soft_bounce=True)
    assert events == ["log QID: host said: 550 5.1.1 no"]
    assert reporter.remaining


def test_a_bounce_service_that_fails_makes_it_a_deferral() -> None:
    events, reporter = run(session(failed(0, HARD)), broken=("bounce",))
    assert events[1:] == [
        "defer a delayed 4.3.0 (bounce or trace service failure)",
        "log a deferred (bounce or trace service failure)",
    ]
    assert not reporter.reply().all_final


def test_a_soft_bounce_that_cannot_be_recorded_is_a_bounce_that_failed() -> None:
    events, reporter = run(session(failed(0, HARD), final=True), soft_bounce=True, broken=("defer",))
    assert events == [
        "defer a delayed 4.1.1 (host said: 550 5.1.1 no)",
        "defer a delayed 4.3.0 (bounce or trace service failure)",
        "log QID: defer service failure",
        "log a deferred (bounce or trace service failure)",
    ]
    assert not reporter.reply().all_final


def test_a_trace_service_that_fails_makes_a_bounce_a_deferral() -> None:
    events, _ = run(session(failed(0, HARD)), flags=RequestFlags.MARK_DONE | RequestFlags.RECORD, broken=("trace",))
    assert events[0].startswith("bounce a failed 5.1.1")
    assert events[1].startswith("trace a failed 5.1.1")
    assert events[2:5] == [
        "log QID: trace service failure",
        "defer a delayed 4.3.0 (bounce or trace service failure)",
        "log a deferred (bounce or trace service failure)",
    ]


def test_a_defer_service_that_fails_is_warned_about() -> None:
    events, _ = run(session(failed(0, SOFT), final=True), broken=("defer",))
    assert events[1:] == ["log QID: defer service failure", "log a deferred (host said: 450 4.2.0 later)"]


def test_flush_is_told_about_deferred_mail_of_its_domains() -> None:
    async def yes(domain: str) -> bool:
        return domain == "dest.example"

    events, _ = run(session(failed(0, SOFT), final=True), flush_domain=yes)
    assert events[-1] == "flush dest.example QID"
    events, _ = run(session(failed(0, SOFT), final=True), flush_domain=yes, broken=("flush",))
    assert events[-1] == "log QID: flush service failure"


def test_a_table_error_of_the_flush_domains_counts_as_a_failure_of_the_service() -> None:
    async def error(domain: str) -> bool:
        raise TableError

    events, _ = run(session(failed(0, SOFT), final=True), flush_domain=error)
    assert events[-1] == "log QID: flush service failure"


VIA = "delivery via mx1.dest.example[192.0.2.1]:25: "


def test_success_notices_are_requested_from_trace_unless_the_server_does_it() -> None:
    events, _ = run(session(delivered(0)), notify=Notify.SUCCESS)
    assert events[0] == f"trace a relayed 2.0.0 ({VIA}250 2.0.0 Ok: queued)"
    events, _ = run(session(delivered(0), dsn=True), notify=Notify.SUCCESS)
    assert events[0] == "log a sent (250 2.0.0 Ok: queued)"


def test_recorded_delivery_with_a_success_notice_makes_two_records() -> None:
    flags = RequestFlags.MARK_DONE | RequestFlags.RECORD
    events, _ = run(session(delivered(0)), flags=flags, notify=Notify.SUCCESS)
    assert [event.split()[0] for event in events] == ["trace", "trace", "log", "mark"]


@pytest.mark.parametrize(("notify", "count"), [(NOTIFY_NOT_GIVEN, 1), (Notify.DELAY, 1), (Notify.FAILURE, 0)])
def test_the_end_of_a_delay_is_recorded_for_those_who_want_to_know(notify: Notify, count: int) -> None:
    events, _ = run(session(delivered(0)), flags=RequestFlags.RECORD_DELAYED, notify=notify)
    assert sum(event.startswith("trace") for event in events) == count


def test_lmtp_delivery_may_be_final() -> None:
    events, _ = run(session(delivered(0)), flags=RequestFlags.RECORD, lmtp=True, final_delivery=True)
    assert " delivered " in events[0]
    events, _ = run(session(delivered(0), dsn=True), flags=RequestFlags.RECORD, lmtp=True, final_delivery=True)
    assert " relayed " in events[0]


def test_a_trace_service_that_fails_makes_success_a_deferral() -> None:
    events, reporter = run(session(delivered(0)), flags=RequestFlags.RECORD, broken=("trace",))
    assert events[1:4] == [
        "log QID: trace service failure",
        "defer a delayed 4.3.0 (QID: trace service failed)",
        "log a deferred (QID: trace service failed)",
    ]
    assert not any(event.startswith("mark") for event in events)
    assert not reporter.reply().all_final


def test_an_mta_probe_goes_to_verify_and_counts_as_done_even_if_deferred() -> None:
    events, reporter = run(session(failed(0, SOFT), final=True), flags=RequestFlags.VERIFY_MTA)
    assert events == [
        "verify a@dest.example 1 (host said: 450 4.2.0 later)",
        "log a undeliverable (host said: 450 4.2.0 later)",
        "mark 100",
    ]
    assert reporter.reply().all_final


def test_failed_probes_are_not_cached_if_the_operator_says_so() -> None:
    events, _ = run(session(failed(0, HARD)), flags=RequestFlags.VERIFY_MTA, verify_failures=False)
    assert events == ["log a undeliverable-but-not-cached (host said: 550 5.1.1 no)", "mark 100"]


def test_a_verify_service_that_fails_leaves_the_probe_undone() -> None:
    events, reporter = run(session(delivered(0)), flags=RequestFlags.VERIFY_MTA, broken=("verify",))
    assert events == ["verify a@dest.example 0 (250 2.0.0 Ok: queued)", "log QID: verify service failure"]
    assert not reporter.reply().all_final


def test_a_user_probe_goes_to_trace() -> None:
    events, _ = run(session(failed(0, HARD)), flags=RequestFlags.VERIFY_USER)
    assert events[0] == f"trace a undeliverable 5.1.1 ({VIA}host said: 550 5.1.1 no)"


def test_a_damaged_queue_file_is_marked_only_if_everything_was_recorded() -> None:
    damaged = Failure(Dsn("5.3.0", "unreadable mail queue entry"), corrupt_queue_file=True)
    assert run(session(all_failed(damaged)))[0][-1] == "corrupt"
    assert "corrupt" not in run(session(all_failed(damaged)), broken=("bounce",))[0]


def test_what_passes_for_success_gets_a_success_code() -> None:
    odd = Reply(250, "5.0.0", "250 odd")
    events, _ = run(session(lambda reporter: reporter.recipient_delivered(0, odd)))
    assert events[:2] == ['log sent: ignoring dsn code "5.0.0"', "log a sent (250 odd)"]
