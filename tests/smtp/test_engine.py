"""What the captured conversations do not show."""

import base64
import logging
from dataclasses import replace
from typing import Any

import pytest

from postfix_smtp import log
from postfix_smtp.errors import TableError
from postfix_smtp.ipc.request import Recipient, SendOptions
from postfix_smtp.smtp import actions, features
from postfix_smtp.smtp.actions import ConnectionLost, Flow, Need, TimedOut
from postfix_smtp.smtp.context import Context, RequireTls, StartTls, TlsNeed
from postfix_smtp.smtp.dialect import Dialect
from postfix_smtp.smtp.engine import Engine
from postfix_smtp.smtp.envelope import Envelope, ProbeTarget
from postfix_smtp.smtp.failure import ErrorClass, Failure
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.smtp.settings import SmtpSettings

SMTP = SmtpSettings("smtp", Dialect.of((3, 7, 11)), "c.example", "c.example")
NEWEST = replace(SMTP, dialect=Dialect.of((3, 11, 6)))
LMTP = replace(SMTP, program="lmtp", skip_quit_response=False)
PEER = Peer("mx.example", "192.0.2.1", 25)
HOST = "mx.example[192.0.2.1]"
GREETING = "220 mx.example ESMTP"
HELLO = "250-mx.example\n250-PIPELINING\n250 8BITMIME"
LOST, TIMEOUT = ConnectionLost(), TimedOut()


class Script:
    """Answers an engine's actions: texts and exceptions for DATA, the rest from a table."""

    def __init__(self, engine: Engine, *, answers: dict[Any, Any] | None = None) -> None:
        self.engine = engine
        self.answers = answers or {}
        self.sent = b""
        self.outcomes: list[tuple[int | str, str]] = []
        self.failures: list[Failure] = []

    def run(self, flow: Flow[Any], *says: str | Exception) -> Any:
        script = iter(says)
        answer: Any = None
        error: Exception | None = None
        while True:
            try:
                action = flow.send(answer) if error is None else flow.throw(error)
            except StopIteration as end:
                self.sent += self.engine.take_output()
                assert next(script, None) is None, "the server has more to say"
                return end.value
            answer = error = None
            match action:
                case Need.DATA:
                    self.sent += self.engine.take_output()
                    word = next(script)
                    if isinstance(word, Exception):
                        error = word
                    else:
                        self.engine.receive(word.replace("\n", "\r\n").encode() + b"\r\n")
                case actions.RecipientDelivered(index, reply):
                    self.outcomes.append((index, reply.line))
                case actions.RecipientFailed(index, failure):
                    self.outcomes.append((index, failure.dsn.reason))
                    self.failures.append(failure)
                case actions.AllFailed(failure):
                    self.outcomes.append(("all", failure.dsn.reason))
                    self.failures.append(failure)
                case actions.SendBody():
                    self.sent += self.engine.take_output() + b"{body}"
                    error = self.answers.get("body")
                case Need.SEND_BUFFER:
                    answer = 4096
                case _:
                    answer = self.answers.get(action)
                    if isinstance(answer, Exception):
                        error = answer


def envelope(count: int = 1, **more: Any) -> Envelope:
    return Envelope("s@x", [Recipient(f"r{i}@x", f"r{i}@x", -1) for i in range(count)], 10, **more)


def connected(settings: SmtpSettings = SMTP, hello: str = HELLO, **more: Any) -> Script:
    """After a successful handshake."""
    script = Script(Engine(PEER, settings), **more)
    assert script.run(script.engine.handshake(Context("QID")), GREETING, hello) is None
    script.sent = b""
    return script


class TestReplies:
    def greet(self, reply: str) -> Failure:
        script = Script(Engine(PEER, SMTP))
        failure = script.run(script.engine.handshake(Context("QID")), reply)
        assert isinstance(failure, Failure)
        return failure

    @pytest.mark.parametrize(
        ("line", "status"),
        [
            ("450 no code", "4.0.0"),
            ("450 5.1.1 mismatch", "4.0.0"),
            ("450 4.7.1bad", "4.0.0"),
            ("450 4.1234.1 x", "4.0.0"),
            ("450  4.7.26  x", "4.7.26"),
            ("450-4.1.1 first\n450 last without", "4.0.0"),
            ("450-first\n450 4.1.10 last", "4.1.10"),
            ("450", "4.0.0"),
            ("450 4.1.6", "4.1.6"),
            ("354 4.0.0 x", "5.5.0"),
            ("199 y", "5.5.0"),
            ("999 5.9.9 z", "5.5.0"),
            ("050 x", "5.5.0"),
        ],
    )
    def test_status_comes_from_the_last_line(self, line: str, status: str) -> None:
        assert self.greet(line).dsn.status == status

    def test_total_that_is_too_long_is_shown_from_its_start(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            self.greet("450-first\n450-" + "x" * 1100 + "\n450-" + "x" * 1100 + "\n450 last")
        assert caplog.messages == [f"{HOST}:25: multi-line response longer than 2048 450-first\n450-{'x' * 16}..."]

    def test_endless_line_ends_the_input_in_newer_versions(self, caplog: pytest.LogCaptureFixture) -> None:
        script = Script(Engine(PEER, NEWEST))
        with caplog.at_level(logging.WARNING):
            failure = script.run(script.engine.handshake(Context("QID")), "450-" + "x" * 5000)
        assert failure.dsn.reason == f"lost connection with {HOST} while receiving the initial server greeting"
        assert caplog.messages == [
            "disabling input from unknown_stream",
            f"{HOST}:25: response longer than 2048: 450-{'x' * 26}...",
        ]

    def test_text_of_a_reply_is_bounded(self) -> None:
        lines = "\n".join(["250-" + "y" * 1000] * 50) + "\n250 ok"
        script = connected()
        script.run(script.engine.transaction(envelope()), "250 a\n250 b\n354 c", lines)
        assert len(script.outcomes[0][1]) < 2 * 2048 + 1000


class TestTransactions:
    def test_flight_is_at_most_4096_octets(self) -> None:
        script = connected()
        talk = script.engine.transaction(envelope(300))
        size = 0
        try:
            action = talk.send(None)
            while True:
                if action is Need.DATA:
                    output = script.engine.take_output()
                    assert len(output) <= 4096
                    size = max(size, len(output))
                    if b"DATA" in output:
                        break
                    script.engine.receive(b"250 ok\r\n" * output.count(b"\r\n"))
                action = talk.send(None)
        finally:
            talk.close()
        assert size > 4000

    def test_pause_of_more_than_ten_seconds_lets_the_receiver_catch_up(self) -> None:
        script = connected()
        engine = script.engine
        flow = engine.transaction(envelope(2))
        assert flow.send(None) is Need.MAIL_STARTED
        engine.now += 11
        assert flow.send(None) is Need.DATA
        assert engine.take_output() == b"MAIL FROM:<s@x> BODY=7BIT\r\n"
        flow.close()

    def test_lmtp_replies_belong_to_accepted_recipients_in_order(self) -> None:
        script = connected(LMTP)
        script.run(
            script.engine.transaction(envelope(3)), "250 m\n550 a\n250 b\n250 c\n354 d", "250 b\n450 c", "221 bye"
        )
        said = f"host {HOST} said: "
        assert script.outcomes == [
            (0, f"{said}550 a (in reply to RCPT TO command)"),
            (1, "250 b"),
            (2, f"{said}450 c (in reply to end of DATA command)"),
        ]
        assert script.engine.completed

    def test_lmtp_counts_end_of_data_replies_aloud(self, caplog: pytest.LogCaptureFixture) -> None:
        script = connected(LMTP)
        token = log.verbosity.set(1)
        try:
            with caplog.at_level(logging.INFO):
                script.run(
                    script.engine.transaction(envelope(2)), "250 m\n250 a\n250 b\n354 d", "250 a\n250 b", "221 bye"
                )
        finally:
            log.verbosity.reset(token)
        assert [line for line in caplog.messages if line.startswith("got ")] == [
            "got 1 of 2 end-of-data replies",
            "got 2 of 2 end-of-data replies",
        ]

    def test_lmtp_connection_lost_between_replies(self) -> None:
        script = connected(LMTP)
        script.run(script.engine.transaction(envelope(2)), "250 m\n250 a\n250 b\n354 d", "250 a", LOST)
        assert script.outcomes[0] == (0, "250 a")
        assert script.outcomes[1][0] == "all"
        assert not script.engine.completed

    def test_lmtp_body_lost_with_one_early_reply(self) -> None:
        script = connected(LMTP, answers={"body": LOST})
        script.run(script.engine.transaction(envelope(2)), "250 m\n250 a\n250 b\n354 d\n452 full", LOST)
        assert [index for index, _ in script.outcomes] == [0, "all"]
        assert script.outcomes[1][1] == f"lost connection with {HOST} while sending message body"
        assert script.engine.discard_output

    def test_body_timeout_asks_for_no_reply(self) -> None:
        script = connected(answers={"body": TIMEOUT})
        script.run(script.engine.transaction(envelope()), "250 m\n250 a\n354 d\n452 full")
        assert script.outcomes == [("all", f"conversation with {HOST} timed out while sending message body")]

    def test_success_where_refusal_is_reported_is_a_protocol_error(self) -> None:
        script = connected()
        script.run(script.engine.transaction(envelope()), "250 m\n250 a\n250 d", "250 rset")
        assert script.outcomes[0][1].startswith("Protocol error: host ")
        assert script.failures[0].dsn.status == "5.5.0"
        assert script.engine.error_classes == {ErrorClass.PROTOCOL}

    def test_probe_up_to_data_ends_at_once(self) -> None:
        script = connected()
        script.run(script.engine.transaction(envelope(2, probe=ProbeTarget.DATA)), "250 m\n250 a\n550 b\n354 go")
        assert script.outcomes[1] == (0, "354 go")
        assert script.sent.endswith(b"DATA\r\n")
        assert not script.engine.is_reusable

    def test_error_in_rset_or_quit_is_of_no_interest(self) -> None:
        script = connected()
        script.run(script.engine.transaction(envelope()), "250 m\n550 a\n554 d", LOST)
        assert len(script.outcomes) == 1
        assert not script.engine.completed


class TestKeeping:
    def kept(self, **more: Any) -> Script:
        script = connected(**more)
        script.engine.expires_at = 300.0
        return script

    def test_kept_connection_sends_no_quit(self) -> None:
        script = self.kept()
        script.run(script.engine.transaction(envelope()), "250 m\n250 a\n354 d", "250 ok")
        assert script.sent.endswith(b"{body}.\r\n")
        assert script.engine.is_reusable

    def test_connection_that_expired_meanwhile_ends_with_quit(self) -> None:
        script = self.kept()
        flow = script.engine.transaction(envelope())
        script.engine.receive(b"250 m\r\n250 a\r\n354 d\r\n")
        while flow.send(None) is not Need.DATA:
            pass
        script.engine.now = 301.0
        assert script.engine.take_output().endswith(b".\r\n")
        script.engine.receive(b"250 ok\r\n")
        for _ in flow:
            pass
        assert script.engine.take_output() == b"QUIT\r\n"
        assert not script.engine.is_reusable

    def test_server_that_says_too_much_is_not_kept(self) -> None:
        script = self.kept()
        script.run(script.engine.transaction(envelope()), "250 m\n250 a\n354 d", "250 ok\n250 once more")
        assert not script.engine.is_reusable
        assert script.sent.endswith(b"QUIT\r\n")

    def test_misunderstanding_that_is_read_too_late_sends_no_quit(self) -> None:
        script = self.kept()
        script.run(script.engine.transaction(envelope()), "250 m\n501 5.1.3 r\n354 d", "250 ok")
        assert not script.engine.is_reusable
        assert script.sent.endswith(b"DATA\r\n.\r\n")

    def test_garbage_after_the_dot_forbids_keeping(self) -> None:
        script = self.kept()
        script.run(script.engine.transaction(envelope()), "250 m\n250 a\n354 d", "hello\n250 ok")
        assert not script.engine.is_reusable
        assert script.sent.endswith(b".\r\n")

    def test_features_survive_the_cache_but_not_the_size_limit(self) -> None:
        script = self.kept(hello="250-mx\n250-PIPELINING\n250 SIZE 5")
        assert script.engine.size_limit == 5
        again = Engine(PEER, SMTP, offered=script.engine.cacheable_features)
        assert again.offered & features.PIPELINING
        assert script.run(script.engine.probe(Context("QID")), "250 ok")
        assert script.engine.size_limit == 0

    @pytest.mark.parametrize("answer", ["421 idle", LOST, TIMEOUT])
    def test_failed_probe_is_silent(self, answer: str | Exception, caplog: pytest.LogCaptureFixture) -> None:
        script = self.kept()
        with caplog.at_level(logging.INFO):
            assert script.run(script.engine.probe(Context("QID")), answer) is False
        assert script.sent == b"RSET\r\n"
        assert caplog.messages == []
        assert not script.engine.is_reusable


class TestTls:
    HELLO = "250-mx.example\n250 STARTTLS"

    def shake(self, need: TlsNeed, *says: str | Exception, info: object = None, **more: Any) -> tuple[Any, Script]:
        settings = more.pop("settings", SMTP)
        script = Script(Engine(PEER, settings), answers={Need.TLS: info})
        failure = script.run(script.engine.handshake(Context("QID", tls=need, **more)), *says)
        if failure is not None:
            script.run(script.engine.quit())
        return failure, script

    def test_failed_handshake_may_be_tried_again_without(self) -> None:
        failure, script = self.shake(TlsNeed.MAY, GREETING, self.HELLO, "220 go", plaintext_retry=True)
        assert (failure.retry_plaintext, failure.throttle) == (True, False)
        assert script.sent.endswith(b"STARTTLS\r\n")
        assert script.engine.starttls is StartTls.FAILED

    def test_failed_handshake_at_a_required_level_throttles(self) -> None:
        failure, _ = self.shake(TlsNeed.ENCRYPT, GREETING, self.HELLO, "220 go", plaintext_retry=True)
        assert (failure.retry_plaintext, failure.throttle) == (False, True)

    def test_connection_lost_inside_optional_tls_may_be_tried_again(self) -> None:
        info = _Tls(False, False)
        failure, _ = self.shake(TlsNeed.MAY, GREETING, self.HELLO, "220 go", LOST, info=info, plaintext_retry=True)
        assert failure.retry_plaintext
        assert failure.dsn.reason == f"lost connection with {HOST} while performing the EHLO handshake"

    def test_certificate_that_does_not_match(self) -> None:
        failure, script = self.shake(TlsNeed.MATCH, GREETING, self.HELLO, "220 go", info=_Tls(True, False))
        assert failure.dsn.reason == "Server certificate not verified"
        assert script.sent.endswith(b"QUIT\r\n")

    def test_engine_that_is_off(self) -> None:
        failure, script = self.shake(TlsNeed.MAY, GREETING, self.HELLO, tls_available=False)
        assert failure is None
        assert script.engine.starttls is StartTls.UNAVAILABLE
        failure, _ = self.shake(TlsNeed.ENCRYPT, GREETING, self.HELLO, tls_available=False)
        assert failure.dsn.reason == "TLS is required, but our TLS engine is unavailable"

    def test_wrapper_mode_greets_inside_tls(self) -> None:
        failure, script = self.shake(TlsNeed.ENCRYPT, GREETING, self.HELLO, info=_Tls(False, False), tls_wrapper=True)
        assert failure is None
        assert script.sent == b"EHLO c.example\r\n"
        assert script.engine.inside_tls

    def test_trusted_certificate_without_match_under_requiretls(self) -> None:
        failure, _ = self.shake(
            TlsNeed.MATCH,
            GREETING,
            self.HELLO,
            "220 go",
            info=_Tls(True, False),
            requiretls=RequireTls.ENFORCE,
            settings=NEWEST,
        )
        assert failure.dsn.status == "5.7.10"
        assert "no matching server certificate was found" in failure.dsn.reason
        assert failure.soft_unless_final

    def test_policy_that_cannot_be_understood(self) -> None:
        failure, _ = self.shake(TlsNeed.INVALID, GREETING)
        assert failure.dsn.reason == "client TLS configuration problem"


class _Tls:
    must_match = True

    def __init__(self, is_trusted: bool, is_matched: bool) -> None:
        self.is_trusted, self.is_matched = is_trusted, is_matched


class TestSaid:
    def test_need_of_smtputf8_tries_other_servers_in_3_11(self) -> None:
        script = Script(Engine(PEER, NEWEST))
        needs = SendOptions.SMTPUTF8_REQUESTED | SendOptions.SMTPUTF8_HEADER
        failure = script.run(script.engine.handshake(Context("QID", options=needs)), GREETING, HELLO)
        assert failure.soft_unless_final
        assert not failure.throttle

    def test_own_name_needs_loop_detection(self) -> None:
        script = Script(Engine(PEER, SMTP))
        assert script.run(script.engine.handshake(Context("QID")), GREETING, "250 C.example") is None

    def test_loop_to_a_worse_host_is_soft(self) -> None:
        script = Script(Engine(PEER, SMTP))
        context = Context("QID", nexthop="x.example", detect_loops=True, best_preference=False)
        failure = script.run(script.engine.handshake(context), GREETING, "250 C.example")
        assert failure.dsn.status == "4.4.6"

    def test_dash_in_the_greeting_splits_no_word(self, caplog: pytest.LogCaptureFixture) -> None:
        settings = replace(SMTP, own_name="mx-1.example")
        script = Script(Engine(PEER, settings))
        with caplog.at_level(logging.WARNING):
            script.run(script.engine.handshake(Context("QID", detect_loops=True)), "220 MX-1.example", HELLO)
        assert caplog.messages == [f"host {HOST}:25 greeted me with my own hostname mx-1.example"]

    def test_table_trouble_with_pix_workarounds_is_ignored(self) -> None:
        look_up = actions.LookUp(actions.Source.PIX_WORKAROUNDS, "192.0.2.1")
        script = Script(Engine(PEER, SMTP), answers={look_up: TableError()})
        assert script.run(script.engine.handshake(Context("QID")), "220 ****", "250 x") is None
        assert script.sent == b"HELO c.example\r\n"

    def test_transcript_shows_both_sides_and_what_the_filter_did(self) -> None:
        settings = replace(SMTP, keep_transcript=True, reply_filter="regexp:x")
        look_up = actions.LookUp(actions.Source.REPLY_FILTER, "550 no")
        script = connected(settings, answers={look_up: "450 later"})
        script.run(script.engine.transaction(envelope()), "250 m\n550 no\n554 d", "250 rset")
        assert script.engine.transcript[-8:] == [
            "In:  250 m",
            "In:  550 no",
            "Replaced-by: ",
            "     450 later",
            "In:  554 d",
            "Out: RSET",
            "Out: QUIT",
            "In:  250 rset",
        ]

    def test_no_transcript_without_a_reader(self) -> None:
        assert connected().engine.transcript == []

    def test_verbose_lines(self, caplog: pytest.LogCaptureFixture) -> None:
        token = log.verbosity.set(1)
        try:
            with caplog.at_level(logging.INFO):
                connected()
        finally:
            log.verbosity.reset(token)
        assert f"> {HOST}:25: EHLO c.example" in caplog.messages
        assert f"< {HOST}:25: 250-PIPELINING" in caplog.messages
        assert "server features: 0x1007 size 0" in caplog.messages


class TestAuthentication:
    HELLO = "250-mx.example\n250 AUTH PLAIN"

    class Mechanism:
        name = "PLAIN"

        def __init__(self, first: bytes) -> None:
            self.first = first

        def initial(self) -> bytes:
            return self.first

        def step(self, challenge: bytes) -> bytes:
            return b"<" + challenge + b">"

        def waits(self, challenge: bytes | None) -> bool:
            return False

    def shake(self, first: bytes, *says: str | Exception) -> tuple[Any, Script]:
        answers = {
            actions.FilterMechanisms("PLAIN"): "PLAIN",
            Need.CREDENTIALS: True,
            actions.ChooseMechanism("PLAIN"): self.Mechanism(first),
        }
        script = Script(Engine(PEER, SMTP), answers=answers)
        context = Context("QID", authenticate=True)
        failure = script.run(script.engine.handshake(context), GREETING, self.HELLO, *says)
        if failure is not None:
            script.run(script.engine.quit())
        return failure, script

    @pytest.mark.parametrize(("length", "at_once"), [(372, True), (373, False)])
    def test_first_response_rides_with_the_command_if_it_fits(self, length: int, at_once: bool) -> None:
        first = base64.b64encode(b"p" * length)
        replies = ("235 ok",) if at_once else ("334 ", "235 ok")
        failure, script = self.shake(b"p" * length, *replies)
        assert failure is None
        line = b"AUTH PLAIN " + first if at_once else b"AUTH PLAIN\r\n" + first
        assert script.sent.endswith(line + b"\r\n")
        if at_once:
            assert len(line) + 2 <= 512

    def test_challenges_are_answered(self) -> None:
        failure, script = self.shake(b"", "334 YQ==", "334", "235 ok")
        assert failure is None
        assert script.sent.endswith(b"AUTH PLAIN\r\nPGE+\r\nPD4=\r\n")

    @pytest.mark.parametrize(
        ("challenge", "reason"),
        [
            ("334 !", "another step is needed in authentication"),
            ("334 YQ", "another step is needed in authentication"),
            ("334 YWFhYQ=", "another step is needed in authentication"),
            ("334 !!!!", "bad protocol / cancel"),
            ("334 YQ==YQ==", "bad protocol / cancel"),
            ("334 YWFh====", "bad protocol / cancel"),
            ("334-YQ==\n334 YQ==", "bad protocol / cancel"),
        ],
    )
    def test_challenge_that_is_no_base64(self, challenge: str, reason: str) -> None:
        failure, script = self.shake(b"", challenge)
        assert failure.dsn.diag_text == reason
        assert script.sent.endswith(b"QUIT\r\n")

    @pytest.mark.parametrize(
        ("name", "shown"), [("PLAIN", "AUTH PLAIN c2VjcmV0"), ("XOAUTH2", "AUTH XOAUTH2 [hidden]")]
    )
    def test_tokens_are_not_in_the_transcript(self, name: str, shown: str) -> None:
        mechanism = self.Mechanism(b"secret")
        mechanism.name = name
        answers = {
            actions.FilterMechanisms("PLAIN"): "PLAIN",
            Need.CREDENTIALS: True,
            actions.ChooseMechanism("PLAIN"): mechanism,
        }
        script = Script(Engine(PEER, replace(SMTP, keep_transcript=True)), answers=answers)
        script.run(script.engine.handshake(Context("QID", authenticate=True)), GREETING, self.HELLO, "235 ok")
        assert f"Out: {shown}" in script.engine.transcript

    def test_exchange_without_end(self) -> None:
        failure, _ = self.shake(b"", *["334 "] * 101)
        assert failure.dsn.status == "4.3.0"

    def test_dummy_sender_parameter_only_if_authenticated(self) -> None:
        answers = {actions.FilterMechanisms("PLAIN"): "PLAIN", Need.CREDENTIALS: False}
        script = Script(Engine(PEER, replace(SMTP, send_dummy_auth=True)), answers=answers)
        script.run(script.engine.handshake(Context("QID", authenticate=True)), GREETING, self.HELLO)
        assert not script.engine.offered & features.AUTH
