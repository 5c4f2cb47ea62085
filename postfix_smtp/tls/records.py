"""TLSA records, and everything else that is treated like one: fingerprints, trust anchors (TLS chapter 2.6, 3.5)."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from postfix_smtp import log
from postfix_smtp.config.lists import split

TRUST_ANCHOR = 2
END_ENTITY = 3
CERTIFICATE = 0
PUBLIC_KEY = 1
WHOLE = 0
PRIVATE = 255  #: matching type of fingerprints: ``smtp_tls_fingerprint_digest``

_SHOWN = 64
_MAX_DIGEST = 64
_MAX_FINGERPRINT = 192
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{2}(?::?[0-9A-Fa-f]{2})*")
_STANDARD = {"sha256": 1, "sha512": 2}


def hexadecimal(data: bytes) -> str:
    """Data as log lines show it: upper case, the middle of long data left out."""
    if not data:
        return "..."
    text = data.hex().upper()
    if len(data) > _SHOWN:
        return f"{text[:_SHOWN]}...{text[-_SHOWN:]}"
    return text


@dataclass(frozen=True, slots=True)
class TlsaRecord:
    """One record (RFC 6698).

    Attributes:
        usage: 2 trust anchor, 3 the server itself.
        selector: 0 whole certificate, 1 public key.
        matching: 0 as is, 1 SHA-256, 2 SHA-512, others by configuration.
    """

    usage: int
    selector: int
    matching: int
    data: bytes

    def __str__(self) -> str:
        return f"{self.usage} {self.selector} {self.matching} {hexadecimal(self.data)}"

    @property
    def full_text(self) -> str:
        """With all of the data."""
        return f"{self.usage} {self.selector} {self.matching} {self.data.hex().upper()}"


def parse_fingerprint(text: str) -> bytes | None:
    """The digest that a text in hexadecimal stands for; None, with a warning, if it is malformed."""
    if len(text) > _MAX_FINGERPRINT:
        log.warning(f"malformed fingerprint value: {text[:100]}...")
        return None
    if _FINGERPRINT.fullmatch(text) is None:
        log.warning(f"malformed fingerprint value: {text}")
        return None
    return bytes.fromhex(text.replace(":", ""))


def fingerprint_records(digest: bytes) -> tuple[TlsaRecord, TlsaRecord]:
    """A digest of the certificate or of the public key, in the order of evaluation."""
    return TlsaRecord(END_ENTITY, PUBLIC_KEY, PRIVATE, digest), TlsaRecord(END_ENTITY, CERTIFICATE, PRIVATE, digest)


def is_digest(name: str) -> bool:
    """Whether a digest algorithm of this name is usable."""
    try:
        return hashlib.new(name).digest_size > 0
    except (ValueError, TypeError):
        return False


@dataclass(frozen=True, slots=True)
class Digests:
    """Digest algorithms of TLSA records, and of fingerprints.

    Attributes:
        names: algorithm by matching type.
        order: matching types, strongest first.
    """

    names: dict[int, str]
    order: tuple[int, ...]

    @classmethod
    def parse(cls, text: str, fingerprint: str) -> "Digests":
        """Understand ``tls_dane_digests``, with warnings about what is skipped.

        Args:
            fingerprint: algorithm of private matching type 255.
        """
        names: dict[int, str] = {}
        seen: set[int] = set()
        order: list[int] = []
        for element in split(text):
            parsed = _parse_digest(element)
            if parsed is None:
                continue
            name, number = parsed
            if number in seen:
                log.warning(f"tls_dane_digests: matching type {number} specified more than once")
                continue
            seen.add(number)
            if not name:
                continue
            if not is_digest(name):
                log.warning(f'tls_dane_digests: digest algorithm "{name}"({number}) unknown')
                continue
            names[number] = name
            order.append(number)
        names[PRIVATE] = fingerprint
        return cls(names, (*order, PRIVATE))

    def compute(self, matching: int, octets: bytes) -> bytes:
        """What a record of this matching type holds for `octets`."""
        return octets if matching == WHOLE else hashlib.new(self.names[matching], octets).digest()

    def is_usable(self, record: TlsaRecord) -> bool:
        """A record can be matched; whole certificates and keys are checked elsewhere."""
        if record.selector > PUBLIC_KEY:
            return False
        if record.matching == WHOLE:
            return True
        name = self.names.get(record.matching)
        return name is not None and len(record.data) == hashlib.new(name).digest_size

    def strongest(self, records: Iterable[TlsaRecord]) -> tuple[TlsaRecord, ...]:
        """Drop digest records that a stronger digest for the same usage and selector makes superfluous."""
        records = tuple(records)
        best: dict[tuple[int, int], int] = {}
        for record in records:
            if record.matching != WHOLE:
                key = record.usage, record.selector
                rank = self.order.index(record.matching)
                best[key] = min(best.get(key, rank), rank)
        return tuple(
            record
            for record in records
            if record.matching == WHOLE or self.order.index(record.matching) == best[record.usage, record.selector]
        )


def _parse_digest(element: str) -> tuple[str, int] | None:
    name, equals, digits = element.partition("=")
    if not equals:
        known = _STANDARD.get(name.lower())
        if known is None:
            log.warning(f"tls_dane_digests: digest algorithm {name} needs an explicit number")
            return None
        return name, known
    if not digits.isascii() or not digits.isdigit() or int(digits) >= PRIVATE:
        log.warning(f"Invalid matching type number in tls_dane_digests: {element}")
        return None
    number = int(digits)
    if number == WHOLE:
        log.warning(f"Reserved matching type number in tls_dane_digests: {element}")
        return None
    for standard, fixed in _STANDARD.items():
        if number == fixed and name and name.lower() != standard:
            log.warning(f"tls_dane_digests: matching type {number} can only be {standard}")
            return None
    return name, number


def session_order(records: Sequence[TlsaRecord]) -> list[TlsaRecord]:
    """The order in which session identifiers count records."""
    return sorted(records, key=lambda item: (item.usage, item.selector, item.matching, len(item.data), item.data))
