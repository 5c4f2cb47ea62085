"""One conversation with a server that says anything, and the laws that must hold all the same.

The choices (what the server says, when it hangs up, what the request is like) come from a :class:`Choices`, so that
Hypothesis and a coverage-guided fuzzer can drive the same play:

1. nothing but the protocol's own exceptions is ever raised;
2. every recipient of a transaction gets exactly one outcome;
3. what is held is bounded: commands not taken, input not used, the text of a reply;
4. without PIPELINING there is at most one command without a reply, but for QUIT;
5. a connection that may be used again has nothing left to send, and has not been misunderstood;
6. the play ends.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from postfix_smtp.errors import TableError
from postfix_smtp.ipc.request import Notify, Recipient, Ret, SendOptions
from postfix_smtp.smtp import actions, features
from postfix_smtp.smtp.actions import ConnectionLost, Flow, Need, TimedOut
from postfix_smtp.smtp.context import NO_OPTIONS, Context, RequireTls, TlsNeed
from postfix_smtp.smtp.dialect import Dialect
from postfix_smtp.smtp.engine import Engine
from postfix_smtp.smtp.envelope import Envelope, ProbeTarget
from postfix_smtp.smtp.failure import BodyError, Failure, LocalDataError, local_failure
from postfix_smtp.smtp.mechanism import SaslError
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.smtp.settings import SmtpSettings

PEER = Peer("mx.example.net", "192.0.2.1", 25)
VERSIONS = ((3, 7, 11), (3, 10, 3), (3, 11, 6))
MAX_STEPS = 3000
REPLY_BOUND = 3 * 2048
KEYWORDS = (
    b"8BITMIME", b"PIPELINING", b"SIZE", b"SIZE 100", b"SIZE x", b"DSN", b"SMTPUTF8", b"STARTTLS", b"AUTH PLAIN",
    b"AUTH=LOGIN", b"AUTH", b"XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE", b"REQUIRETLS", b"client.example", b"",
)  # fmt: skip
LINES = (
    b"220 mx.example.net ESMTP", b"220 **2*0***", b"250 ok", b"250 2.1.0 ok", b"250-more", b"354 go", b"334 ",
    b"334 AAAA",
    b"334 !", b"235 ok", b"421 4.3.2 bye", b"450 4.2.1 later", b"500 what", b"550 5.1.1 no", b"550 2.1.1 odd", b"555 x",
    b"999 x", b"000 y", b"hello", b"", b"2505 x", b"25", b"250\t-", b"554-5.7.1 \xc3\xa9\xff\x00hidden",
    b"x" * 2100, b"550-" + b"y" * 1500,
)  # fmt: skip


class Choices(Protocol):
    """Where randomness comes from."""

    def number(self, low: int, high: int) -> int:
        """From `low` to `high`, both included."""

    def octets(self) -> bytes:
        """A few."""


class _Mechanism:
    name = "PLAIN"

    def __init__(self, choices: Choices) -> None:
        self._choices = choices

    def initial(self) -> bytes:
        return b"p" * self._choices.number(0, 600)

    def step(self, challenge: bytes) -> bytes:
        if self._choices.number(0, 3) == 0:
            raise SaslError("generic failure")
        return challenge

    def waits(self, challenge: bytes | None) -> bool:
        return self._choices.number(0, 1) == 1


class Play:
    """One connection."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._steps = 0
        self._outcomes: list[int] = []
        self._replies = 0
        settings = SmtpSettings(
            "lmtp" if self._flip() else "smtp",
            Dialect.of(VERSIONS[choices.number(0, 2)]),
            "client.example",
            "client.example",
            utf8=self._flip(),
            reply_filter="regexp:x" if choices.number(0, 5) == 0 else "",
            skip_quit_response=self._flip(),
            send_xforward=self._flip(),
            quote_envelope=choices.number(0, 4) > 0,
            send_dummy_auth=self._flip(),
            keep_transcript=self._flip(),
            reuse_count_limit=choices.number(0, 2),
        )
        self.engine = Engine(PEER, settings)
        self.engine.now = 1000.0
        self.engine.expires_at = (None, 2000.0, 1005.0)[choices.number(0, 2)]

    def _flip(self) -> bool:
        return self._choices.number(0, 1) == 1

    def _pick(self, things: Sequence[Any]) -> Any:
        return things[self._choices.number(0, len(things) - 1)]

    def run(self) -> None:
        """Play until the connection ends."""
        engine, choices = self.engine, self._choices
        context = Context(
            "4XyZ1abc",
            nexthop="example.net",
            message_age=choices.number(0, 1000),
            options=SendOptions(choices.number(0, 63)) if choices.number(0, 3) == 0 else NO_OPTIONS,
            detect_loops=choices.number(0, 9) == 0,
            tls=TlsNeed(choices.number(-1, 3)) if choices.number(0, 3) == 0 else TlsNeed.NONE,
            tls_available=choices.number(0, 3) > 0,
            tls_wrapper=choices.number(0, 3) == 0,
            plaintext_retry=self._flip(),
            requiretls=RequireTls(choices.number(0, 3)) if self._flip() else RequireTls.DISABLE,
            authenticate=choices.number(0, 3) == 0,
        )
        failure = self._drive(engine.handshake(context))
        assert failure is None or isinstance(failure, Failure)
        if failure is not None:
            self._drive(engine.quit())
        while failure is None:
            envelope = self._envelope()
            self._outcomes = [0] * len(envelope.recipients)
            self._drive(engine.transaction(envelope))
            assert self._outcomes == [1] * len(envelope.recipients), self._outcomes
            if not engine.is_reusable:
                break
            assert not engine.pending
            assert not engine.garbled
            engine.reuse_count += 1
            if not self._drive(engine.probe(context)):
                assert engine.is_broken
                break

    def _envelope(self) -> Envelope:
        choices = self._choices
        recipients = [
            Recipient(f"o{i}@x", "r" * choices.number(1, 40) + f"{i}@x.example", -1, "", Notify(choices.number(0, 15)))
            for i in range(choices.number(1, 60) if choices.number(0, 9) == 0 else choices.number(1, 4))
        ]
        probe = (None, None, None, ProbeTarget.RCPT, ProbeTarget.DATA)[choices.number(0, 4)]
        encoding = self._pick(("7bit", "8bit", "", "odd"))
        return Envelope(
            "a@b.c", recipients, choices.number(1, 200), encoding, "id", Ret(choices.number(0, 2)), probe=probe
        )

    def _drive(self, flow: Flow[Any]) -> Any:
        answer: Any = None
        error: Exception | None = None
        while True:
            self._steps += 1
            assert self._steps < MAX_STEPS
            self.engine.now += self._pick((0.0, 0.0, 0.1, 11.0))
            try:
                action = flow.send(answer) if error is None else flow.throw(error)
            except StopIteration as end:
                self._check_output(4096 + 8192)
                return end.value
            answer = error = None
            try:
                answer = self._perform(action)
            except (ConnectionLost, TimedOut, TableError, BodyError, LocalDataError, SaslError) as problem:
                error = problem

    def _check_output(self, bound: int) -> bytes:
        engine = self.engine
        assert engine.pending <= bound
        output = engine.take_output()
        commands = output.count(b"\r\n") - output.count(b"QUIT\r\n")
        assert engine.offered & features.PIPELINING or commands <= 1 or self._replies, output
        return output

    def _perform(self, action: actions.Action) -> Any:
        choices = self._choices
        match action:
            case Need.DATA:
                self._check_output(4096 + 2048)
                self.engine.receive(self._server_says())
                return None
            case Need.SEND_BUFFER:
                return 87040
            case Need.TLS:
                self.engine.take_output()
                return (None, _Tls(True, True), _Tls(True, False), _Tls(False, False))[choices.number(0, 3)]
            case Need.CREDENTIALS:
                return self._perhaps_no_table() or self._flip()
            case actions.LookUp(actions.Source.REPLY_FILTER):
                self._perhaps_no_table()
                return self._pick((None, None, "450 4.0.0 filtered", "", "250-"))
            case actions.LookUp():
                self._perhaps_no_table()
                return self._pick((None, None, "pipelining", "size,dsn", "disable_esmtp", "delay_dotcrlf", ""))
            case actions.FilterMechanisms(words):
                return words if self._flip() else ""
            case actions.ChooseMechanism():
                self._perhaps_no_table()
                return _Mechanism(choices) if self._flip() else local_failure("4.7.0", "no", throttle=True)
            case actions.Respond(mechanism, challenge):
                return mechanism.initial() if challenge is None else mechanism.step(challenge)
            case actions.AuthenticationRefused():
                return (None, "explained", _Mechanism(choices))[choices.number(0, 2)]
            case actions.SendBody():
                self.engine.take_output()
                self._body_trouble()
            case actions.RecipientDelivered(index, reply):
                assert len(reply.text) <= REPLY_BOUND
                self._outcomes[index] += 1
            case actions.RecipientFailed(index, failure):
                assert failure.dsn.status[0] in "45"
                self._outcomes[index] += 1
            case actions.AllFailed(failure):
                assert failure.dsn.status[0] in "45"
                self._outcomes = [count or 1 for count in self._outcomes]
        return None

    def _perhaps_no_table(self) -> bool:
        if self._choices.number(0, 20) == 0:
            raise TableError
        return False

    def _body_trouble(self) -> None:
        match self._choices.number(0, 12):
            case 0:
                raise BodyError(local_failure("5.6.0", "MIME nesting exceeds safety limit"))
            case 1:
                raise LocalDataError
            case 2:
                raise ConnectionLost
            case 3:
                raise TimedOut

    def _server_says(self) -> bytes:
        """Something; the longer the play, the likelier the end."""
        choices = self._choices
        self._replies += 1
        kind = choices.number(0, 40)
        if kind == 0 or self._replies > 150:
            raise ConnectionLost
        if kind == 1:
            raise TimedOut
        if kind == 2:
            return choices.octets() or b"\n"
        if kind < 33:
            return self._sensible()
        return b"".join(self._pick(LINES) + b"\r\n" for _ in range(choices.number(1, 3)))

    def _sensible(self) -> bytes:
        """What a server would say in this phase, so that plays get somewhere."""
        phase = self.engine.phase
        if "EHLO" in phase or "LHLO" in phase:
            words = [self._pick(KEYWORDS) for _ in range(self._choices.number(0, 6))]
            return b"".join(b"250-" + word + b"\r\n" for word in (b"mx.example.net", *words)) + b"250 HELP\r\n"
        if "DATA command" in phase:
            return b"354 go\r\n"
        return b"220 ok\r\n" if "greeting" in phase else b"250 2.0.0 ok\r\n"


class _Tls:
    must_match = True

    def __init__(self, is_trusted: bool, is_matched: bool) -> None:
        self.is_trusted = is_trusted
        self.is_matched = is_matched
