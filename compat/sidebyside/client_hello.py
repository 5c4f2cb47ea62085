"""The parts of a TLS ClientHello that a configuration decides (RFC 8446 section 4.1.2)."""

import struct
from collections.abc import Mapping
from typing import Any

_HANDSHAKE = 22


def describe(octets: bytes, tls: Mapping[str, Any]) -> str:
    """One line for a transcript; ``show_ciphers`` in `tls` asks for cipher suites and groups as well."""
    try:
        return "hello " + " ".join(_parts(octets, tls))
    except (IndexError, struct.error):
        return "hello unreadable" if octets else "no hello"


def _parts(octets: bytes, tls: Mapping[str, Any]) -> list[str]:
    if octets[0] != _HANDSHAKE:
        return ["not TLS"]
    body = octets[9:]
    shown = {"sni": "none", "alpn": "none", "versions": body[:2].hex(), "psk": "no", "ticket": "no"}
    position = 34
    position += 1 + body[position]  # session id
    (length,) = struct.unpack_from("!H", body, position)
    suites = [body[position + 2 + at : position + 4 + at].hex() for at in range(0, length, 2)]
    position += 2 + length
    position += 1 + body[position]  # compression methods
    end = position + 2 + struct.unpack_from("!H", body, position)[0]
    position += 2
    groups = ""
    while position < end:
        kind, length = struct.unpack_from("!HH", body, position)
        data = body[position + 4 : position + 4 + length]
        position += 4 + length
        match kind:
            case 0:
                shown["sni"] = data[5:].decode(errors="replace")
            case 16:
                shown["alpn"] = data[2:].decode("latin1")
            case 43:
                shown["versions"] = "/".join(data[at : at + 2].hex() for at in range(1, len(data), 2))
            case 41:
                shown["psk"] = "yes"
            case 35:
                shown["ticket"] = "offered" if length else "empty"
            case 10:
                groups = data[2:].hex()
    parts = [f"{name}={value}" for name, value in shown.items()]
    if tls.get("show_ciphers"):
        parts += ["ciphers=" + ",".join(suites), f"groups={groups}"]
    return parts
