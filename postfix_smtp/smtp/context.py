"""On whose behalf a session is used: what belongs to a delivery request and not to the connection."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from postfix_smtp.ipc.request import SendOptions

NO_OPTIONS = SendOptions(0)


class TlsNeed(IntEnum):
    """What the TLS policy of this server asks of a session (TLS chapter 2)."""

    INVALID = -1  #: the policy cannot be understood
    NONE = 0
    MAY = 1
    ENCRYPT = 2
    MATCH = 3  #: encryption, and a certificate that matches: all levels above ``encrypt``


class RequireTls(IntEnum):
    """How seriously REQUIRETLS is taken for this message and destination (smtp-protocol chapter 17, 3.11)."""

    DISABLE = 0  #: also when not requested
    OPPORTUNISTIC = 1
    OPPORTUNISTIC_STARTTLS = 2
    ENFORCE = 3


class StartTls(IntEnum):
    """What became of TLS on a connection."""

    UNUSED = 0  #: not wanted, or not got that far
    NOT_OFFERED = 1  #: wanted
    UNAVAILABLE = 2  #: wanted and offered, but our own engine is off
    REFUSED = 3
    FAILED = 4  #: the handshake
    ESTABLISHED = 5


class TlsInfo(Protocol):
    """What the engine has to know about an established TLS session."""

    @property
    def is_trusted(self) -> bool:
        """The certificate chain is trusted."""

    @property
    def is_matched(self) -> bool:
        """The certificate is trusted and matches the policy."""

    @property
    def must_match(self) -> bool:
        """It has to; False also if the policy gave that up because no TLSA record was usable."""


@dataclass(slots=True)
class Context:
    """What the engine has to know about the request that uses it.

    Attributes:
        queue_id: for log lines.
        nexthop: the destination as the request gives it.
        message_age: seconds since arrival.
        options: SMTPUTF8 needs of the message.
        best_preference: the host is a best-preference one, or the destination has no preferences.
        detect_loops: SMTP on port 25: a server with our own name is ourselves.
        tls: need of TLS.
        tls_available: the TLS engine could be initialised.
        tls_wrapper: TLS from the first octet on.
        plaintext_retry: if TLS fails at level ``may`` the same server may be tried without (delivery chapter 9.2).
        requiretls: REQUIRETLS policy for this message.
        authenticate: SASL is on: AUTH keywords count.
    """

    queue_id: str
    nexthop: str = ""
    message_age: float = 0.0
    options: SendOptions = NO_OPTIONS
    best_preference: bool = True
    detect_loops: bool = False
    tls: TlsNeed = TlsNeed.NONE
    tls_available: bool = True
    tls_wrapper: bool = False
    plaintext_retry: bool = False
    requiretls: RequireTls = RequireTls.DISABLE
    authenticate: bool = False
