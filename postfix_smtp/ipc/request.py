"""The delivery request of qmgr(8) and its reply, as values.

What is on the wire, and in which order, is in :mod:`postfix_smtp.ipc.delivery`.
"""

from dataclasses import dataclass
from enum import IntFlag

from postfix_smtp.dsn import Dsn


class RequestFlags(IntFlag):
    """Attribute ``flags`` of the request."""

    MARK_DONE = 1  #: cross off delivered recipients in the queue file
    BOUNCE_DELETE = 2  #: always set, ignored
    VERIFY_MTA = 256  #: address probe by the MTA; results go to verify(8)
    VERIFY_USER = 512  #: address probe by a user; results go to trace(8)
    RECORD = 1024  #: deliver, and report to trace(8)
    CACHE_LOAD = 2048  #: may use cached connections
    CACHE_STORE = 4096  #: should save connections to the cache
    RECORD_DELAYED = 8192  #: report success to trace(8), a delay warning was sent

    PROBE = VERIFY_MTA | VERIFY_USER
    TRACE = VERIFY_MTA | VERIFY_USER | RECORD | RECORD_DELAYED  #: what bounce, defer and trace get as their flags


class SendOptions(IntFlag):
    """Attribute ``smtputf8`` (up to 3.9) or ``sendopts`` (3.10 and later)."""

    SMTPUTF8_REQUESTED = 1
    SMTPUTF8_HEADER = 2
    SMTPUTF8_SENDER = 4
    SMTPUTF8_RECIPIENT = 8
    TLS_REQUIRED_NO = 16  #: header ``TLS-Required: no`` (3.10)
    REQUIRETLS = 32  #: REQUIRETLS given in MAIL FROM (3.11)

    SMTPUTF8_CONTENT = SMTPUTF8_HEADER | SMTPUTF8_SENDER | SMTPUTF8_RECIPIENT
    SMTPUTF8_ALL = SMTPUTF8_REQUESTED | SMTPUTF8_CONTENT

    @property
    def needs_smtputf8(self) -> bool:
        """The server must offer SMTPUTF8: requested, and something is really internationalised."""
        return bool(self & self.SMTPUTF8_REQUESTED and self & self.SMTPUTF8_CONTENT)

    def before_3_10(self) -> "SendOptions":
        """The options as a Postfix without further ones takes them: any bit is about SMTPUTF8.

        Bits that it does not know are in queue files of a newer Postfix that was there before.
        """
        known = self & self.SMTPUTF8_ALL
        return known if known == self else known | self.SMTPUTF8_HEADER


class Notify(IntFlag):
    """DSN NOTIFY of a recipient (RFC 3461); 0 is "not given"."""

    NEVER = 1
    SUCCESS = 2
    FAILURE = 4
    DELAY = 8


NOTIFY_NOT_GIVEN = Notify(0)


class Ret(IntFlag):
    """DSN RET of a message (RFC 3461); 0 is "not given"."""

    FULL = 1
    HDRS = 2


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient of a delivery request.

    Attributes:
        original: address as submitted, before aliasing; may be empty.
        address: address to deliver to, internal (unquoted) form.
        offset: queue file offset of the record to cross off, -1: never cross off.
        dsn_original: ``TYPE;ADDRESS`` of ORCPT, address decoded; may be empty.
        notify: DSN NOTIFY.
    """

    original: str
    address: str
    offset: int
    dsn_original: str = ""
    notify: Notify = NOTIFY_NOT_GIVEN


@dataclass(frozen=True, slots=True)
class MessageTimes:
    """Statistics of one message, UNIX times in seconds with microseconds; 0.0 is "not yet".

    The wire form is the memory image of C structures (ipc chapter 4.6): microseconds are exact in both directions.
    """

    arrival: float = 0.0
    active: float = 0.0
    handoff: float = 0.0
    setup: float = 0.0
    done: float = 0.0
    reuse_count: int = 0


@dataclass(frozen=True, slots=True)
class Submission:
    """Where the message came from, for XFORWARD and for SASL sender rules; all may be empty."""

    client_name: str = ""
    client_address: str = ""
    client_port: str = ""
    protocol_name: str = ""
    helo_name: str = ""
    sasl_method: str = ""
    sasl_username: str = ""
    sasl_sender: str = ""
    log_ident: str = ""
    rewrite_context: str = "local"


@dataclass(frozen=True, slots=True)
class DeliveryRequest:
    """One delivery request: one message, one destination, at least one recipient.

    Attributes:
        flags: what to do with it.
        queue_name: directory of the queue file, normally ``active``.
        queue_id: short or long form.
        data_offset: queue file offset of the first content record.
        size: message content length as qmgr(8) counts it (queue-file chapter 4.1), octets.
        nexthop: destination list, never empty.
        encoding: ``7bit``, ``8bit`` or empty.
        options: SMTPUTF8 and TLS requirements.
        sender: envelope sender, internal form, empty for the null sender.
        envelope_id: DSN ENVID, decoded.
        ret: DSN RET.
        times: statistics; `handoff` is set when the request was read.
        submission: the original client.
        recipients: in the order of the request.
    """

    flags: RequestFlags
    queue_name: str
    queue_id: str
    data_offset: int
    size: int
    nexthop: str
    encoding: str
    options: SendOptions
    sender: str
    envelope_id: str
    ret: Ret
    times: MessageTimes
    submission: Submission
    recipients: tuple[Recipient, ...]

    @property
    def is_probe(self) -> bool:
        """Nothing is delivered, only asked."""
        return bool(self.flags & RequestFlags.PROBE)

    @property
    def trace_flags(self) -> RequestFlags:
        """The flags that bounce, defer and trace are given."""
        return self.flags & RequestFlags.TRACE


@dataclass(frozen=True, slots=True)
class DeliveryReply:
    """Final reply to qmgr(8).

    Attributes:
        all_final: every recipient has a final, recorded result; else the message is to be tried again.
        host_status: why the *destination* is in trouble; None if it is not.
    """

    all_final: bool
    host_status: Dsn | None = None
