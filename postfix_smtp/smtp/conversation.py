"""Commands out, replies in: what the handshake and the transactions share."""

import re

from postfix_smtp import log
from postfix_smtp.errors import TableError
from postfix_smtp.printable import printable
from postfix_smtp.smtp import features
from postfix_smtp.smtp.actions import ConnectionLost, Flow, LookUp, Need, Source, TimedOut
from postfix_smtp.smtp.context import Context, StartTls, TlsNeed
from postfix_smtp.smtp.failure import ErrorClass, Failure, LocalDataError, local_failure, reply_failure
from postfix_smtp.smtp.line_reader import LineReader
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.smtp.reply import Reply
from postfix_smtp.smtp.settings import SmtpSettings
from postfix_smtp.text import to_octets

_REPLY_LINE = re.compile(r"[0-9]{3}([- ]|\Z)")
_STATUS = re.compile(r"[0-9]{3}[- ] *([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |\Z)")
_MADE_UP_STATUS = {"2": "2.0.0", "4": "4.0.0", "5": "5.0.0"}
NO_CLASS_STATUS = "5.5.0"
_LOGGED_START = 30
_VERBOSE_START = 100


def enhanced_status(line: str) -> str:
    """The enhanced status code of a reply's last line; made up from the code where it has no fitting one."""
    kind = line[0]
    made_up = _MADE_UP_STATUS.get(kind)
    if made_up is None:
        return NO_CLASS_STATUS
    match = _STATUS.match(line)
    return match[1] if match is not None and match[1][0] == kind else made_up


def is_protocol_error(code: int) -> bool:
    """Whether a refusal with this code means that the two sides do not understand each other."""
    return code < 400 or code > 599 or 500 <= code <= 509 or code == 555


class Conversation:
    """One connection's dialogue.

    The driver sets `now` (UNIX time, seconds) before it resumes a flow.

    Attributes:
        offered: feature bits of the server.
        size_limit: of the SIZE keyword, 0: none.
        server_name: as the server called itself in its EHLO reply.
        phase: what is being done, for error texts.
        limit: seconds, of the present stage.
        refund_rate: octets sent that give a second back, in deadline mode; 0: none.
        stage: increases when a stage begins and its limit is to be set.
        is_broken: no further octet can be exchanged.
        discard_output: what is in the output buffers must not be sent.
        garbled: the server sent something that forbids using the connection again.
        inside_tls: a TLS handshake has been completed.
        starttls: what became of TLS.
        hello_text: the last reply to EHLO, HELO or LHLO, its lines joined by newline.
        last_io: time of the last octets exchanged.
    """

    def __init__(self, peer: Peer, settings: SmtpSettings, offered: int = 0) -> None:
        self.peer = peer
        self.settings = settings
        self.context = Context("")
        self.offered = offered
        self.size_limit = 0
        self.server_name = ""
        self.phase = ""
        self.limit = 0
        self.refund_rate = 0
        self.stage = 0
        self.is_broken = False
        self.discard_output = False
        self.garbled = False
        self.inside_tls = False
        self.starttls = StartTls.UNUSED
        self.hello_text = ""
        self.now = 0.0
        self.last_io = 0.0
        self.error_classes: set[ErrorClass] = set()
        self.transcript: list[str] = []
        self._output = bytearray()
        self._input = LineReader(settings.line_length_limit, cut_endless=settings.dialect.cut_endless_lines)

    # Octets

    def receive(self, octets: bytes) -> None:
        """Take what the server sent."""
        self.last_io = self.now
        self._input.feed(octets)

    def take_output(self) -> bytes:
        """Octets to be sent after those taken before."""
        output = bytes(self._output)
        self._output.clear()
        return output

    @property
    def pending(self) -> int:
        """Octets of commands that the driver has not taken yet."""
        return len(self._output)

    @property
    def has_input(self) -> bool:
        """The server has said more than it was asked."""
        return not self._input.is_empty

    def forget_input(self) -> None:
        """Throw away what was received and not used."""
        self._input.clear()

    # Stages

    def begin_stage(self, seconds: int, refund_rate: int = 0) -> None:
        """Start the clock of a time limit."""
        self.limit = seconds
        self.refund_rate = refund_rate
        self.stage += 1
        if log.verbose():
            deadline = int(self.settings.per_request_deadline)
            log.info(f"smtp_stream_setup: maxtime={seconds} enable_deadline={deadline} min_data_rate={refund_rate}")

    # Commands and replies

    def command(self, line: str, *, shown: str | None = None, confidential: bool = False) -> None:
        """Queue a command.

        Args:
            shown: what the log shows of it, if it holds a secret.
            confidential: the transcript for the postmaster, too.
        """
        if log.verbose():
            log.info(f"> {self.peer.endpoint}: {line if shown is None else shown}")
        if self.settings.keep_transcript:
            self.transcript.append(f"Out: {shown if confidential and shown is not None else line}")
        self._output += to_octets(line)
        self._output += b"\r\n"

    def reply(self) -> Flow[Reply]:
        """The next reply, however many lines it has.

        Raises:
            LocalDataError: the reply filter could not answer.
        """
        settings, bound = self.settings, self.settings.line_length_limit
        text, size = "", 0
        bound_reported = False
        while True:
            octets = self._input.next_line()
            while octets is None:
                if self._input.was_endless:
                    raise ConnectionLost
                yield Need.DATA
                octets = self._input.next_line()
            line = printable(octets, settings.utf8, settings.dialect.strict_utf8)
            if self._input.was_cut:
                self._report_cut(line)
            if log.verbose():
                log.info(f"< {self.peer.endpoint}: {line[:_VERBOSE_START]}")
            if size < bound:
                if settings.keep_transcript:
                    self.transcript.append(f"In:  {line}")
                if settings.reply_filter:
                    line = yield from self._filtered(line)
                text = f"{text}\n{line}" if size else line
                size = len(text) if text.isascii() else len(to_octets(text))
            elif not bound_reported:
                bound_reported = True
                start = text[:_LOGGED_START]
                log.warning(f"{self.peer.endpoint}: multi-line response longer than {bound} {start}...")
            match = _REPLY_LINE.match(line)
            if match is None:
                self._report_garbage(line)
            elif match[1] != "-":
                return Reply(int(line[:3]), enhanced_status(line), text)

    def _filtered(self, line: str) -> Flow[str]:
        try:
            new: str | None = yield LookUp(Source.REPLY_FILTER, line)
        except TableError as error:
            log.warning(f"{self.context.queue_id}: table {self.settings.reply_filter} lookup error for {line}")
            raise LocalDataError from error
        if new is None:
            return line
        log.info(f'{self.peer.endpoint}: replacing server reply "{line}" with "{new}"')
        if self.settings.keep_transcript:
            self.transcript += ["Replaced-by: ", f"     {new}"]
        return new

    def _report_cut(self, line: str) -> None:
        if self._input.was_endless:
            log.warning("disabling input from unknown_stream")
        bound = self.settings.line_length_limit
        log.warning(f"{self.peer.endpoint}: response longer than {bound}: {line[:_LOGGED_START]}...")

    def _report_garbage(self, line: str) -> None:
        self._note_protocol_error()
        if not self.offered & features.PIPELINING:
            return
        settings, peer = self.settings, self.peer
        protocol = "LMTP" if settings.is_lmtp else "ESMTP"
        log.warning(f"{self.context.queue_id}: non-{protocol} response from {peer.endpoint}: {line}")
        if settings.helpful_warnings:
            log.warning(
                f"to prevent loss of mail, turn off command pipelining for {peer.address} with the "
                f"{settings.discard_map_name} parameter"
            )

    # Failures

    def _note_protocol_error(self) -> None:
        self.garbled = True
        self.error_classes.add(ErrorClass.PROTOCOL)

    def refusal(self, reply: Reply, reason: str, *, throttle: bool = False) -> Failure:
        """A reply as a failure; notes whether it shows a misunderstanding."""
        if is_protocol_error(reply.code):
            self._note_protocol_error()
        return reply_failure(self.peer, reply, reason, throttle=throttle)

    def said(self, reply: Reply, command: str) -> str:
        """The log text of a refused command."""
        return f"host {self.peer.host} said: {reply.line} (in reply to {command})"

    def refused_to_talk(self, reply: Reply) -> Failure:
        """Greeting, EHLO, HELO or LHLO refused."""
        return self.refusal(reply, f"host {self.peer.host} refused to talk to me: {reply.line}", throttle=True)

    def local_data_error(self) -> Failure:
        """A table could not answer."""
        self.error_classes.add(ErrorClass.DATA)
        return local_failure("4.3.0", f"local data error while talking to {self.peer.host}", throttle=True)

    def broken(self, error: ConnectionLost | TimedOut) -> Failure:
        """The connection ended or hangs: nothing more can be exchanged."""
        self.is_broken = True
        host, phase = self.peer.host, self.phase
        if isinstance(error, TimedOut):
            reason = f"conversation with {host} timed out while {phase}"
        else:
            reason = f"lost connection with {host} while {phase}"
        context = self.context
        in_plaintext = self.inside_tls and context.tls is TlsNeed.MAY and context.plaintext_retry
        return Failure(local_failure("4.4.2", reason).dsn, throttle=True, retry_plaintext=in_plaintext)

    def quit(self) -> Flow[None]:
        """Send QUIT; what happens then is of no interest. The octets may still wait in the output."""
        if self.is_broken:
            return
        settings = self.settings
        self.begin_stage(settings.limits.quit)
        self.phase = "sending QUIT"
        self.command("QUIT")
        if not settings.skip_quit_response:
            try:
                yield from self.reply()
            except (ConnectionLost, TimedOut, LocalDataError):
                self.is_broken = True
