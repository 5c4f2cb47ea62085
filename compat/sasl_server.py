"""The server side of SASL exchanges, for scripted servers: says the challenges and verifies the responses.

SCRAM is RFC 5802, DIGEST-MD5 RFC 2831, CRAM-MD5 RFC 2195. Salts and nonces are fixed, so that dialogues repeat.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Any

Send = Callable[[str], None]
Read = Callable[[], str]


class SaslError(Exception):
    """The client's response is wrong."""


def exchange(settings: Mapping[str, Any], command: str, send: Send, read: Read) -> None:
    """One exchange, from the AUTH line (`command`) to just before the final reply.

    Args:
        settings: ``mech``, ``user``, ``password`` and what the mechanism needs.
        send: one line; read: the next line, both without line end.

    Raises:
        SaslError: the client does not know the password, or the mechanism.
    """
    mechanism = str(settings["mech"])
    words = command.split(" ", 2)
    if words[0].upper() != "AUTH" or words[1].upper() != mechanism:
        raise SaslError(f"not AUTH {mechanism}: {command}")
    initial = base64.b64decode(words[2]) if len(words) > 2 and words[2] != "=" else None

    def challenge(text: bytes) -> bytes:
        send("334 " + base64.b64encode(text).decode("ascii"))
        return base64.b64decode(read())

    if mechanism.startswith("SCRAM-"):
        _scram(settings, mechanism.removeprefix("SCRAM-").replace("-", "").lower(), initial, challenge, send)
    elif mechanism == "CRAM-MD5":
        _cram(settings, challenge)
    elif mechanism == "DIGEST-MD5":
        _digest(settings, challenge)
    elif mechanism == "PLAIN":
        _plain(settings, initial if initial is not None else challenge(b""))
    elif mechanism == "LOGIN":
        user = initial if initial is not None else challenge(b"Username:")
        _same(user, str(settings["user"]).encode(), "user")
        _same(challenge(b"Password:"), str(settings["password"]).encode(), "password")
    else:
        raise SaslError(f"unknown mechanism {mechanism}")


def _same(found: bytes, wanted: bytes, what: str) -> None:
    if found != wanted:
        raise SaslError(f"{what} is {found!r}, not {wanted!r}")


def _plain(settings: Mapping[str, Any], response: bytes) -> None:
    _, user, password = response.split(b"\0")
    _same(user, str(settings["user"]).encode(), "user")
    _same(password, str(settings["password"]).encode(), "password")


def _cram(settings: Mapping[str, Any], challenge: Callable[[bytes], bytes]) -> None:
    text = str(settings.get("challenge") or "<1896.697170952@postoffice.example.net>").encode()
    digest = hmac.new(str(settings["password"]).encode(), text, hashlib.md5).hexdigest()
    _same(challenge(text), f"{settings['user']} {digest}".encode(), "response")


def _digest(settings: Mapping[str, Any], challenge: Callable[[bytes], bytes]) -> None:
    nonce = str(settings.get("nonce") or "OA6MG9tEQGm2hh")
    realm = settings.get("realm")
    start = f'realm="{realm}",' if realm else ""
    text = settings.get("challenge") or f'{start}nonce="{nonce}",qop="auth",charset=utf-8,algorithm=md5-sess'
    response = challenge(str(text).encode()).decode()
    fields = {
        match[1]: match[2] if match[2] is not None else match[3]
        for match in re.finditer(r'([a-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^,]*))', response)
    }
    if fields.get("nonce") != nonce:
        raise SaslError(f"nonce is {fields.get('nonce')!r}")

    def md5(octets: bytes) -> bytes:
        return hashlib.md5(octets).digest()

    user = f"{fields['username']}:{fields.get('realm', '')}:{settings['password']}".encode()
    a1 = md5(user) + f":{nonce}:{fields['cnonce']}".encode()
    if "authzid" in fields:
        a1 += f":{fields['authzid']}".encode()

    def answer(method: str) -> str:
        a2 = md5(f"{method}:{fields['digest-uri']}".encode()).hex()
        middle = f"{nonce}:{fields['nc']}:{fields['cnonce']}:{fields['qop']}"
        return md5(f"{md5(a1).hex()}:{middle}:{a2}".encode()).hex()

    _same(fields["response"].encode(), answer("AUTHENTICATE").encode(), "response")
    final = answer("") if not settings.get("bad") else "0" * 32
    if settings.get("final") != "success-data":
        _same(challenge(f"rspauth={final}".encode()), b"", "last response")


def _scram(
    settings: Mapping[str, Any],
    algorithm: str,
    initial: bytes | None,
    challenge: Callable[[bytes], bytes],
    send: Send,
) -> None:
    first = (initial if initial is not None else challenge(b"")).decode()
    header, bare = re.match(r"([^,]*,[^,]*,)(.*)", first).groups()  # type: ignore[union-attr]
    fields = dict(part.split("=", 1) for part in bare.split(","))
    nonce = fields["r"] + str(settings.get("nonce") or "srvNONCE")
    salt = settings.get("salt") or "saltSALTsalt"
    salt = salt if isinstance(salt, bytes) else str(salt).encode()
    iterations = int(settings.get("iterations") or 4096)
    server_first = f"r={nonce},s={base64.b64encode(salt).decode()},i={iterations}"
    last = challenge(server_first.encode()).decode()
    without_proof, _, proof = last.rpartition(",p=")
    last_fields = dict(part.split("=", 1) for part in without_proof.split(","))
    _same(last_fields["r"].encode(), nonce.encode(), "nonce")
    _same(base64.b64decode(last_fields["c"]), header.encode(), "channel binding")

    def keyed(key: bytes, text: bytes) -> bytes:
        return hmac.new(key, text, algorithm).digest()

    salted = hashlib.pbkdf2_hmac(algorithm, str(settings["password"]).encode(), salt, iterations)
    client_key = keyed(salted, b"Client Key")
    message = f"{bare},{server_first},{without_proof}".encode()
    signature = keyed(hashlib.new(algorithm, client_key).digest(), message)
    wanted = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    _same(base64.b64decode(proof), wanted, "proof")
    server_signature = keyed(keyed(salted, b"Server Key"), message)
    if settings.get("bad"):
        # The client gives up without a word
        send("334 " + base64.b64encode(b"v=" + base64.b64encode(bytes(len(server_signature)))).decode("ascii"))
        return
    if settings.get("final") != "success-data":
        _same(challenge(b"v=" + base64.b64encode(server_signature)), b"", "last response")
