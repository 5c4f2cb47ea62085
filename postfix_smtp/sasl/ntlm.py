"""NTLM, spoken by pyspnego; only if the extra ``postfix-smtp[ntlm]`` is installed (SASL chapter 6)."""

import spnego

from postfix_smtp.sasl.choice import Kind, Property
from postfix_smtp.sasl.exchange import BAD_PROTOCOL, Exchange, Identity
from postfix_smtp.smtp.mechanism import SaslError


class Ntlm(Exchange):
    """Negotiate, challenge, authenticate (MS-NLMP)."""

    def __init__(self, name: str, identity: Identity) -> None:
        super().__init__(name, identity)
        self._client = spnego.client(identity.user, identity.password, protocol="ntlm")

    def initial(self) -> bytes:
        """The negotiate message."""
        return self._step(None)

    def answer(self, challenge: bytes) -> bytes:
        """The authenticate message."""
        self.finished = True
        return self._step(challenge)

    def _step(self, token: bytes | None) -> bytes:
        try:
            return self._client.step(token) or b""
        except Exception as error:
            # Besides its own errors the library lets through those of the decoder that choked on the token
            raise SaslError(BAD_PROTOCOL) from error


KIND = Kind("NTLM", Property.NOPLAINTEXT | Property.NOANONYMOUS, Ntlm)


def load() -> None:
    """Import what the library imports when it is first used."""
    Ntlm("NTLM", Identity("user", "password")).initial()
