"""What the conversation needs from a SASL mechanism (RFC 4954); the mechanisms are in :mod:`postfix_smtp.sasl`."""

import binascii
import re
from typing import Protocol

_QUARTETS = re.compile(r"(?:[A-Za-z0-9+/]{4})*")
_LAST = re.compile(r"(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


class SaslError(Exception):
    """The mechanism cannot go on.

    Attributes:
        reason: the library's status text, ``bad protocol / cancel``; a warning has been logged where there is one.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Mechanism(Protocol):
    """Client side of one authentication exchange, without I/O and without base64."""

    @property
    def name(self) -> str:
        """As it is sent in the AUTH command, upper case."""

    def initial(self) -> bytes:
        """The first message, empty if the server speaks first.

        Raises:
            SaslError: the mechanism cannot start.
        """

    def step(self, challenge: bytes) -> bytes:
        """The answer to a challenge.

        Raises:
            SaslError: the challenge is wrong, or one too many.
        """

    def waits(self, challenge: bytes | None) -> bool:
        """Whether :meth:`step` (None: :meth:`initial`) computes or waits so long that others must not wait for it."""


def from_base64(text: str) -> bytes:
    """Decode a challenge.

    Raises:
        SaslError: it is no base64. As in Postfix's library it makes a difference whether a last group of less than four
            characters is all that is wrong.
    """
    whole = _QUARTETS.match(text)
    assert whole is not None
    rest = text[whole.end() :]
    if _LAST.fullmatch(rest) is None:
        raise SaslError("another step is needed in authentication" if len(rest) < 4 else "bad protocol / cancel")
    return binascii.a2b_base64(text)
