"""Certificates for scripted servers and for clients under test."""

import datetime
import hashlib
import ipaddress
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

#: In the workers' own file system.
DIRECTORY = Path("/run/sidebyside/certificates")
_DONE = ".done"
_DAY = datetime.timedelta(days=1)
_VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class _Kind:
    """One certificate: issuer, common name, alternative names (``IP:`` for addresses), and what is odd about it."""

    issuer: str
    name: str
    alternatives: Sequence[str] = ()
    days: int = 3650
    starts_in: int = -30
    elliptic: bool = False
    authority: bool = False


_KINDS = {
    "ca": _Kind("ca", "Lab CA", authority=True),
    "ca2": _Kind("ca2", "Other CA", authority=True),
    "sub": _Kind("ca", "Lab Sub CA", authority=True),
    "old-sub": _Kind("ca", "Old Sub CA", authority=True, days=-1),
    "good": _Kind("ca", "mx1.dest.test", ("mx1.dest.test", "mx2.dest.test")),
    "wild": _Kind("ca", "*.dest.test", ("*.dest.test",)),
    "nexthop": _Kind("ca", "dest.test", ("dest.test",)),
    "cnonly": _Kind("ca", "mx1.dest.test"),
    "othername": _Kind("ca", "other.test", ("other.test",)),
    "self": _Kind("self", "mx1.dest.test", ("mx1.dest.test",)),
    "expired": _Kind("ca", "mx1.dest.test", ("mx1.dest.test",), days=-1),
    "future": _Kind("ca", "mx1.dest.test", ("mx1.dest.test",), starts_in=100),
    "unknownca": _Kind("ca2", "mx1.dest.test", ("mx1.dest.test",)),
    "chained": _Kind("sub", "mx1.dest.test", ("mx1.dest.test",)),
    "below-old": _Kind("old-sub", "mx1.dest.test", ("mx1.dest.test",)),
    "ec": _Kind("ca", "mx1.dest.test", ("mx1.dest.test",), elliptic=True),
    "client": _Kind("ca", "client.lab.test", ("client.lab.test",)),
    "client-ec": _Kind("ca", "client-ec.lab.test", ("client-ec.lab.test",), elliptic=True),
    "sni": _Kind("ca", "sni.dest.test", ("sni.dest.test",)),
    "ip": _Kind("ca", "192.0.2.1", ("IP:192.0.2.1",)),
    "nul": _Kind("ca", "mx1.dest.test\u00e9", ("mx1.dest.test",)),
}


@dataclass(frozen=True, slots=True)
class _Made:
    certificate: x509.Certificate
    key: Key

    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def public_key(self) -> bytes:
        return self.certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )


def _issue(title: str, kind: _Kind, made: dict[str, _Made]) -> _Made:
    key: Key
    key = ec.generate_private_key(ec.SECP256R1()) if kind.elliptic else rsa.generate_private_key(65537, 2048)
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, kind.name)])
    issuer = made.get(kind.issuer)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(int(hashlib.sha256(title.encode()).hexdigest()[:15], 16))
        .not_valid_before(now + kind.starts_in * _DAY)
        .not_valid_after(now + kind.days * _DAY)
        .add_extension(x509.BasicConstraints(ca=kind.authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if kind.alternatives:
        names: list[x509.GeneralName] = [
            x509.IPAddress(ipaddress.ip_address(name[3:])) if name.startswith("IP:") else x509.DNSName(name)
            for name in kind.alternatives
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return _Made(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def make(directory: Path = DIRECTORY) -> None:
    """Write all certificates, with keys and digests, unless they are there."""
    if (directory / _DONE).exists():
        return
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)
    made: dict[str, _Made] = {}
    for title, kind in _KINDS.items():
        one = made[title] = _issue(title, kind, made)
        chain = one.pem()
        if kind.issuer.endswith("sub"):
            chain += made[kind.issuer].pem()
        elif title == "wild":
            chain += made["ca"].pem()  # a chain that includes its root, for DANE-TA
        _put(directory / f"{title}.pem", chain)
        _put(directory / f"{title}.key", one.key_pem())
        _put(directory / f"{title}.both", chain + one.key_pem())
        digests = [
            _colons(hashlib.sha256(one.der())),
            _colons(hashlib.sha256(one.public_key())),
            _colons(hashlib.md5(one.der())),
            one.der().hex(),
            one.public_key().hex(),
        ]
        _put(directory / f"{title}.fp", "\n".join(digests).encode())
    _put(directory / "both-ca.pem", made["ca"].pem() + made["ca2"].pem())
    _put(directory / "garbage.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    _put(directory / _DONE, b"")


def _put(path: Path, octets: bytes) -> None:
    path.write_bytes(octets)
    path.chmod(0o644)


def _colons(digest: Any) -> str:
    text = digest.hexdigest().upper()
    return ":".join(text[at : at + 2] for at in range(0, len(text), 2))


def fingerprint(title: str, what: str = "cert") -> str:
    """A digest of a certificate.

    Args:
        what: ``cert`` or ``pkey`` (SHA-256 with colons), ``md5``, ``der`` or ``spki`` (hex of the whole).
    """
    if not (DIRECTORY / _DONE).exists():
        return ""  # scenarios are loaded in order to list them, too
    lines = (DIRECTORY / f"{title}.fp").read_text().split("\n")
    return lines[("cert", "pkey", "md5", "der", "spki").index(what)]


def tlsa_digest(title: str, selector: int, matching: int) -> str:
    """The data of a TLSA record (RFC 6698 section 2.1)."""
    octets = bytes.fromhex(fingerprint(title, "spki" if selector else "der"))
    match matching:
        case 1:
            return hashlib.sha256(octets).hexdigest()
        case 2:
            return hashlib.sha512(octets).hexdigest()
    return octets.hex()


def with_digests(text: str) -> str:
    """Digests in the places of their names: ``<<WHAT TITLE>>``.

    Args:
        text: WHAT is as for :func:`fingerprint`, or ``tlsa-SELECTOR-MATCHING``.
    """

    def digest(found: re.Match[str]) -> str:
        what, title = found.groups()
        if what.startswith("tlsa-"):
            return tlsa_digest(title, *map(int, what.split("-")[1:]))
        return fingerprint(title, what)

    return re.sub(r"<<([\w-]+) ([\w-]+)>>", digest, text)


def subject(der: bytes) -> str:
    """The subject of a certificate, for a transcript."""
    return x509.load_der_x509_certificate(der).subject.rfc4514_string()


def server_context(tls: dict[str, Any]) -> ssl.SSLContext:
    """A context for the ``tls`` keywords of a server."""
    context = _context(tls, tls.get("cert", "good"))
    if tls.get("sni"):
        others = {name: _context(tls, title) for name, title in tls["sni"].items()}

        def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
            if name in others:
                connection.context = others[name]

        context.sni_callback = choose
    return context


def _context(tls: dict[str, Any], title: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(DIRECTORY / f"{title}.pem", DIRECTORY / f"{title}.key")
    context.check_hostname = False
    if "min" in tls:
        context.minimum_version = _VERSIONS[tls["min"]]
    if "max" in tls:
        context.maximum_version = _VERSIONS[tls["max"]]
    if "ciphers" in tls:
        context.set_ciphers(tls["ciphers"])
    if not tls.get("tickets"):  # a client that closes with unread tickets resets, and that loses data
        context.num_tickets = 0
    if tls.get("no_tickets"):
        context.options |= ssl.OP_NO_TICKET
    if tls.get("ask_cert") or tls.get("need_cert"):
        context.load_verify_locations(DIRECTORY / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED if tls.get("need_cert") else ssl.CERT_OPTIONAL
    if tls.get("p256"):
        context.set_ecdh_curve("prime256v1")
    return context
