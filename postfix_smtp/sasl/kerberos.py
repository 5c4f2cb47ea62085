"""GSSAPI (RFC 4752), spoken by python-gssapi; only if the extra ``postfix-smtp[gssapi]`` is installed.

The Kerberos ticket is that of the process's user, found by the Kerberos library (``KRB5CCNAME``, client keytab); the
password of the table is not used, its user name is the authorisation identity.
"""

import gssapi

from postfix_smtp import log
from postfix_smtp.sasl.choice import Kind, Property
from postfix_smtp.sasl.exchange import GENERIC, Exchange, Identity
from postfix_smtp.smtp.mechanism import SaslError

_NO_LAYER = 1
_MESSAGE_OCTETS = 4


class Kerberos(Exchange):
    """The context's messages, then the refusal of a security layer."""

    def __init__(self, name: str, identity: Identity) -> None:
        super().__init__(name, identity)
        self._context: gssapi.SecurityContext | None = None
        self._established = False

    def waits(self, challenge: bytes | None) -> bool:
        """Tickets come from the network."""
        return not self._established

    def initial(self) -> bytes:
        """The first message of the context."""
        who = self._identity
        target = gssapi.Name(f"{who.service}@{who.host}", gssapi.NameType.hostbased_service)
        try:
            self._context = gssapi.SecurityContext(name=target, usage="initiate")
            return self._step(None)
        except gssapi.exceptions.GSSError as error:
            raise _failure(error) from error

    def answer(self, challenge: bytes) -> bytes:
        """The context's next message, or the answer to the offer of security layers."""
        try:
            return self._refuse_layers(challenge) if self._established else self._step(challenge)
        except gssapi.exceptions.GSSError as error:
            raise _failure(error) from error

    def _step(self, token: bytes | None) -> bytes:
        assert self._context is not None
        message: bytes = self._context.step(token) or b""
        self._established = bool(self._context.complete)
        return message

    def _refuse_layers(self, challenge: bytes) -> bytes:
        assert self._context is not None
        offer: bytes = self._context.unwrap(challenge).message
        if len(offer) != _MESSAGE_OCTETS or not offer[0] & _NO_LAYER:
            raise SaslError(GENERIC)
        self.finished = True
        answer = bytes((_NO_LAYER, 0, 0, 0)) + self._identity.user_octets
        wrapped: bytes = self._context.wrap(answer, False).message
        return wrapped


def _failure(error: Exception) -> SaslError:
    log.warning(f"SASL authentication failure: GSSAPI Error: {error}")
    return SaslError(GENERIC)


KIND = Kind(
    "GSSAPI",
    Property.NOPLAINTEXT | Property.NOANONYMOUS | Property.MUTUAL_AUTH | Property.NOACTIVE,
    Kerberos,
)
