"""Mechanisms of one or two messages: PLAIN, LOGIN, CRAM-MD5, EXTERNAL, ANONYMOUS (SASL chapter 6)."""

import hmac
import socket

from postfix_smtp.sasl.exchange import NO_MECHANISM, Exchange, Identity
from postfix_smtp.smtp.mechanism import SaslError
from postfix_smtp.text import to_octets


class Plain(Exchange):
    """RFC 4616."""

    def initial(self) -> bytes:
        """All there is to say."""
        self.finished = True
        who = self._identity
        authorization = who.user_octets if who.authorize else b""
        return b"\0".join((authorization, who.user_octets, who.password_octets))

    def answer(self, challenge: bytes) -> bytes:
        """Never asked."""
        raise AssertionError


class Login(Exchange):
    """User name, then password, whatever the server asks."""

    def __init__(self, name: str, identity: Identity) -> None:
        super().__init__(name, identity)
        self._user_sent = False

    def answer(self, challenge: bytes) -> bytes:
        """The next of the two."""
        if not self._user_sent:
            self._user_sent = True
            return self._identity.user_octets
        self.finished = True
        return self._identity.password_octets


class CramMd5(Exchange):
    """RFC 2195."""

    def answer(self, challenge: bytes) -> bytes:
        """User name and keyed digest."""
        self.finished = True
        digest = hmac.new(self._identity.password_octets, challenge, "md5").hexdigest()
        return self._identity.user_octets + b" " + digest.encode("ascii")


class External(Exchange):
    """RFC 4422 appendix A. Postfix gives its library no external identity, so this can only fail."""

    def initial(self) -> bytes:
        """Fail."""
        raise SaslError(NO_MECHANISM)

    def answer(self, challenge: bytes) -> bytes:
        """Never asked."""
        raise AssertionError


class Anonymous(Exchange):
    """RFC 4505: the trace is a mail address at this host, of nobody or of the authorisation identity."""

    def initial(self) -> bytes:
        """The trace."""
        self.finished = True
        who = self._identity
        name = (who.user if who.authorize else "") or "anonymous"
        return to_octets(f"{name}@{socket.gethostname()}")

    def answer(self, challenge: bytes) -> bytes:
        """Never asked."""
        raise AssertionError
