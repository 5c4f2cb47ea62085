"""Protocols, ciphers, options, loglevels, fingerprints as texts (TLS chapter 5.2, 5.3, 5.5, 5.7, 2.6)."""

from typing import Any

import pytest
from tls_vectors import PKI, RELEASES, by_version, load

from postfix_smtp.tls.ciphers import base_lists, cipher_list
from postfix_smtp.tls.loglevel import parse_loglevel
from postfix_smtp.tls.options import option_bits
from postfix_smtp.tls.protocols import parse_protocols
from postfix_smtp.tls.records import parse_fingerprint

VECTORS = load("ciphers")
FINGERPRINTS = load("fingerprints")


@pytest.mark.parametrize(("case", "version", "expect"), by_version(VECTORS["protocols"]))
def test_protocol_lists(case: Any, version: tuple[int, ...], expect: Any) -> None:
    protocols = parse_protocols(case["list"])
    assert (protocols is not None) == expect["valid"]
    if protocols is not None:
        assert (protocols.excluded, protocols.lowest, protocols.highest) == (
            expect["exclude"],
            expect["min"],
            expect["max"],
        )
        assert protocols.options == int(expect["op_mask"], 16)


OLD = {
    "high": "aNULL:-aNULL:HIGH:@STRENGTH",
    "medium": "aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH",
    "low": "aNULL:-aNULL:HIGH:MEDIUM:LOW:+RC4:@STRENGTH",
    "export": "aNULL:-aNULL:HIGH:MEDIUM:LOW:EXPORT:+RC4:@STRENGTH",
    "null": "eNULL:!aNULL",
}
_WEAK = "!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5"
NEW = {
    "high": f"aNULL:-aNULL:HIGH:{_WEAK}:@STRENGTH",
    "medium": f"aNULL:-aNULL:HIGH:MEDIUM:{_WEAK}:+RC4:@STRENGTH",
    "low": "",
    "export": "",
    "null": "eNULL:!kDH:!kECDH:!aDSS:!MD5:!aNULL",
}


@pytest.mark.parametrize(("case", "version", "expect"), by_version(VECTORS["ciphers"]))
def test_cipher_lists(case: Any, version: tuple[int, ...], expect: Any, logged: list[str]) -> None:
    lists = base_lists(OLD if version < (3, 8) else NEW, version)
    made = cipher_list(lists, case["grade"], case["exclusions"], "mx.example.com[192.0.2.1]:25")
    if "list" in expect:
        assert made == expect["list"]
        assert not logged
    elif made is None:
        assert logged == expect["warnings"]


@pytest.mark.parametrize(("case", "version", "expect"), by_version(VECTORS["options"]))
def test_option_bits(case: Any, version: tuple[int, ...], expect: Any, logged: list[str]) -> None:
    bits = option_bits(case["tls_disable_workarounds"], case["tls_ssl_options"], version)
    assert bits == int(expect["bits"], 16)
    assert logged == expect["warnings"]


@pytest.mark.parametrize("case", VECTORS["loglevels"], ids=lambda case: case["id"])
def test_loglevels(case: Any, logged: list[str]) -> None:
    features = parse_loglevel("smtp_tls_loglevel", case["value"])
    assert sorted(feature.name.lower().replace("_", "-") for feature in features) == case["features"]
    assert logged == case["warnings"]


@pytest.mark.parametrize("case", FINGERPRINTS["parse"], ids=lambda case: case["id"])
def test_fingerprint_texts(case: Any, logged: list[str]) -> None:
    digest = parse_fingerprint(case["input"])
    assert (None if digest is None else digest.hex().upper()) == case["hex"]
    assert logged == case["warnings"]


@pytest.mark.parametrize("case", FINGERPRINTS["digests"], ids=lambda case: case["id"])
def test_fingerprints_of_certificates(case: Any) -> None:
    import ssl

    from postfix_smtp.tls.certificate import Certificate, fingerprint

    certificate = Certificate(ssl.PEM_cert_to_DER_cert((PKI / case["cert"]).read_text()))
    for digest, expect in case["digests"].items():
        assert fingerprint(certificate.encoding, digest) == expect["cert"]
        assert fingerprint(certificate.public_key, digest) == expect["pkey"]


def test_releases_cover_the_vectors() -> None:
    assert set(RELEASES) >= {"3.7", "3.10", "3.11"}
