"""The line that tells how a TLS session came out (TLS chapter 5.8)."""

from dataclasses import dataclass

from postfix_smtp.tls.certificate import Key
from postfix_smtp.tls.settings import has_feature

_GROUP_NAMES_SINCE = (3, 10)
_NO_OLD_SIGNATURE = ((3, 7, 13), (3, 8, 8), (3, 9, 2))
_OLD_NAMES = {"x25519": "X25519", "x448": "X448"}
_OLD_CURVES = {"secp256r1": "prime256v1", "secp192r1": "prime192v1"}
_DIGESTS = {
    **dict.fromkeys((0x0403, 0x0804, 0x0809), "SHA256"),
    **dict.fromkeys((0x0503, 0x0805, 0x080A), "SHA384"),
    **dict.fromkeys((0x0603, 0x0806, 0x080B), "SHA512"),
}
TLS13 = "TLSv1.3"


@dataclass(frozen=True, slots=True)
class Connection:
    """What is known of an established session.

    Attributes:
        group: the library's name of the key exchange group, empty if unknown.
        server, client: keys that signed; None without certificate or without own signature.
        server_scheme, client_scheme: TLS signature schemes, 0 if unknown.
    """

    protocol: str
    cipher: str
    used_bits: int
    algorithm_bits: int
    resumed: bool = False
    group: str = ""
    server: Key | None = None
    server_scheme: int = 0
    client: Key | None = None
    client_scheme: int = 0
    raw_server_key: bool = False
    raw_client_key: bool = False


def line(status: str, usage: str, peer: str, session: Connection, version: tuple[int, ...]) -> str:
    """The line.

    Args:
        status: ``Verified``, ``Trusted``...
        usage: ``established`` or ``reused``.
        peer: name and address.
    """
    text = (
        f"{status} TLS connection {usage} to {peer.lower()}: {session.protocol} with cipher {session.cipher} "
        f"({session.used_bits}/{session.algorithm_bits} bits)"
    )
    if session.protocol != TLS13:
        return text
    group = session.group if version >= _GROUP_NAMES_SINCE else _old_group(session.group)
    if group:
        text += f" key-exchange {group}"
    if session.resumed:
        if session.server is not None and not has_feature(version, *_NO_OLD_SIGNATURE):
            text += f" server-signature {_signature(session.server, raw=session.raw_server_key)}"
        return text
    text += _part("server", session.server, session.server_scheme, raw=session.raw_server_key)
    if session.client_scheme:
        text += _part("client", session.client, session.client_scheme, raw=session.raw_client_key)
    return text


def _part(side: str, key: Key | None, scheme: int, *, raw: bool) -> str:
    if key is None:
        return ""
    text = f" {side}-signature {_signature(key, raw=raw)}"
    digest = _DIGESTS.get(scheme)
    return f"{text} {side}-digest {digest}" if digest else text


def _signature(key: Key, *, raw: bool) -> str:
    if key.bits:
        return f"{key.kind} ({key.bits} bit raw public key)" if raw else f"{key.kind} ({key.bits} bits)"
    if key.curve:
        return f"{key.kind} ({key.curve} raw public key)" if raw else f"{key.kind} ({key.curve})"
    return f"{key.kind} (raw public key)" if raw else key.kind


def _old_group(group: str) -> str:
    if group in _OLD_NAMES:
        return _OLD_NAMES[group]
    if group.startswith("ffdhe"):
        return f"DHE ({group.removeprefix('ffdhe')} bits)"
    if group.startswith("secp"):
        return f"ECDHE ({_OLD_CURVES.get(group, group)})"
    if group.startswith("brainpool"):
        return f"ECDHE ({group.removesuffix('tls13')})"
    return ""
