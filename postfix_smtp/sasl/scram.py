"""SCRAM-SHA-1, -224, -256, -384, -512 (RFC 5802, RFC 7677), with channel binding as -PLUS (SASL chapter 6).

Names and passwords are used as they are, without SASLprep, as Postfix's library does.
"""

import base64
import binascii
import hashlib
import hmac
import secrets

from postfix_smtp.sasl.exchange import (
    AUTHENTICATION_FAILURE,
    BAD_PROTOCOL,
    Exchange,
    Identity,
    failure,
)
from postfix_smtp.smtp.mechanism import SaslError

_NONCE_OCTETS = 24
#: Above this a hostile server could keep a processor busy for many seconds.
MAX_ITERATIONS = 10_000_000
#: About 5 ms of work: more is done in a thread.
_QUICK_ITERATIONS = 10_000
_CACHE_SIZE = 200


class SaltedPasswords:
    """The expensive step of exchanges, remembered: a server gives an account the same salt each time."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bytes, bytes, int], bytes] = {}

    def knows(self, key: tuple[str, bytes, bytes, int]) -> bool:
        """No work is left."""
        return key in self._known

    def get(self, key: tuple[str, bytes, bytes, int]) -> bytes:
        """Hi() of RFC 5802 §2.2.

        Args:
            key: name of the hash, password, salt, number of iterations.
        """
        salted = self._known.get(key)
        if salted is None:
            salted = hashlib.pbkdf2_hmac(*key)
            if len(self._known) >= _CACHE_SIZE:
                self._known.clear()
            self._known[key] = salted
        return salted


class Scram(Exchange):
    """One exchange.

    Args:
        name: with ``-PLUS`` the identity needs a channel binding.
        cache: of the process.
    """

    def __init__(self, name: str, identity: Identity, cache: SaltedPasswords | None = None) -> None:
        super().__init__(name, identity)
        self._hash = name.removeprefix("SCRAM-").removesuffix("-PLUS").replace("-", "").lower()
        self._cache = SaltedPasswords() if cache is None else cache
        flag = b"n"
        self._binding = b""
        if name.endswith("-PLUS"):
            assert identity.binding is not None
            flag = b"p=" + identity.binding.kind.encode("ascii")
            self._binding = identity.binding.data
        user = _escaped(identity.user_octets)
        self._header = flag + b"," + (b"a=" + user if identity.authorize else b"") + b","
        self._nonce = base64.b64encode(secrets.token_bytes(_NONCE_OCTETS))
        self._first = b"n=" + user + b",r=" + self._nonce
        self._server_signature = b""

    def initial(self) -> bytes:
        """client-first-message."""
        return self._header + self._first

    def waits(self, challenge: bytes | None) -> bool:
        """A high iteration count, not met before."""
        if challenge is None or self._server_signature:
            return False
        try:
            _, salt, iterations = self._server_first(challenge)
        except SaslError:
            return False
        return iterations > _QUICK_ITERATIONS and not self._cache.knows(self._key(salt, iterations))

    def answer(self, challenge: bytes) -> bytes:
        """client-final-message, then nothing but the check of what the server knows."""
        if self._server_signature:
            self._verify(challenge)
            self.finished = True
            return b""
        nonce, salt, iterations = self._server_first(challenge)
        if not nonce.startswith(self._nonce):
            raise failure(
                "The nonce received from the server doesn't start from the nonce sent by the client", BAD_PROTOCOL
            )
        salted = self._cache.get(self._key(salt, iterations))
        final = b"c=" + base64.b64encode(self._header + self._binding) + b",r=" + nonce
        message = b",".join((self._first, challenge, final))
        client_key = self._keyed(salted, b"Client Key")
        signature = self._keyed(hashlib.new(self._hash, client_key).digest(), message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._server_signature = self._keyed(self._keyed(salted, b"Server Key"), message)
        return final + b",p=" + base64.b64encode(proof)

    def _key(self, salt: bytes, iterations: int) -> tuple[str, bytes, bytes, int]:
        return (self._hash, self._identity.password_octets, salt, iterations)

    def _keyed(self, key: bytes, text: bytes) -> bytes:
        return hmac.digest(key, text, self._hash)

    def _server_first(self, challenge: bytes) -> tuple[bytes, bytes, int]:
        """Nonce, salt, iteration count; extensions that need not be understood may follow."""
        fields = challenge.split(b",")
        if len(fields) < 3 or [field[:2] for field in fields[:3]] != [b"r=", b"s=", b"i="]:
            raise SaslError(BAD_PROTOCOL)
        nonce, salt_text, count = (field[2:] for field in fields[:3])
        if not count.isdigit() or len(count) > 9 or not 0 < int(count) <= MAX_ITERATIONS:
            raise SaslError(BAD_PROTOCOL)
        return nonce, _decoded(salt_text), int(count)

    def _verify(self, challenge: bytes) -> None:
        """server-final-message."""
        if not challenge.startswith(b"v="):
            raise SaslError(BAD_PROTOCOL)
        signature = _decoded(challenge[2:].partition(b",")[0])
        if not hmac.compare_digest(signature, self._server_signature):
            raise failure("ServerSignature mismatch", AUTHENTICATION_FAILURE)


def _escaped(name: bytes) -> bytes:
    return name.replace(b"=", b"=3D").replace(b",", b"=2C")


def _decoded(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        raise SaslError(BAD_PROTOCOL) from None
