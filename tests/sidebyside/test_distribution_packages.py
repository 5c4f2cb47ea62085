"""With the packages of the distribution: there cryptography is linked with the system's OpenSSL."""

import subprocess
from pathlib import Path

import pytest

from compat.openssl_server import OpensslServer
from compat.world import World
from postfix_smtp.ipc.request import DeliveryReply

pytestmark = [pytest.mark.sidebyside, pytest.mark.usefixtures("postfix")]
PYTHON = "/usr/bin/python3"
PKI = Path(__file__).parents[1] / "vectors/tls/pki"
CERTIFICATE, KEY = PKI / "mx-ec.chain.pem", PKI / "leaf-ec.key.pem"
SETTINGS = {
    "smtp_tls_security_level": "secure",
    "smtp_tls_secure_cert_match": "mx.example.com",
    "smtp_tls_CAfile": str(PKI / "ca-bundle.pem"),
    "smtp_tls_loglevel": "1,cache",
}
OPENSSL_CNF = """\
openssl_conf = usual
mail = special
[usual]
ssl_conf = usual_ssl
[usual_ssl]
system_default = usual_tls
[usual_tls]
Ciphersuites = TLS_AES_128_GCM_SHA256
[special]
ssl_conf = special_ssl
[special_ssl]
system_default = special_tls
[special_tls]
Ciphersuites = TLS_CHACHA20_POLY1305_SHA256
"""


class SystemWorld(World):
    """With the system's interpreter."""

    def command(self, program: str = "smtp") -> list[str]:
        return [PYTHON, *super().command(program)[1:]]


@pytest.fixture(autouse=True)
def installed(postfix: None) -> None:
    done = subprocess.run(
        [PYTHON, "-c", "import daemon, dns, idna, OpenSSL, setproctitle"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stderr}; see tests/sidebyside/packages.txt"


def deliver(options: list[str], settings: dict[str, str], messages: int = 1) -> list[str]:
    """Deliver; the log."""
    with OpensslServer(CERTIFICATE, KEY, options) as server, SystemWorld(main_cf=SETTINGS | settings) as world:
        world.start()
        for _ in range(messages):
            delivery = world.message(["rcpt@dest.example"], nexthop=f"[127.0.0.1]:{server.port}")
            assert world.deliver(delivery).reply == DeliveryReply(True), world.log.texts
        assert server.lines.count(b"hello") == messages
        return world.log.texts


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (
            "-tls1_3",
            "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature ECDSA",
        ),
        ("-tls1_2", "TLSv1.2 with cipher ECDHE-ECDSA-AES256-GCM-SHA384 (256/256 bits)"),
    ],
)
def test_sessions_are_verified_and_resumed(option: str, expected: str) -> None:
    log = deliver([option], {}, messages=3)
    lines = [line for line in log if line.startswith("Verified TLS connection established")]
    assert len(lines) == 3
    assert expected in lines[0]
    assert sum(line.endswith("Reusing old session") for line in log) == 2


def test_groups_can_be_chosen() -> None:
    log = deliver(["-tls1_3"], {"tls_eecdh_auto_curves": "prime256v1 X25519"})
    assert any("key-exchange ECDHE (prime256v1)" in line for line in log)


@pytest.mark.parametrize(("name", "suite"), [("", "TLS_AES_128_GCM_SHA256"), ("mail", "TLS_CHACHA20_POLY1305_SHA256")])
def test_configuration_file_counts_although_the_interpreter_has_used_the_library(
    name: str, suite: str, tmp_path: Path
) -> None:
    file = tmp_path / "openssl.cnf"
    file.write_text(OPENSSL_CNF)
    log = deliver(["-tls1_3"], {"tls_config_file": str(file), "tls_config_name": name})
    assert any(f"TLSv1.3 with cipher {suite}" in line for line in log), log
