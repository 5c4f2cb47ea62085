"""What is read from handshake messages in passing (RFC 8446, RFC 5246): certificates, groups, signature schemes."""

import struct

SERVER_HELLO = 2
NEW_SESSION_TICKET = 4
CERTIFICATE = 11
CERTIFICATE_VERIFY = 15
_KEY_SHARE = 51
_HELLO_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")

#: The library's names by number (IANA, TLS Supported Groups).
GROUPS = {
    19: "secp192r1",
    21: "secp224r1",
    23: "secp256r1",
    24: "secp384r1",
    25: "secp521r1",
    26: "brainpoolP256r1",
    27: "brainpoolP384r1",
    28: "brainpoolP512r1",
    29: "x25519",
    30: "x448",
    31: "brainpoolP256r1tls13",
    32: "brainpoolP384r1tls13",
    33: "brainpoolP512r1tls13",
    256: "ffdhe2048",
    257: "ffdhe3072",
    258: "ffdhe4096",
    259: "ffdhe6144",
    260: "ffdhe8192",
    512: "MLKEM512",
    513: "MLKEM768",
    514: "MLKEM1024",
    4587: "SecP256r1MLKEM768",
    4588: "X25519MLKEM768",
    4589: "SecP384r1MLKEM1024",
}


def certificates(message: bytes, *, tls13: bool) -> list[bytes]:
    """The certificates in a Certificate message, DER; what is malformed is left out."""
    position = 4
    if tls13:
        position += 1 + int.from_bytes(message[position : position + 1])
    end = position + 3 + int.from_bytes(message[position : position + 3])
    position += 3
    found = []
    while position + 3 <= min(end, len(message)):
        size = int.from_bytes(message[position : position + 3])
        position += 3
        found.append(message[position : position + size])
        position += size
        if tls13:
            position += 2 + int.from_bytes(message[position : position + 2])
    return [item for item in found if item]


def key_share_group(message: bytes) -> str:
    """The group that a ServerHello chose; empty if it did not choose one (yet)."""
    try:
        if message[6:38] == _HELLO_RETRY:
            return ""
        position = 39 + message[38] + 3
        (size,) = struct.unpack_from(">H", message, position)
        position += 2
        end = position + size
        while position + 4 <= end:
            kind, length = struct.unpack_from(">HH", message, position)
            position += 4
            if kind == _KEY_SHARE:
                (group,) = struct.unpack_from(">H", message, position)
                return GROUPS.get(group, f"unknown group {group}")
            position += length
    except (IndexError, struct.error):
        return ""
    return ""


def signature_scheme(message: bytes) -> int:
    """The scheme of a CertificateVerify message."""
    return int.from_bytes(message[4:6])
