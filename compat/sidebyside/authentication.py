"""The server's side of SASL, with fixed challenges so that transcripts can be compared.

Each mechanism is a generator: it yields challenges, is sent the client's answers, and returns whether the password is
right. ``None`` as an answer means that the client gave up.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Generator, Mapping
from typing import Any

Users = Mapping[str, str]
Exchange = Generator[bytes, bytes | None, bool]
_CRAM_CHALLENGE = b"<1896.697170952@mx.test>"
_DIGEST_CHALLENGE = b'realm="mx.test",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess,charset=utf-8'
_SCRAM_HASHES = {f"SCRAM-SHA-{size}": f"sha{size}" for size in (1, 224, 256, 384, 512)}
_SALT = b"lab salt 16 byte"


def exchange(mechanism: str, initial: str | None, users: Users, spoiled: Mapping[str, Any]) -> Exchange | None:
    """Begin.

    Args:
        initial: the initial response, in base64.
        users: passwords.
        spoiled: what the server gets wrong: ``nonce``, ``signature``, ``rounds``, ``challenge`` (SCRAM; in the last
            ``NONCE`` stands for the nonce); ``digest``, ``digest_final`` (DIGEST-MD5).

    Returns:
        None for a mechanism that is not known.
    """
    first = base64.b64decode(initial) if initial else None
    if mechanism in _SCRAM_HASHES:
        return _scram(_SCRAM_HASHES[mechanism], first, users, spoiled)
    if mechanism == "DIGEST-MD5":
        return _digest_md5(users, spoiled)
    begin = _MECHANISMS.get(mechanism)
    return begin(first, users) if begin else None


def _plain(first: bytes | None, users: Users) -> Exchange:
    token = first or (yield b"")
    if token is None:
        return False
    parts = token.split(b"\0")
    return len(parts) == 3 and users.get(parts[1].decode()) == parts[2].decode()


def _login(first: bytes | None, users: Users) -> Exchange:
    user = first or (yield b"Username:")
    password = (yield b"Password:") if user is not None else None
    return user is not None and password is not None and users.get(user.decode()) == password.decode()


def _cram_md5(first: bytes | None, users: Users) -> Exchange:
    token = yield _CRAM_CHALLENGE
    if token is None:
        return False
    user, _, digest = token.decode().rpartition(" ")
    return digest == hmac.new(users.get(user, "?").encode(), _CRAM_CHALLENGE, hashlib.md5).hexdigest()


def _digest_md5(users: Users, spoiled: Mapping[str, Any]) -> Exchange:
    token = yield spoiled.get("digest", _DIGEST_CHALLENGE.decode()).encode()
    if token is None:
        return False
    given = {name: value.strip('"') for name, value in re.findall(r'([a-z-]+)=("[^"]*"|[^,]*)', token.decode())}
    user, password = given.get("username", ""), users.get(given.get("username", ""), "?")
    secret = hashlib.md5(f"{user}:{given.get('realm', '')}:{password}".encode()).digest()
    key = hashlib.md5(secret + f":{given.get('nonce')}:{given.get('cnonce')}".encode()).hexdigest()

    def response(text: str) -> str:
        end = hashlib.md5(text.encode()).hexdigest()
        middle = f"{given.get('nonce')}:{given.get('nc')}:{given.get('cnonce')}:{given.get('qop')}"
        return hashlib.md5(f"{key}:{middle}:{end}".encode()).hexdigest()

    if given.get("response") != response(f"AUTHENTICATE:{given.get('digest-uri')}"):
        return False
    final = "rspauth=" + response(f":{given.get('digest-uri')}")
    return (yield spoiled.get("digest_final", final).encode()) is not None


def _scram(algorithm: str, first: bytes | None, users: Users, spoiled: Mapping[str, Any]) -> Exchange:
    """RFC 5802 without channel binding."""
    token = first or (yield b"")
    begun = re.fullmatch(r"[ny],[^,]*,(n=([^,]*),r=([^,]+))", token.decode()) if token else None
    if begun is None:
        return False
    nonce = begun[3] + "3rfcNHYJY1ZVvWVs7j"
    rounds = spoiled.get("rounds", 4096)
    salted = hashlib.pbkdf2_hmac(algorithm, users.get(begun[2], "?").encode(), _SALT, max(rounds, 1))
    challenge = f"r={spoiled.get('nonce', nonce)},s={base64.b64encode(_SALT).decode()},i={rounds}"
    if "challenge" in spoiled:
        challenge = spoiled["challenge"].replace("NONCE", nonce)

    def mac(key: bytes, text: str) -> bytes:
        return hmac.new(key, text.encode(), algorithm).digest()

    token = yield challenge.encode()
    if token is None:
        return False
    without, _, proof = token.decode().rpartition(",p=")
    signed = f"{begun[1]},{challenge},{without}"
    key = mac(salted, "Client Key")
    mask = mac(hashlib.new(algorithm, key).digest(), signed)
    wanted = base64.b64encode(bytes(a ^ b for a, b in zip(key, mask, strict=True))).decode()
    if proof != wanted or without != f"c=biws,r={nonce}":
        return False
    final = "v=" + base64.b64encode(mac(mac(salted, "Server Key"), signed)).decode()
    return (yield spoiled.get("signature", final).encode()) is not None


_MECHANISMS: dict[str, Callable[[bytes | None, Users], Exchange]] = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "CRAM-MD5": _cram_md5,
}
