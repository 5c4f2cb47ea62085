"""What is read from a certificate: names, key, fingerprints (TLS chapter 4.3, 4.4)."""

import functools
import hashlib
import socket
from dataclasses import dataclass
from functools import cached_property

from postfix_smtp import log
from postfix_smtp.tls import der
from postfix_smtp.tls.der import DerError, Item

_COMMON_NAME = "2.5.4.3"
_ORGANIZATION = "2.5.4.10"
_ALT_NAME = "2.5.29.17"
_EXTENSIONS = 0xA3
_DNS_NAME = 0x82
_IP_ADDRESS = 0x87
_MAX_TEXT = 255
_MAX_ONELINE = 255

#: Short names of the library, for one-line names.
_SHORT = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "street",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.13": "description",
    "2.5.4.15": "businessCategory",
    "2.5.4.17": "postalCode",
    "2.5.4.42": "GN",
    "2.5.4.43": "initials",
    "2.5.4.46": "dnQualifier",
    "2.5.4.65": "pseudonym",
    "2.5.4.97": "organizationIdentifier",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
    "1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL",
    "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST",
    "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}
_UTF8, _NUMERIC, _PRINTABLE, _TELETEX, _IA5, _VISIBLE, _UNIVERSAL, _BMP = 12, 18, 19, 20, 22, 26, 28, 30
_CODECS = {
    _UTF8: "utf-8",
    _NUMERIC: "latin-1",
    _PRINTABLE: "latin-1",
    _TELETEX: "latin-1",
    _IA5: "latin-1",
    _VISIBLE: "latin-1",
    _UNIVERSAL: "utf-32-be",
    _BMP: "utf-16-be",
}
_CURVES = {
    "1.2.840.10045.3.1.1": "prime192v1",
    "1.2.840.10045.3.1.7": "prime256v1",
    "1.3.132.0.10": "secp256k1",
    "1.3.132.0.33": "secp224r1",
    "1.3.132.0.34": "secp384r1",
    "1.3.132.0.35": "secp521r1",
    "1.3.36.3.3.2.8.1.1.7": "brainpoolP256r1",
    "1.3.36.3.3.2.8.1.1.11": "brainpoolP384r1",
    "1.3.36.3.3.2.8.1.1.13": "brainpoolP512r1",
}
_RSA = ("1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10")
_EC = "1.2.840.10045.2.1"
_PLAIN_KEYS = {"1.3.101.112": "ED25519", "1.3.101.113": "ED448", "1.2.840.10040.4.1": "DSA"}


@dataclass(frozen=True, slots=True)
class Key:
    """A public key as the summary line describes it.

    Attributes:
        kind: ``RSA-PSS``, ``ECDSA``, ``ED25519``, ...
        bits: of an RSA key, else 0.
        curve: of an elliptic curve key, else empty.
    """

    kind: str
    bits: int = 0
    curve: str = ""


class Certificate:
    """A certificate in DER."""

    def __init__(self, encoding: bytes) -> None:
        """Read the outer structure. Raises DerError."""
        self.encoding = encoding
        fields = list(der.items(der.read(der.whole(encoding).content).content))
        if fields and fields[0].tag == 0xA0:
            del fields[0]
        if len(fields) < 6:
            raise DerError("no certificate")
        self._issuer = fields[2]
        self._subject = fields[4]
        self._key = fields[5]
        self._rest = fields[6:]

    @property
    def public_key(self) -> bytes:
        """SubjectPublicKeyInfo, DER."""
        return self._key.encoding

    @property
    def is_self_issued(self) -> bool:
        """Subject and issuer are the same name."""
        return self._issuer.encoding == self._subject.encoding

    @cached_property
    def key(self) -> Key:
        """What kind of key it has."""
        return _key(self.public_key)

    # Names

    @cached_property
    def dns_names(self) -> list[bytes]:
        """dNSName entries of subjectAltName, in order."""
        return [item.content for item in self._alternatives if item.tag == _DNS_NAME]

    @cached_property
    def addresses(self) -> list[bytes]:
        """iPAddress entries of subjectAltName, in network form."""
        return [item.content for item in self._alternatives if item.tag == _IP_ADDRESS]

    @cached_property
    def _alternatives(self) -> list[Item]:
        try:
            return self._read_alternatives()
        except DerError:
            return []

    def _read_alternatives(self) -> list[Item]:
        for outer in self._rest:
            if outer.tag != _EXTENSIONS:
                continue
            for extension in der.items(der.whole(outer.content).content):
                parts = list(der.items(extension.content))
                if parts and der.identifier(parts[0].content) == _ALT_NAME:
                    return list(der.items(der.whole(parts[-1].content).content))
        return []

    @cached_property
    def common_names(self) -> list[str]:
        """Common names of the subject as text; those that cannot be decoded are left out."""
        names = (_decode(value) for kind, value in _attributes(self._subject) if kind == _COMMON_NAME)
        return [name for name in names if name is not None]

    def subject_name(self, peer: str) -> str | None:
        """The first common name of the subject, as log lines show it; None if there is none or it is refused.

        Args:
            peer: folded name and address for warnings.
        """
        return _told(self._subject_text, peer)

    def issuer_name(self, peer: str) -> str | None:
        """The first common name of the issuer, else its organization."""
        for found in self._issuer_texts:
            text = _told(found, peer)
            if text is not None:
                return text
        return None

    @cached_property
    def _subject_text(self) -> tuple[str | None, str]:
        value = _first(self._subject, _COMMON_NAME)
        return (None, "") if value is None else _text(value, "subject CN")

    @cached_property
    def _issuer_texts(self) -> list[tuple[str | None, str]]:
        found = []
        for kind, label in ((_COMMON_NAME, "issuer CN"), (_ORGANIZATION, "issuer Organization")):
            value = _first(self._issuer, kind)
            if value is not None:
                found.append(_text(value, label))
                if found[-1][0] is not None:
                    break
        return found

    @cached_property
    def subject_line(self) -> str:
        """The subject as ``/O=Example/CN=mx``."""
        return _oneline(self._subject)

    @cached_property
    def issuer_line(self) -> str:
        """The issuer in the same form."""
        return _oneline(self._issuer)


@functools.lru_cache(maxsize=64)
def certificate(encoding: bytes) -> Certificate | None:
    """A certificate, read once; None if it is not one."""
    try:
        return Certificate(encoding)
    except DerError:
        return None


def fingerprint(octets: bytes, digest: str) -> str:
    """A digest as log lines show it: upper case with colons."""
    return hashlib.new(digest, octets).digest().hex(":").upper()


def signing_kind(scheme: int) -> str:
    """The :attr:`Key.kind` of keys that make signatures of a TLS signature scheme."""
    if scheme in (0x0807, 0x0808):
        return "ED25519" if scheme == 0x0807 else "ED448"
    return "ECDSA" if scheme & 0xFF == 3 else "RSA-PSS"


def bare_key(public_key: bytes) -> bytes:
    """The key bits of a SubjectPublicKeyInfo without their algorithm; nothing if it is malformed."""
    try:
        return list(der.items(der.whole(public_key).content))[1].content[1:]
    except (DerError, IndexError):
        return b""


def is_public_key(octets: bytes) -> bool:
    """Whether `octets` are one complete SubjectPublicKeyInfo."""
    try:
        parts = list(der.items(der.whole(octets).content))
        return len(parts) == 2 and parts[0].tag == der.SEQUENCE and parts[1].tag == der.BIT_STRING
    except DerError:
        return False


def load_codecs() -> None:
    """Load what names may be encoded in: behind a jail nothing can be loaded any more."""
    for codec in _CODECS.values():
        b"".decode(codec)


def network_address(text: str) -> bytes | None:
    """The network form of a numeric address; None if `text` is none."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_pton(family, text)
        except (OSError, ValueError):
            continue
    return None


def _key(public_key: bytes) -> Key:
    try:
        algorithm, bits = list(der.items(der.whole(public_key).content))[:2]
        parts = list(der.items(algorithm.content))
        kind = der.identifier(parts[0].content)
        if kind in _RSA:
            modulus = der.read(der.whole(bits.content[1:]).content)
            return Key("RSA-PSS", int.from_bytes(modulus.content).bit_length())
        if kind == _EC:
            curve = der.identifier(parts[1].content)
            return Key("ECDSA", curve=_CURVES.get(curve, curve))
    except (DerError, IndexError, ValueError):
        return Key("unknown")
    return Key(_PLAIN_KEYS.get(kind, kind))


def _attributes(name: Item) -> list[tuple[str, Item]]:
    found = []
    try:
        for relative in der.items(name.content):
            for attribute in der.items(relative.content):
                kind, value = list(der.items(attribute.content))[:2]
                found.append((der.identifier(kind.content), value))
    except (DerError, ValueError):
        pass
    return found


def _first(name: Item, wanted: str) -> Item | None:
    return next((value for kind, value in _attributes(name) if kind == wanted), None)


def _decode(value: Item) -> str | None:
    codec = _CODECS.get(value.tag)
    if codec is None:
        return None
    try:
        text = value.content.decode(codec)
        text.encode("utf-8")
    except UnicodeError:
        return None
    return text


def _text(value: Item, label: str) -> tuple[str | None, str]:
    """A name as log lines show it, or what to warn about."""
    text = _decode(value)
    if text is None:
        return None, f"error decoding peer {label} of ASN.1 type={value.tag}"
    text = text.rstrip("\0")
    size = len(text.encode())
    if size > _MAX_TEXT:
        return None, f"peer {label} too long: {size}"
    if "\0" in text:
        return None, f"NULL character in peer {label}"
    if any(char < " " or char == "\x7f" for char in text):
        return None, f"non-printable content in peer {label}"
    return text, ""


def _told(found: tuple[str | None, str], peer: str) -> str | None:
    text, problem = found
    if problem:
        log.warning(f"tls_text_name: {peer}: {problem}")
    return text


def _oneline(name: Item) -> str:
    line = ""
    for kind, value in _attributes(name):
        octets = value.content
        if value.tag == _UNIVERSAL and not len(octets) % 4:
            octets = _narrowed(octets, 4)
        elif value.tag == _BMP and not len(octets) % 2:
            octets = _narrowed(octets, 2)
        shown = "".join(chr(octet) if 0x20 <= octet <= 0x7E else f"\\x{octet:02X}" for octet in octets)
        part = f"/{_SHORT.get(kind, kind)}={shown}"
        if len(line) + len(part) > _MAX_ONELINE:
            break
        line += part
    return line


def _narrowed(octets: bytes, width: int) -> bytes:
    """Wide characters as octets if they all fit."""
    if any(octet for index, octet in enumerate(octets) if index % width != width - 1):
        return octets
    return octets[width - 1 :: width]
