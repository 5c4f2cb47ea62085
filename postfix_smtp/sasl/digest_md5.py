"""DIGEST-MD5 (RFC 2831, without security layers; SASL chapter 6)."""

import base64
import hashlib
import hmac
import re
import secrets

from postfix_smtp.sasl.exchange import BAD_PROTOCOL, GENERIC, NO_MUTUAL, Exchange, Identity, failure
from postfix_smtp.smtp.mechanism import SaslError
from postfix_smtp.text import to_octets

_CNONCE_OCTETS = 32
# A directive: name = token or quoted string, with blanks around
_DIRECTIVE = re.compile(
    rb'[ \t\r\n]*([^=,\s"]+)[ \t\r\n]*=[ \t\r\n]*(?:"((?:[^"\\]|\\.)*)"|([^,"\s]*))[ \t\r\n]*(?:,|\Z)', re.DOTALL
)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


class DigestMd5(Exchange):
    """One exchange."""

    def __init__(self, name: str, identity: Identity) -> None:
        super().__init__(name, identity)
        self._expected = b""

    def answer(self, challenge: bytes) -> bytes:
        """The response, then an empty line when the server has shown that it knows the password."""
        if self._expected:
            self._verify(challenge)
            self.finished = True
            return b""
        directives = _parsed(challenge)
        nonce = self._checked(directives)
        realms = directives.get(b"realm", [])
        who = self._identity
        realm = realms[0] if len(realms) == 1 else to_octets(who.host)
        uri = to_octets(f"{who.service}/{who.host}")
        cnonce = base64.b64encode(secrets.token_bytes(_CNONCE_OCTETS))
        secret = hashlib.md5(
            b":".join(map(_narrowed, (who.user_octets, realm, who.password_octets))), usedforsecurity=False
        ).digest()
        a1 = _hex(secret + b":" + nonce + b":" + cnonce)

        def response(method: bytes) -> bytes:
            return _hex(b":".join((a1, nonce, b"00000001", cnonce, b"auth", _hex(method + b":" + uri))))

        self._expected = response(b"")
        return b",".join(
            (
                b'username="' + _quoted(who.user_octets) + b'"',
                b'realm="' + _quoted(realm) + b'"',
                b'nonce="' + _quoted(nonce) + b'"',
                b'cnonce="' + cnonce + b'"',
                b"nc=00000001",
                b"qop=auth",
                b'digest-uri="' + _quoted(uri) + b'"',
                b"response=" + response(b"AUTHENTICATE"),
            )
        )

    def _checked(self, directives: dict[bytes, list[bytes]]) -> bytes:
        """The nonce of a challenge that can be answered."""
        nonces = directives.get(b"nonce", [])
        if len(nonces) != 1:
            raise SaslError(BAD_PROTOCOL)
        algorithms = len(directives.get(b"algorithm", []))
        if algorithms != 1:
            what = "Didn't see at all" if algorithms == 0 else f"Saw it {algorithms} times"
            raise failure(f"Must see 'algorithm' once. {what}", GENERIC)
        offered = [word.strip() for value in directives.get(b"qop", [b"auth"]) for word in value.lower().split(b",")]
        if b"auth" not in offered:
            raise failure('Server doesn\'t support "no layer"', GENERIC)
        return nonces[0]

    def _verify(self, challenge: bytes) -> None:
        found = _parsed(challenge).get(b"rspauth", [])
        if not found:
            raise SaslError(BAD_PROTOCOL)
        if not hmac.compare_digest(found[0], self._expected):
            raise failure("DIGEST-MD5: This server wants us to believe that he knows shared secret", NO_MUTUAL)


def _parsed(challenge: bytes) -> dict[bytes, list[bytes]]:
    directives: dict[bytes, list[bytes]] = {}
    position = 0
    while position < len(challenge):
        match = _DIRECTIVE.match(challenge, position)
        if match is None:
            raise SaslError(BAD_PROTOCOL)
        value = match[3] if match[2] is None else _ESCAPED.sub(rb"\1", match[2])
        directives.setdefault(match[1].lower(), []).append(value)
        position = match.end()
    return directives


def _narrowed(text: bytes) -> bytes:
    """UTF-8 as ISO 8859-1 if all characters fit."""
    try:
        return text.decode("utf-8").encode("latin-1")
    except UnicodeError:
        return text


def _hex(text: bytes) -> bytes:
    return hashlib.md5(text, usedforsecurity=False).hexdigest().encode("ascii")


def _quoted(text: bytes) -> bytes:
    return text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
