"""Reading certificates, good and hostile ones (TLS chapter 4.3, 4.4)."""

import ssl
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tls_vectors import PKI

from postfix_smtp.tls import messages
from postfix_smtp.tls.certificate import Certificate, bare_key, fingerprint, network_address, signing_kind
from postfix_smtp.tls.der import DerError
from postfix_smtp.tls.names import accepts, references
from postfix_smtp.tls.signatures import is_signed_by

CERTIFICATES = sorted(PKI.glob("*.cert.pem"))


def der(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def look_at_everything(certificate: Certificate) -> None:
    assert certificate.public_key
    assert certificate.key is not None
    assert certificate.dns_names is not None
    assert certificate.addresses is not None
    assert certificate.common_names is not None
    certificate.subject_name("peer")
    certificate.issuer_name("peer")
    assert certificate.subject_line is not None
    assert certificate.issuer_line is not None
    bare_key(certificate.public_key)
    fingerprint(certificate.encoding, "sha256")


@pytest.mark.parametrize("path", CERTIFICATES, ids=lambda path: path.name)
def test_every_certificate_can_be_looked_at(path: Path) -> None:
    look_at_everything(Certificate(der(path)))


@given(
    path=st.sampled_from(CERTIFICATES),
    changes=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.integers(0, 1000),
)
@settings(max_examples=300, deadline=None)
def test_hostile_certificates_do_no_harm(path: Path, changes: list[tuple[int, int]], cut: int) -> None:
    encoding = bytearray(der(path))
    for position, octet in changes:
        encoding[position % len(encoding)] = octet
    if cut < 100:
        del encoding[len(encoding) - cut :]
    try:
        certificate = Certificate(bytes(encoding))
    except DerError:
        return
    look_at_everything(certificate)
    is_signed_by(certificate.encoding, certificate.public_key)


@given(message=st.binary(max_size=80), tls13=st.booleans())
@settings(max_examples=300, deadline=None)
def test_hostile_messages_do_no_harm(message: bytes, tls13: bool) -> None:
    messages.certificates(message, tls13=tls13)
    messages.key_share_group(message)
    messages.signature_scheme(message)


def test_issuer_signs_and_others_do_not() -> None:
    leaf, issuer, root = (der(PKI / f"{name}.cert.pem") for name in ("mx-ec", "inter-ec", "root-ec"))
    assert is_signed_by(leaf, Certificate(issuer).public_key)
    assert not is_signed_by(leaf, Certificate(root).public_key)
    assert is_signed_by(der(PKI / "mx-rsa.cert.pem"), Certificate(der(PKI / "inter-rsa.cert.pem")).public_key)


@pytest.mark.parametrize(
    ("reference", "presented", "accepted"),
    [
        (b"mx.example.com", b"MX.example.COM", True),
        (b"mx.example.com", b"*.example.com", True),
        (b"a.mx.example.com", b"*.example.com", False),
        (b"example.com", b"*.example.com", False),
        (b"mx.com", b"*.com", False),
        (b".example.com", b"mx.example.com", True),
        (b".example.com", b"example.com", False),
        (b".example.com", b"*.example.com", True),
        (b"mx_1.example.com", b"*.example.com", False),
        (b"mx.example.com", b"mx.example.com\0.evil.example", False),
        (b".", b".", True),
    ],
)
def test_names(reference: bytes, presented: bytes, accepted: bool) -> None:
    assert accepts(reference, presented) == accepted


def test_second_address_is_dropped(logged: list[str]) -> None:
    found = references(["192.0.2.1", "hostname", "192.0.2.2"], "example.com", "mx.example.com", "hap")
    assert found.names == (b"mx.example.com",)
    assert found.address == network_address("192.0.2.1")
    assert logged == ['warning: hap: error loading match name: "192.0.2.2"']


def test_nothing_to_match_is_no_reference(logged: list[str]) -> None:
    assert not references(["."], "example.com", "mx.example.com", "hap")
    assert logged == [
        'warning: hap: ignoring invalid match name: "."',
        "warning: hap: could not configure peer name checks",
    ]


def test_kinds_of_signatures() -> None:
    assert [signing_kind(scheme) for scheme in (0x0403, 0x0804, 0x0807, 0x0601)] == [
        "ECDSA",
        "RSA-PSS",
        "ED25519",
        "RSA-PSS",
    ]
