"""Why a session, a transaction or a recipient failed: a value that answers the questions of the host loop itself."""

from dataclasses import dataclass
from enum import StrEnum

from postfix_smtp.dsn import Dsn
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.smtp.reply import Reply


class ErrorClass(StrEnum):
    """Classes of trouble a postmaster can ask to be told about (``notify_classes``)."""

    PROTOCOL = "protocol"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure (delivery chapter 9.2).

    Attributes:
        dsn: status code and texts.
        throttle: the destination, not this message, is in trouble: may be reported to qmgr(8); the connection is not
            kept.
        soft_unless_final: a hard failure that first tries the remaining servers (3.11: SMTPUTF8, REQUIRETLS).
        retry_plaintext: the same address may be tried again at once without TLS (level ``may`` only).
        corrupt_queue_file: the queue file ended badly; it is marked corrupt if everything was recorded.
    """

    dsn: Dsn
    throttle: bool = False
    soft_unless_final: bool = False
    retry_plaintext: bool = False
    corrupt_queue_file: bool = False


def reply_failure(peer: Peer, reply: Reply, reason: str, *, throttle: bool = False) -> Failure:
    """A failure that the server reported.

    Args:
        reason: log text that contains the reply already.

    A reply whose status class is neither 4 nor 5 becomes 5.5.0; success where failure is reported gets the prefix
    ``Protocol error: `` (smtp-protocol chapter 6).
    """
    status = reply.status
    if status[0] not in "45":
        status, reason = "5.5.0", f"Protocol error: {reason}"
    return Failure(Dsn(status, reason, "smtp", reply.line, "dns", peer.name), throttle=throttle)


def local_failure(status: str, reason: str, *, throttle: bool = False) -> Failure:
    """A failure that no server reported: no diagnostic, no remote MTA."""
    return Failure(Dsn(status, reason), throttle=throttle)


class BodyError(Exception):
    """The message content cannot be sent: the transaction ends without its final dot (message chapter 9).

    Output that is still buffered is sent all the same, except when the queue file is damaged
    (`failure.corrupt_queue_file`): then it is thrown away.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.dsn.reason)
        self.failure = failure


class LocalDataError(Exception):
    """A look-up table could not answer; already logged. The session makes ``local data error while talking to`` of
    it, a failure that throttles the destination."""
