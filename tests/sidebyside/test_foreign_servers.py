"""TLS with mail servers of other makes: Exim (GnuTLS), Sendmail, OpenSMTPD."""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from compat.debian_packages import Unavailable
from compat.dns_server import DnsServer
from compat.foreign_servers import Exim, ForeignServer, OpenSmtpd, Sendmail
from compat.world import World
from postfix_smtp.ipc.request import DeliveryReply

pytestmark = [pytest.mark.sidebyside, pytest.mark.usefixtures("postfix")]
PKI = Path(__file__).parents[1] / "vectors/tls/pki"
CERTIFICATE, KEY, AUTHORITIES = PKI / "mx-ec.chain.pem", PKI / "leaf-ec.key.pem", PKI / "ca-bundle.pem"
HEADER = b"From: a@sender.example\nTo: b@dest.example\nSubject: test\n\n"
CACHED = 3 | 2048 | 4096  # a connection may be taken from those that are kept, and kept afterwards
LINE = "TLS connection established to mx.example.com[127.0.0.1]:"
S = TypeVar("S", bound=ForeignServer)


@dataclass
class Sent:
    """How deliveries went."""

    replies: list[DeliveryReply | None] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    @property
    def all_delivered(self) -> bool:
        return all(reply == DeliveryReply(True) for reply in self.replies)

    def count(self, text: str) -> int:
        return sum(text in line for line in self.log)


def public_key_digest() -> str:
    found = x509.load_pem_x509_certificate(CERTIFICATE.read_bytes())
    encoding = found.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(encoding).hexdigest()


def deliver(server: ForeignServer, settings: dict[str, str], *bodies: bytes, flags: int = 3, age: float = 0.5) -> Sent:
    """Deliver messages one after the other to mx.example.com, whose address and TLSA record are in a signed zone."""
    records = ["mx.example.com A 127.0.0.1", f"_{server.port}._tcp.mx.example.com TLSA 3 1 1 {public_key_digest()}"]
    main_cf = {
        "smtp_tls_CAfile": str(AUTHORITIES),
        "smtp_tls_loglevel": "1",
        "smtp_tls_fingerprint_digest": "sha256",
        "smtp_dns_support_level": "dnssec",
        "smtp_host_lookup": "dns",
        **settings,
    }
    sent = Sent()
    with DnsServer(records, secure=["example.com"]) as names, ExitStack() as stack:
        resolver = server.directory / "resolv.conf"
        resolver.write_text("nameserver 127.0.0.1\noptions trust-ad\n")
        prepare = (
            "from postfix_smtp.routing.dns_client import DnsClient\n"
            f"DnsClient.__init__.__defaults__ = ({str(resolver)!r}, {names.address[1]})\n"
        )
        world = stack.enter_context(World(main_cf=main_cf, prepare=prepare))
        world.start()
        for body in bodies:
            message = world.message(
                ["user@dest.example"],
                HEADER + body,
                nexthop=f"[mx.example.com]:{server.port}",
                flags=flags,
                age=age,
            )
            sent.replies.append(world.deliver(message).reply)
        sent.log = world.log.texts
        assert world.problems == []
    return sent


def started(make: Callable[[], S]) -> Iterator[S]:
    try:
        server = make()
    except Unavailable as reason:
        pytest.fail(f"the Debian package of this server cannot be fetched: {reason}")
    with server:
        yield server


@pytest.fixture(params=[Exim, Sendmail])
def server(request: pytest.FixtureRequest) -> Iterator[ForeignServer]:
    version = request.node.callspec.params.get("version", "TLSv1.3")
    yield from started(lambda: request.param(CERTIFICATE, KEY, AUTHORITIES, tls13=version == "TLSv1.3"))


@pytest.fixture
def opensmtpd() -> Iterator[OpenSmtpd]:
    yield from started(lambda: OpenSmtpd(PKI / "mx-rsa.chain.pem", PKI / "leaf-rsa.key.pem", AUTHORITIES))


LEVELS = {
    "may": ({}, "Trusted"),
    "encrypt": ({}, "Trusted"),
    "verify": ({}, "Verified"),
    "secure": ({"smtp_tls_secure_cert_match": "mx.example.com"}, "Verified"),
    "fingerprint": ({"smtp_tls_fingerprint_cert_match": public_key_digest()}, "Verified"),
    "dane-only": ({"smtp_tls_CAfile": ""}, "Verified"),
}


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_every_level(version: str, server: ForeignServer) -> None:
    for level, (settings, status) in LEVELS.items():
        sent = deliver(server, {"smtp_tls_security_level": level, **settings}, f"at {level}\n".encode())
        assert sent.all_delivered, (sent, server.log)
        assert [line for line in sent.log if line.startswith(f"{status} {LINE}") and f": {version} with" in line], sent
    assert sorted(server.bodies()) == sorted(f"at {level}\n".encode() for level in LEVELS)
    short = version.replace("v", "") if isinstance(server, Exim) else version
    assert all(short in trace for trace in server.traces()), server.traces()


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_sessions_are_resumed(version: str, server: ForeignServer) -> None:
    settings = {
        "smtp_tls_security_level": "verify",
        "smtp_tls_loglevel": "1,cache",
        "smtp_tls_process_reuse": "no",
    }
    sent = deliver(server, settings, b"one\n", b"two\n", b"three\n", flags=CACHED)
    assert sent.all_delivered, (sent, server.log)
    assert sent.count(f"Verified {LINE}") == 3
    assert sent.count("Reusing old session") == 2
    assert len(server.bodies()) == 3


def test_one_connection_for_several_messages(server: ForeignServer) -> None:
    sent = deliver(server, {"smtp_tls_security_level": "verify"}, b"one\n", b"two\n", b"three\n", flags=CACHED)
    assert sent.all_delivered, (sent, server.log)
    assert sent.count(LINE) == 1
    assert sent.count("conn_use=") == 2
    assert sorted(server.bodies()) == [b"one\n", b"three\n", b"two\n"]


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_large_message_arrives_as_it_is(version: str, server: ForeignServer) -> None:
    lines = [f"{number} {'.' * (number % 70)}\n" for number in range(50_000)] + [".\n", "..\n", "\n"]
    body = "".join(lines).encode()
    assert len(body) > 2_000_000
    sent = deliver(server, {"smtp_tls_security_level": "encrypt"}, body)
    assert sent.all_delivered, (sent, server.log)
    assert server.bodies() == [body]


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_the_client_certificate_is_accepted(version: str, server: ForeignServer) -> None:
    settings = {"smtp_tls_security_level": "encrypt", "smtp_tls_chain_files": str(PKI / "client-chain-files.pem")}
    sent = deliver(server, settings, b"with a certificate\n")
    assert sent.all_delivered, (sent, server.log)
    (trace,) = server.traces()
    assert ("CV=yes" if isinstance(server, Exim) else "verify=OK") in trace
    assert version == "TLSv1.2" or sent.count("client-signature") == 1


def test_commands_are_sent_together(server: ForeignServer) -> None:
    sent = deliver(server, {"smtp_tls_security_level": "encrypt"}, b"in one flight\n")
    assert sent.all_delivered, (sent, server.log)
    if isinstance(server, Exim):
        (trace,) = server.traces()
        # L: pipelining was offered; a minus behind it: and not used
        assert re.search(r" L\.? ", trace), trace


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"smtp_tls_CAfile": str(PKI / "mx-rsa.cert.pem")}, "untrusted issuer"),
        ({"smtp_tls_verify_cert_match": "other.example.com"}, "hostname mismatch"),
    ],
    ids=["issuer", "name"],
)
def test_nothing_is_sent_to_a_server_that_is_another_one(
    settings: dict[str, str], reason: str, server: ForeignServer
) -> None:
    sent = deliver(server, {"smtp_tls_security_level": "verify", **settings}, b"secret\n")
    (reply,) = sent.replies
    assert reply is not None
    assert reply.host_status is not None
    assert (reply.host_status.status, reply.host_status.reason) == ("4.7.5", "Server certificate not verified")
    assert sent.count(reason) == 1
    assert server.bodies() == []


# OpenSMTPD as in Debian 12: offers STARTTLS, and cannot do it. In later releases it can.


def test_a_server_whose_tls_is_broken_gets_plaintext_at_level_may_after_a_while(opensmtpd: OpenSmtpd) -> None:
    settings = {"smtp_tls_security_level": "may", "minimal_backoff_time": "300s"}
    works = deliver(opensmtpd, {"smtp_tls_security_level": "encrypt"}, b"encrypted\n").all_delivered
    first = deliver(opensmtpd, settings, b"first attempt\n")
    assert first.all_delivered == works
    second = deliver(opensmtpd, settings, b"second attempt\n", age=400)
    assert second.all_delivered, (second, opensmtpd.log)
    assert b"second attempt\n" in opensmtpd.wait(3 if works else 1)
    if not works:
        assert first.count("SSL_connect error to mx.example.com[127.0.0.1]:") == 1
        assert first.count("Cannot start TLS: handshake failure") == 1
        assert second.count(LINE) == 0
        assert opensmtpd.bodies() == [b"second attempt\n"]
