"""SCRAM-SHA-1, -224, -256, -384, -512 (RFC 5802, RFC 7677), with channel binding as -PLUS (SASL chapter 6).

Names and passwords are used as they are, without SASLprep, as Postfix's library does.
"""

import base64
import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

from postfix_smtp.sasl.exchange import (
    AUTHENTICATION_FAILURE,
    BAD_PROTOCOL,
    Exchange,
    Identity,
    failure,
)
from postfix_smtp.smtp.mechanism import SaslError, from_base64
from postfix_smtp.text import to_text

_NONCE_OCTETS = 24
#: The library's limit.
MAX_ITERATIONS = 65536
#: About 5 ms of work: more is done in a thread.
_QUICK_ITERATIONS = 10_000
_COUNT = re.compile(rb"[ \t]*([-+]?)([0-9]+)")
_COUNT_DIGITS = 9
_ITERATIONS = re.compile(rb",s=([^,]*),i=([0-9]{1,9})")
_CACHE_SIZE = 200


class _ServerFirst(NamedTuple):
    """server-first-message."""

    text: bytes
    nonce: bytes
    salt: bytes
    iterations: int


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
        self._title = name.removesuffix("-PLUS")
        self._cache = SaltedPasswords() if cache is None else cache
        self._flag = b"n"
        self._binding = b""
        if name.endswith("-PLUS"):
            assert identity.binding is not None
            self._flag = b"p=" + identity.binding.kind.encode("ascii")
            self._binding = identity.binding.data
        self._header = self._first = b""
        self._nonce = base64.b64encode(secrets.token_bytes(_NONCE_OCTETS))
        self._server_signature = b""

    def initial(self) -> bytes:
        """client-first-message."""
        user = _escaped(self._identity.user_octets)
        self._header = self._flag + b"," + (b"a=" + user if self._identity.authorize else b"") + b","
        self._first = b"n=" + user + b",r=" + self._nonce
        return self._header + self._first

    def waits(self, challenge: bytes | None) -> bool:
        """A high iteration count, not met before."""
        if challenge is None or self._server_signature:
            return False
        found = _ITERATIONS.search(challenge)
        if found is None or int(found[2]) <= _QUICK_ITERATIONS:
            return False
        salt = _decoded(found[1])
        return salt is not None and not self._cache.knows(self._key(salt, int(found[2])))

    def _key(self, salt: bytes, iterations: int) -> tuple[str, bytes, bytes, int]:
        return self._hash, self._identity.password_octets, salt, iterations

    def answer(self, challenge: bytes) -> bytes:
        """client-final-message, then nothing but the check of what the server knows."""
        if self._server_signature:
            self._verify(challenge)
            self.finished = True
            return b""
        server = self._server_first(challenge)
        salted = self._cache.get(self._key(server.salt, server.iterations))
        final = b"c=" + base64.b64encode(self._header + self._binding) + b",r=" + server.nonce
        message = b",".join((self._first, challenge, final))
        client_key = self._keyed(salted, b"Client Key")
        signature = self._keyed(hashlib.new(self._hash, client_key).digest(), message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._server_signature = self._keyed(self._keyed(salted, b"Server Key"), message)
        return final + b",p=" + base64.b64encode(proof)

    def _keyed(self, key: bytes, text: bytes) -> bytes:
        return hmac.digest(key, text, self._hash)

    def _server_first(self, challenge: bytes) -> _ServerFirst:
        """Take the message apart; extensions that need not be understood may follow.

        The order of these checks, and of those on the result, decides which warning is logged.
        """
        fields = challenge.split(b",")
        if not challenge:
            raise failure(f"{self._title} input expected", BAD_PROTOCOL)
        if challenge[1:2] != b"=":
            raise failure(f"Invalid {self._title} input", BAD_PROTOCOL)
        if fields[0].startswith(b"m="):
            raise failure(f"Unsupported mandatory extension to {self._title}", BAD_PROTOCOL)
        if not fields[0].startswith(b"r="):
            raise failure(f"Nonce (r=) expected in {self._title} input", BAD_PROTOCOL)
        if len(fields) < 2 or not fields[1].startswith(b"s="):
            raise failure(f"Salt expected after the nonce in {self._title} input", BAD_PROTOCOL)
        if len(fields) < 3 or not fields[2].startswith(b"i="):
            raise failure(f"iteration-count expected after the salt in {self._title} input", BAD_PROTOCOL)
        count = _COUNT.fullmatch(fields[2], 2)
        if count is None:
            raise failure(f"Invalid iteration-count in {self._title} input", BAD_PROTOCOL)
        if count[1] == b"-" or len(count[2]) > _COUNT_DIGITS or int(count[2]) > MAX_ITERATIONS:
            raise failure("iteration-count is too big, refusing to compute", BAD_PROTOCOL)
        nonce = fields[0][2:]
        if not nonce.startswith(self._nonce):
            raise failure(
                "The nonce received from the server doesn't start from the nonce sent by the client", BAD_PROTOCOL
            )
        salt = _decoded(fields[1][2:])
        if salt is None:
            raise failure(f"Invalid base64 encoding of the salt in {self._title} input", BAD_PROTOCOL)
        if not salt:
            raise failure("The salt can't be empty", BAD_PROTOCOL)
        # 0 is taken for 1: there is no less work than one round
        return _ServerFirst(challenge, nonce, salt, max(int(count[2]), 1))

    def _verify(self, challenge: bytes) -> None:
        """server-final-message."""
        if not challenge:
            raise failure(f"Invalid {self._title} input expected", BAD_PROTOCOL)
        if not challenge.startswith(b"v="):
            raise failure(f"ServerSignature expected in {self._title} input", BAD_PROTOCOL)
        signature = _decoded(challenge[2:])
        if signature is None or len(signature) > len(self._server_signature):
            raise failure(f"Invalid base64 encoding of the server proof in {self._title} input", BAD_PROTOCOL)
        if len(signature) < len(self._server_signature):
            raise failure(f"Invalid server proof (truncated) in {self._title} input", BAD_PROTOCOL)
        if not hmac.compare_digest(signature, self._server_signature):
            raise failure("ServerSignature mismatch", AUTHENTICATION_FAILURE)


def _escaped(name: bytes) -> bytes:
    return name.replace(b"=", b"=3D").replace(b",", b"=2C")


def _decoded(text: bytes) -> bytes | None:
    try:
        return from_base64(to_text(text))
    except SaslError:
        return None
