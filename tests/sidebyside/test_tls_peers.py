"""TLS with servers that others have written: ``openssl s_server``."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from compat import openssl_server
from compat.openssl_server import OpensslServer
from compat.world import World
from postfix_smtp.ipc.request import DeliveryReply

pytestmark = pytest.mark.sidebyside
PKI = Path(__file__).parents[1] / "vectors/tls/pki"
CERTIFICATE, KEY = PKI / "mx-ec.chain.pem", PKI / "leaf-ec.key.pem"
SETTINGS = {
    "smtp_tls_security_level": "secure",
    "smtp_tls_secure_cert_match": "mx.example.com",
    "smtp_tls_CAfile": str(PKI / "ca-bundle.pem"),
    "smtp_tls_loglevel": "1",
}


def deliver(server: OpensslServer, settings: dict[str, str], messages: int = 1) -> list[str]:
    """Deliver; the log."""
    with World(main_cf=SETTINGS | settings) as world:
        world.start()
        for _ in range(messages):
            delivery = world.message(["rcpt@dest.example"], nexthop=f"[127.0.0.1]:{server.port}")
            answer = world.deliver(delivery)
            assert answer.reply == DeliveryReply(True), world.log.texts
        assert b"hello" in server.lines
        return world.log.texts


@pytest.fixture(autouse=True)
def installed() -> None:
    assert openssl_server.available(), "openssl is not installed; see tests/sidebyside/packages.txt"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-tls1_3"], "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519"),
        (["-tls1_2"], "TLSv1.2 with cipher ECDHE-ECDSA-AES256-GCM-SHA384 (256/256 bits)"),
        (["-tls1_3", "-curves", "P-384"], "key-exchange ECDHE (secp384r1)"),
        (["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"], "TLS_CHACHA20_POLY1305_SHA256"),
        (["-tls1_3", "-num_tickets", "0"], "TLSv1.3"),
        (["-tls1_2", "-no_ticket"], "TLSv1.2"),
    ],
    ids=["1.3", "1.2", "hello-retry", "chacha", "no-tickets", "session-ids"],
)
def test_versions_and_groups(options: Sequence[str], expected: str) -> None:
    with OpensslServer(CERTIFICATE, KEY, options) as server:
        log = deliver(server, {})
    assert any(line.startswith("Verified TLS connection established") and expected in line for line in log)


def test_client_certificate() -> None:
    with OpensslServer(CERTIFICATE, KEY, ["-Verify", "5", "-CAfile", str(PKI / "ca-bundle.pem")]) as server:
        log = deliver(server, {"smtp_tls_chain_files": str(PKI / "client-chain-files.pem")})
    assert any("client-signature" in line for line in log)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_resumption(version: str) -> None:
    with OpensslServer(CERTIFICATE, KEY, [version]) as server:
        log = deliver(server, {"smtp_tls_loglevel": "1,cache"}, messages=3)
    assert any(line.endswith("Reusing old session") for line in log)


def test_wrapper_mode() -> None:
    with OpensslServer(CERTIFICATE, KEY, wrapper=True) as server:
        log = deliver(server, {"smtp_tls_wrappermode": "yes"})
    assert any(line.startswith("Verified") for line in log)
