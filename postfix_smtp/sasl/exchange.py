"""What all mechanisms have in common."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from postfix_smtp import log
from postfix_smtp.smtp.mechanism import SaslError
from postfix_smtp.text import to_octets

#: The library's status texts (SASL chapter 5).
NO_MECHANISM = "no mechanism available"
BAD_PROTOCOL = "bad protocol / cancel"
AUTHENTICATION_FAILURE = "authentication failure"
NO_MUTUAL = "server failed mutual authentication step"
GENERIC = "generic failure"
OVERFLOW = "overflowed buffer"
#: Octets.
LONGEST_USER = 1024


@dataclass(frozen=True, slots=True)
class ChannelBinding:
    """What ties an exchange to the TLS session around it (RFC 5056).

    Attributes:
        kind: ``tls-exporter``, ``tls-unique`` or ``tls-server-end-point``.
    """

    kind: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who authenticates to whom.

    Attributes:
        user, password: octets go out as they are, see :attr:`user_octets`.
        authorize: the user name is sent as authorisation identity, too (``send_cyrus_sasl_authzid``).
        service: ``smtp`` or ``lmtp``.
        host: the server's name.
        port: 0 for a UNIX-domain socket.
        binding: for mechanisms whose name ends in ``-PLUS``.
    """

    user: str
    password: str = field(repr=False)
    authorize: bool = False
    service: str = "smtp"
    host: str = ""
    port: int = 0
    binding: ChannelBinding | None = None

    @property
    def user_octets(self) -> bytes:
        """The user name on the wire: without white space around it.

        Raises:
            SaslError: nothing is left, or it is longer than the library's names may be.
        """
        user = to_octets(self.user).strip()
        if not user:
            raise failure("All-whitespace username.", GENERIC)
        if len(user) > LONGEST_USER:
            raise SaslError(OVERFLOW)
        return user

    @property
    def password_octets(self) -> bytes:
        """The password on the wire."""
        return to_octets(self.password)


class Exchange(ABC):
    """Client side of one authentication; implements :class:`postfix_smtp.smtp.mechanism.Mechanism`.

    Attributes:
        name: as it is sent in the AUTH command.
        finished: nothing more is to be said; another challenge is an error.
    """

    def __init__(self, name: str, identity: Identity) -> None:
        self.name = name
        self.finished = False
        self._identity = identity

    def initial(self) -> bytes:
        """The first message; empty if the server speaks first."""
        return b""

    def step(self, challenge: bytes) -> bytes:
        """The answer to a challenge.

        Raises:
            SaslError: the challenge is wrong, or one too many; warnings have been logged.
        """
        if self.finished:
            log.warning("SASL authentication problem: attempting client step after doneflag")
            raise SaslError(GENERIC)
        return self.answer(challenge)

    @abstractmethod
    def answer(self, challenge: bytes) -> bytes:
        """The answer to a challenge while there is one to give."""

    def waits(self, challenge: bytes | None) -> bool:
        """Whether :meth:`step` (None: :meth:`initial`) takes long, so that it should be done in a thread."""
        return False


def failure(text: str, reason: str) -> SaslError:
    """Log what the mechanism has to say; the error to raise."""
    log.warning(f"SASL authentication failure: {text}")
    return SaslError(reason)
