"""DIGEST-MD5 (RFC 2831, without security layers; SASL chapter 6)."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator

from postfix_smtp.sasl.exchange import AUTHENTICATION_FAILURE, GENERIC, NO_MUTUAL, Exchange, Identity, failure
from postfix_smtp.smtp.mechanism import SaslError
from postfix_smtp.text import to_octets, to_text

_CNONCE_OCTETS = 32
_QUALITIES = {b"auth", b"auth-int", b"auth-conf"}
_SMALLEST_BUFFER, _LARGEST_BUFFER = 16, 0xFFFFFF
_SIZE_DIGITS = 12
# A directive: name = token or quoted string, with blanks around
_TOKEN = rb'[^\x00-\x20\x7f()<>@,;:\\"/\[\]?={}]'
_DIRECTIVE = re.compile(
    rb'[ \t\r\n]*(%b+)[ \t\r\n]*=[ \t\r\n]*(?:"((?:[^"\\]|\\.)*)"|(%b*))[ \t\r\n]*(?:,|\Z)' % (_TOKEN, _TOKEN),
    re.DOTALL,
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
        offer = _read_offer(challenge)
        nonce, who = offer.nonce, self._identity
        realm = offer.realms[0] if len(offer.realms) == 1 else to_octets(who.host)
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

    def _verify(self, challenge: bytes) -> None:
        found = b""
        for name, value in _directives(challenge):
            if name is None:
                raise failure("DIGEST-MD5 Received Garbage", AUTHENTICATION_FAILURE)
            if name == b"rspauth":
                found = value
        if not found:
            raise SaslError(GENERIC)
        if not hmac.compare_digest(found, self._expected):
            raise failure("DIGEST-MD5: This server wants us to believe that he knows shared secret", NO_MUTUAL)


class _Offer:
    """What a server's challenge says."""

    def __init__(self) -> None:
        self.realms: list[bytes] = []
        self.nonce = b""
        self.qop: set[bytes] = set()
        self.seen: set[bytes] = set()


def _read_offer(challenge: bytes) -> _Offer:
    """Read a challenge; what is wrong with it is reported in the order of its parts."""
    if not challenge:
        raise failure("no server challenge", GENERIC)
    offer = _Offer()
    for name, value in _directives(challenge):
        match name:
            case None:
                raise failure("Parse error", AUTHENTICATION_FAILURE)
            case b"realm":
                offer.realms.append(value)
            case b"nonce":
                offer.nonce = value
            case b"qop":
                offer.qop.update(word.strip() for word in value.lower().split(b","))
            case b"maxbuf":
                _check_buffer(value, again=name in offer.seen)
            case b"charset" if value.lower() != b"utf-8":
                raise failure("Charset must be UTF-8", AUTHENTICATION_FAILURE)
            case b"algorithm":
                if value.lower() != b"md5-sess":
                    raise failure("'algorithm' isn't 'md5-sess'", GENERIC)
                if name in offer.seen:
                    raise failure("Must see 'algorithm' only once", GENERIC)
        offer.seen.add(name)
    if b"algorithm" not in offer.seen:
        raise failure("Must see 'algorithm' once. Didn't see at all", GENERIC)
    if b"nonce" not in offer.seen:
        raise failure("Don't have nonce.", GENERIC)
    if b"qop" in offer.seen:
        if not offer.qop & _QUALITIES:
            raise failure("Server doesn't support any known qop level", AUTHENTICATION_FAILURE)
        if b"auth" not in offer.qop:
            raise failure('Server doesn\'t support "no layer"', GENERIC)
    return offer


def _check_buffer(value: bytes, *, again: bool) -> None:
    """The buffer size is of no use without a security layer, but must be a good one."""
    title = "Invalid maxbuf parameter received from server"
    if again:
        raise failure("At least two maxbuf directives found. Authentication aborted", AUTHENTICATION_FAILURE)
    size = int(value) if value.isdigit() and len(value) < _SIZE_DIGITS else -1
    shown = to_text(value)
    if not 0 <= size < 1 << 31:
        raise failure(f"{title} ({shown})", AUTHENTICATION_FAILURE)
    if size <= _SMALLEST_BUFFER:
        raise failure(f"{title} (too small: {shown})", AUTHENTICATION_FAILURE)
    if size > _LARGEST_BUFFER:
        raise failure(f"{title} (too big: {shown})", AUTHENTICATION_FAILURE)


def _directives(challenge: bytes) -> Iterator[tuple[bytes | None, bytes]]:
    """Yield names, in lower case, and values; None in place of a name: what follows cannot be read.

    To the library a NUL is the end.
    """
    challenge = challenge.partition(b"\0")[0]
    position = 0
    while position < len(challenge):
        if challenge[position : position + 1] == b",":
            position += 1
            continue
        match = _DIRECTIVE.match(challenge, position)
        if match is None:
            yield None, b""
            return
        yield match[1].lower(), match[3] if match[2] is None else _ESCAPED.sub(rb"\1", match[2])
        position = match.end()


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
