"""What the engine asks of its driver.

The conversation is a generator. It yields one action at a time; the driver performs it and sends the answer that the
action's documentation names (None where it names none). What goes wrong in between is thrown into the generator:
:class:`ConnectionLost`, :class:`TimedOut`, and for content :class:`~postfix_smtp.smtp.failure.BodyError` and
:class:`~postfix_smtp.smtp.failure.LocalDataError`.
"""

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeAlias, TypeVar

from postfix_smtp.smtp.failure import Failure
from postfix_smtp.smtp.mechanism import Mechanism
from postfix_smtp.smtp.reply import Reply


class ConnectionLost(Exception):
    """End of file, or any error of the connection."""


class TimedOut(Exception):
    """A time limit was exceeded."""


class Need(Enum):
    """Actions without arguments."""

    DATA = auto()  #: send what ``take_output()`` gives, then wait for octets and give them to ``receive()``
    SEND_BUFFER = auto()  #: see that the socket's send buffer holds a pipelined flight; answer: its size
    TLS = auto()  #: output first, then the handshake; answer: a TlsInfo, or None if it failed
    CREDENTIALS = auto()  #: answer: whether there are SASL credentials for this server; TableError is thrown in
    MAIL_STARTED = auto()  #: time stamp: the session is set up
    DATA_DONE = auto()  #: time stamp: the last reply to the end of data came


class Source(Enum):
    """Tables that are asked during a conversation."""

    DISCARDED_KEYWORDS = auto()  #: key: server address; value: EHLO keywords not to see
    PIX_WORKAROUNDS = auto()  #: key: server address; value: workarounds to use
    REPLY_FILTER = auto()  #: key: reply line; value: its replacement


@dataclass(frozen=True, slots=True)
class LookUp:
    """Ask a table; answer: the value, None if there is none or no table. TableError is thrown in."""

    source: Source
    key: str


@dataclass(frozen=True, slots=True)
class FilterMechanisms:
    """Drop unwanted mechanisms from one AUTH keyword's list; answer: the words left, joined by blanks."""

    words: str


@dataclass(frozen=True, slots=True)
class ChooseMechanism:
    """Choose a mechanism for the credentials found; answer: a Mechanism or a Failure."""

    mechanisms: str


@dataclass(frozen=True, slots=True)
class Respond:
    """Call the mechanism's ``step`` where it may take its time; answer: what it returns. SaslError is thrown in.

    Attributes:
        challenge: None: ``initial``.
    """

    mechanism: Mechanism
    challenge: bytes | None


@dataclass(frozen=True, slots=True)
class AuthenticationRefused:
    """The server's final reply, for the authentication failure cache.

    Answer: None; or a Mechanism to try once more; or a text that explains the refusal.
    """

    reply: Reply


@dataclass(frozen=True, slots=True)
class SendBody:
    """Output first, then the message content without its final dot.

    Attributes:
        converting: 8-bit content becomes 7-bit (message chapter 2).
    """

    converting: bool


@dataclass(frozen=True, slots=True)
class Pause:
    """Send everything, then wait.

    Attributes:
        seconds: how long.
    """

    seconds: int


@dataclass(frozen=True, slots=True)
class RecipientDelivered:
    """A recipient's final success, to be recorded before anything else.

    Attributes:
        index: position in the envelope.
        reply: the server's word.
    """

    index: int
    reply: Reply


@dataclass(frozen=True, slots=True)
class RecipientFailed:
    """A recipient's failure, to be recorded before anything else.

    Attributes:
        index: position in the envelope.
        failure: why.
    """

    index: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class AllFailed:
    """Every recipient without outcome so far fails.

    Attributes:
        failure: why.
    """

    failure: Failure


Action: TypeAlias = (
    Need
    | LookUp
    | FilterMechanisms
    | ChooseMechanism
    | Respond
    | AuthenticationRefused
    | SendBody
    | Pause
    | RecipientDelivered
    | RecipientFailed
    | AllFailed
)
T = TypeVar("T")
#: A part of the conversation that ends with a T. What is sent in depends on the action before.
Flow: TypeAlias = Generator[Action, Any, T]
