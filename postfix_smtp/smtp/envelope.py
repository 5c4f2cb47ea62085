"""One transaction's worth of a message: who it is from, whom it is for, and what is said about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from postfix_smtp.ipc.request import Recipient, Ret, SendOptions, Submission
from postfix_smtp.smtp.context import NO_OPTIONS

NO_SUBMISSION = Submission()
NO_RET = Ret(0)


class ProbeTarget(StrEnum):
    """How far an address probe goes."""

    RCPT = "rcpt"
    DATA = "data"


@dataclass(slots=True)
class Envelope:
    """What one transaction transfers.

    Attributes:
        sender: internal form, generic maps applied; empty for the null sender.
        recipients: `address` with generic maps applied, `original` and `dsn_original` as in the request.
        size: content octets as the queue manager counts them.
        encoding: ``7bit``, ``8bit`` or empty.
        envelope_id: DSN ENVID, decoded.
        probe: the transaction only asks; None for real mail.
    """

    sender: str
    recipients: Sequence[Recipient]
    size: int
    encoding: str = "7bit"
    envelope_id: str = ""
    ret: Ret = NO_RET
    options: SendOptions = NO_OPTIONS
    submission: Submission = NO_SUBMISSION
    probe: ProbeTarget | None = None
