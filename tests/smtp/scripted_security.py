"""SASL and TLS, as little as the vectors need."""

import hmac
from dataclasses import dataclass

from postfix_smtp.smtp.mechanism import SaslError
from postfix_smtp.text import to_octets


@dataclass
class ScriptedMechanism:
    """PLAIN, LOGIN or CRAM-MD5."""

    name: str
    user: str
    password: str
    authzid: str = ""
    step_number: int = 0

    def initial(self) -> bytes:
        if self.name == "EXTERNAL":
            raise SaslError("no mechanism available")
        if self.name != "PLAIN":
            return b""
        return b"\0".join(to_octets(text) for text in (self.authzid, self.user, self.password))

    def step(self, challenge: bytes) -> bytes:
        self.step_number += 1
        match self.name, self.step_number:
            case "LOGIN", 1:
                return to_octets(self.user)
            case "LOGIN", 2:
                return to_octets(self.password)
            case "CRAM-MD5", 1:
                digest = hmac.new(to_octets(self.password), challenge, "md5").hexdigest()
                return to_octets(f"{self.user} {digest}")
        raise SaslError("generic failure")


@dataclass(frozen=True)
class ScriptedTls:
    """A session with or without a certificate one can trust."""

    is_trusted: bool
    is_matched: bool
