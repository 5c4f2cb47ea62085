"""One mail transaction, or one address probe (smtp-protocol chapter 8 to 13). The tables are in :mod:`.states`."""

from postfix_smtp import log
from postfix_smtp.errors import TableError
from postfix_smtp.smtp import commands, features
from postfix_smtp.smtp.actions import (
    AllFailed,
    ConnectionLost,
    Flow,
    Need,
    Pause,
    RecipientDelivered,
    RecipientFailed,
    SendBody,
    TimedOut,
)
from postfix_smtp.smtp.context import RequireTls
from postfix_smtp.smtp.conversation import Conversation
from postfix_smtp.smtp.envelope import Envelope, ProbeTarget
from postfix_smtp.smtp.failure import BodyError, Failure, LocalDataError, local_failure
from postfix_smtp.smtp.reply import Reply
from postfix_smtp.smtp.states import CORRECTABLE, NEXT, PHASES, SILENT, State, Turn, must_abort

#: Octets of commands that may be under way without their replies having been read.
PIPELINE_BOUND = 4096
#: Seconds without any I/O after which replies are read before more is sent.
PIPELINE_IDLE = 10.0
_BODY_PHASE = "sending message body"
_SUCCESS_STATUS = "2.0.0"


class Transaction:
    """The exchange from the size check to the last reply.

    Attributes:
        completed: it ran to its end, whatever became of the recipients (delivery chapter 9.5).
        keep: it ended, or will end, by a dot or RSET without QUIT, so that the connection can be used again.
    """

    def __init__(self, talk: Conversation, envelope: Envelope, *, may_keep: bool) -> None:
        """A transaction.

        Args:
            may_keep: the connection may be used again, unless something happens that forbids it. It can be changed
                through `keep` until the end of the transaction is queued.
        """
        self._talk = talk
        self._settings = talk.settings
        self._envelope = envelope
        self._pipelining = bool(talk.offered & features.PIPELINING)
        self._may_keep = may_keep
        self.keep = False
        self.completed = False
        self._sender = self._receiver = State.MAIL
        self._sent = self._received = 0  # recipients
        self._sender_rejected = False
        self._accepted: list[int] = []
        self._data_rejected = False
        self._decided = bytearray(len(envelope.recipients))
        self._dots = 0  # end-of-data replies read
        self._xforward = ("", "")

    def run(self) -> Flow[None]:
        """All of it. Every recipient gets an outcome."""
        talk = self._talk
        if 0 < talk.size_limit < self._envelope.size:
            self.completed = True
            self.keep = self._may_keep
            yield AllFailed(
                local_failure(
                    "5.3.4",
                    f"message size {self._envelope.size} exceeds size limit {talk.size_limit} "
                    f"of server {talk.peer.host}",
                )
            )
            return
        try:
            yield from self._exchange()
        except (ConnectionLost, TimedOut) as error:
            failure = talk.broken(error)
            self.keep = False
            if self._receiver not in SILENT:
                yield AllFailed(failure)
        except (LocalDataError, TableError):
            self.keep = False
            yield AllFailed(talk.local_data_error())
        except BodyError as error:
            self.keep = False
            self.completed = not error.failure.throttle and not error.failure.corrupt_queue_file
            talk.discard_output = error.failure.corrupt_queue_file
            yield AllFailed(error.failure)

    def _exchange(self) -> Flow[None]:
        """The sender; it lets the receiver catch up where it has to."""
        talk = self._talk
        self._begin()
        while True:
            state = self._sender
            if self._receiver is State.LAST and state is State.LAST:
                return
            command = "" if state is State.LAST else self._build(state)
            if state is State.MAIL:
                yield Need.MAIL_STARTED
            elif state is State.DOT or state is State.ABORT:
                # before outstanding replies are read: an odd one among them comes too late to end by QUIT
                self.keep = self._may_keep and not talk.garbled
            if self._must_wait(state, command):
                while self._is_behind():
                    yield from self._receive()
                if self._receiver is State.LAST and self._sender is State.LAST:
                    return
            if state in CORRECTABLE and not self._is_behind():
                accepted = -1 if self._data_rejected else len(self._accepted)
                if must_abort(state, sender_rejected=self._sender_rejected, accepted=accepted):
                    state = self._sender = self._receiver = State.ABORT
                    command = "RSET"
                    self.keep = self._may_keep and not talk.garbled
            if state is State.DOT and self._accepted and not (yield from self._send_body()):
                return
            turn = Turn.ON
            if state in (State.DOT, State.ABORT):
                if self.keep:
                    turn = Turn.KEEP
            elif state is State.RCPT:
                turn = self._after_recipient(self._sent)
                self._sent += 1
            elif state is State.XFORWARD1 and not self._xforward[1]:
                turn = Turn.SHORT
            talk.command(command)
            self._sender = NEXT[state, turn]

    def _begin(self) -> None:
        if self._settings.send_xforward:
            self._xforward = commands.xforward(self._talk.offered, self._envelope.submission)
            if self._xforward[0]:
                self._sender = self._receiver = State.XFORWARD1
            elif self._xforward[1]:
                self._sender = self._receiver = State.XFORWARD2
        limit, _ = PHASES[self._sender]
        self._talk.begin_stage(getattr(self._settings.limits, limit))

    def _build(self, state: State) -> str:
        talk, envelope = self._talk, self._envelope
        match state:
            case State.RCPT:
                return commands.rcpt(self._settings, talk.offered, envelope.recipients[self._sent], envelope.options)
            case State.MAIL:
                context = talk.context
                policy = context.requiretls if self._settings.dialect.requiretls else RequireTls.DISABLE
                return commands.mail(self._settings, talk.offered, envelope, context.queue_id, policy)
            case State.XFORWARD1:
                return self._xforward[0]
            case State.XFORWARD2:
                return self._xforward[1]
            case State.DOT:
                return "."
            case State.ABORT:
                return "RSET"
        return state.name

    def _is_behind(self) -> bool:
        """Replies are outstanding."""
        receiver, sender = self._receiver, self._sender
        return receiver < sender or (receiver is sender and self._received < self._sent)

    def _must_wait(self, state: State, command: str) -> bool:
        """Whether outstanding replies must be read before a command is queued (smtp-protocol chapter 11)."""
        if state is State.DOT or state is State.LAST:
            return True
        if not self._is_behind():
            return False
        if not self._pipelining:
            return True
        talk = self._talk
        rides_with_dot = state is State.QUIT and self._receiver is State.DOT
        if not rides_with_dot and len(command.encode(errors="surrogateescape")) + 2 + talk.pending > PIPELINE_BOUND:
            return True
        return talk.now - talk.last_io > PIPELINE_IDLE

    def _after_recipient(self, index: int) -> Turn:
        """Where a reader of the script goes from one recipient."""
        if index + 1 < len(self._envelope.recipients):
            return Turn.STAY
        return Turn.SHORT if self._envelope.probe is ProbeTarget.RCPT else Turn.ON

    # The receiver

    def _receive(self) -> Flow[None]:
        """Read one reply and act on it."""
        talk, state = self._talk, self._receiver
        limit, talk.phase = PHASES[state]
        talk.begin_stage(getattr(self._settings.limits, limit))
        reply = yield from talk.reply()
        yield from self._handle(state, reply)

    def _handle(self, state: State, reply: Reply) -> Flow[None]:
        talk = self._talk
        turn = Turn.ON
        match state:
            case State.RCPT:
                index = self._received
                self._received += 1
                turn = self._after_recipient(index)
                if not self._sender_rejected:
                    yield from self._recipient_answered(index, reply)
            case State.MAIL:
                if reply.kind != 2:
                    self._sender_rejected = True
                    yield from self._all_refused(reply, "MAIL FROM command")
            case State.DATA:
                if reply.kind != 3:
                    if self._accepted:
                        yield from self._all_refused(reply, "DATA command")
                    self._accepted.clear()
                    self._data_rejected = True
                elif self._envelope.probe is ProbeTarget.DATA:
                    yield from self._all_delivered(Reply(reply.code, _SUCCESS_STATUS, reply.text))
                    self._sender = State.LAST
                    self.completed = True
                    self.keep = False  # the server waits for content
                    turn = Turn.SHORT
            case State.DOT:
                turn = yield from self._dot_answered(reply)
            case State.ABORT:
                self.completed = True
                turn = self._after_end()
            case State.XFORWARD1 | State.XFORWARD2:
                if reply.kind != 2:
                    what = "name/address" if state is State.XFORWARD1 else "helo/protocol"
                    log.warning(f"host {talk.peer.endpoint} said: {reply.line} (in reply to XFORWARD {what} command)")
                if state is State.XFORWARD1 and not self._xforward[1]:
                    turn = Turn.SHORT
            case _:
                pass
        self._receiver = NEXT[state, turn]

    def _after_end(self) -> Turn:
        """Where the receiver goes from the end of the transaction: is a reply to QUIT to be read?"""
        return Turn.KEEP if self.keep or self._settings.skip_quit_response else Turn.ON

    def _recipient_answered(self, index: int, reply: Reply) -> Flow[None]:
        talk = self._talk
        if reply.kind == 2:
            self._accepted.append(index)
            if self._envelope.probe is ProbeTarget.RCPT:
                self._decided[index] = 1
                yield RecipientDelivered(index, reply)
        else:
            self._decided[index] = 1
            yield RecipientFailed(index, talk.refusal(reply, talk.said(reply, "RCPT TO command")))

    def _dot_answered(self, reply: Reply) -> Flow[Turn]:
        """A reply to the end of data: for all recipients, in LMTP for the next one."""
        accepted = self._accepted
        if accepted:
            yield Need.DATA_DONE
            if self._settings.is_lmtp:
                yield from self._recipient_done(accepted[self._dots], reply)
                self._dots += 1
                if log.verbose():
                    log.info(f"got {self._dots} of {len(accepted)} end-of-data replies")
                if self._dots < len(accepted):
                    return Turn.STAY
            elif reply.kind == 2:
                yield from self._all_delivered(reply)
            else:
                yield from self._all_refused(reply, "end of DATA command")
        self.completed = True
        return self._after_end()

    def _recipient_done(self, index: int, reply: Reply) -> Flow[None]:
        talk = self._talk
        self._decided[index] = 1
        if reply.kind == 2:
            yield RecipientDelivered(index, reply)
        else:
            yield RecipientFailed(index, talk.refusal(reply, talk.said(reply, "end of DATA command")))

    def _all_delivered(self, reply: Reply) -> Flow[None]:
        for index, is_decided in enumerate(self._decided):
            if not is_decided:
                self._decided[index] = 1
                yield RecipientDelivered(index, reply)

    def _all_refused(self, reply: Reply, command: str) -> Flow[None]:
        failure: Failure = self._talk.refusal(reply, self._talk.said(reply, command))
        self._decided = bytearray(b"\1" * len(self._decided))
        yield AllFailed(failure)

    # Content

    def _send_body(self) -> Flow[bool]:
        """Content up to the final dot; False if the connection broke and the story has been told."""
        talk, settings = self._talk, self._settings
        talk.phase = _BODY_PHASE
        talk.begin_stage(settings.limits.data_xfer, settings.min_data_rate)
        converting = commands.is_converting(settings, talk.offered, self._envelope.encoding)
        try:
            yield SendBody(converting)
            if talk.offered & features.PIX_DELAY_DOT:
                yield Pause(settings.pix_delay)
        except ConnectionLost as error:
            yield from self._premature_reply(error)
            return False
        talk.last_io = talk.now
        return True

    def _premature_reply(self, error: ConnectionLost) -> Flow[None]:
        """The server hung up in the middle of the content: what it said before is its answer to the message."""
        talk = self._talk
        talk.discard_output = True
        self._receiver = State.DOT
        replies = len(self._accepted) if self._settings.is_lmtp else 1
        try:
            for _ in range(replies):
                reply = yield from talk.reply()
                yield from self._dot_answered(reply)
        except (ConnectionLost, TimedOut):
            yield AllFailed(talk.broken(error))
        talk.is_broken = True
        self.completed = False
        self.keep = False
