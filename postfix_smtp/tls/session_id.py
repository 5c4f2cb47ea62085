"""Names under which sessions are kept in tlsmgr(8) (TLS chapter 6.2).

The digest covers what a session depends on, so that a changed configuration does not find old sessions. It contains
the version of the TLS library, because the stored form of a session belongs to it.
"""

import base64
import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from postfix_smtp.text import to_octets
from postfix_smtp.tls.levels import Level
from postfix_smtp.tls.records import TlsaRecord, session_order
from postfix_smtp.tls.settings import has_feature

_LEVEL_SINCE = (3, 10, 3)
_EMPTY_FIELD = ((3, 7, 17), (3, 8, 12), (3, 9, 6), (3, 10, 5), (3, 11, 0))
_RAW_KEYS_SINCE = (3, 9)


@dataclass(frozen=True, slots=True)
class SessionProperties:
    """What the digest covers.

    Attributes:
        server_name: from the server's EHLO reply.
        library: version number of the TLS library.
        protocols: protocol list as configured.
        ciphers: cipher list as given to the library.
        must_fail: verification cannot succeed.
        records: of the policy; none at levels up to ``encrypt``.
        sni: name sent; empty at levels up to ``encrypt``.
    """

    server_name: str
    library: int
    protocols: str
    ciphers: str
    raw_keys: bool
    must_fail: bool
    records: Sequence[TlsaRecord]
    sni: str


def base_id(version: tuple[int, ...], service: str, nexthop: str, host: str, address: str, level: Level | int) -> str:
    """The readable part: whose session it is."""
    fields = [service, nexthop, host, address]
    if version >= _LEVEL_SINCE:
        fields.append(str(int(level)))
    if has_feature(version, *_EMPTY_FIELD):
        fields.append("")
    return "".join(_field(field) + "&" for field in fields)


def digest_input(version: tuple[int, ...], properties: SessionProperties) -> bytes:
    """The octets that the digest is computed over."""
    parts = [
        _string(properties.server_name),
        struct.pack("@l", properties.library),
        _string(properties.protocols),
        _string(properties.ciphers),
    ]
    if version >= _RAW_KEYS_SINCE:
        parts.append(struct.pack("@i", properties.raw_keys))
    parts.append(struct.pack("@i", properties.must_fail))
    records = session_order(properties.records)
    parts.append(struct.pack("@i", len(records)))
    for record in records:
        parts.append(struct.pack("@BBB", record.usage, record.selector, record.matching))
        parts.append(struct.pack("@H", len(record.data)) + record.data)
    parts.append(_string(properties.sni))
    return b"".join(parts)


def session_id(base: str, version: tuple[int, ...], properties: SessionProperties) -> str:
    """The whole name."""
    return f"{base}&{hashlib.sha256(digest_input(version, properties)).hexdigest().upper()}"


def _field(text: str) -> str:
    if "&" not in text:
        return text
    return base64.b64encode(to_octets(text)).decode("ascii")


def _string(text: str) -> bytes:
    return to_octets(text) + b"\0"
