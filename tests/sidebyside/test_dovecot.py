"""Authentication to a real Dovecot."""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat import dovecot
from compat.certificates import self_signed
from compat.dovecot import Dovecot
from compat.oauth_endpoint import OAuthEndpoint
from compat.smtp_server import SmtpServer
from compat.world import World
from postfix_smtp.admin.oauth_login import try_server
from postfix_smtp.ipc.request import DeliveryReply
from postfix_smtp.sasl.oauth.endpoint import Web, no_trust, tls_context

pytestmark = pytest.mark.sidebyside
USER, PASSWORD = "user@example.com", "pass wörd, with = and more"
ASCII_PASSWORD = 'a "quoted\\ one'
SINK = [
    ["send", "220 sink.example ESMTP"],
    ["expect", "EHLO"],
    ["send", "250 sink.example"],
    ["expect", "MAIL FROM"],
    ["send", "250 2.1.0 Ok"],
    ["expect", "RCPT TO"],
    ["send", "250 2.1.5 Ok"],
    ["expect", "DATA"],
    ["send", "354 go ahead"],
    ["data"],
    ["send", "250 2.0.0 queued"],
    ["expect", "QUIT"],
    ["send", "221 2.0.0 Bye"],
    ["eof"],
]


@pytest.fixture
def endpoint() -> Iterator[OAuthEndpoint]:
    with OAuthEndpoint(rotate=True, punish=True) as made:
        yield made


@pytest.fixture
def sink() -> Iterator[SmtpServer]:
    with SmtpServer([SINK]) as made:
        yield made


@pytest.fixture
def server(request: pytest.FixtureRequest, endpoint: OAuthEndpoint, sink: SmtpServer) -> Iterator[Dovecot]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    assert dovecot.available(), "Dovecot is not installed; see tests/sidebyside/packages.txt"
    password = ASCII_PASSWORD if "digest-md5" in request.node.name else PASSWORD
    with Dovecot({USER: password}, sink.port, f"{endpoint.base}/introspect") as made:
        yield made


def settings(password: str, mechanism: str) -> dict[str, str]:
    return {
        "smtp_sasl_auth_enable": "yes",
        "smtp_sasl_password_maps": f"inline:{{ {{127.0.0.1 = {USER}:{password}}} }}",
        "smtp_sasl_security_options": "",
        "smtp_sasl_mechanism_filter": mechanism,
    }


@pytest.mark.parametrize("mechanism", ["plain", "login", "cram-md5", "digest-md5", "scram-sha-1", "scram-sha-256", ""])
def test_passwords(mechanism: str, server: Dovecot, sink: SmtpServer) -> None:
    # For DIGEST-MD5 Postfix's library turns into ISO 8859-1 what Dovecot leaves in UTF-8
    password = ASCII_PASSWORD if mechanism == "digest-md5" else PASSWORD
    with World(main_cf=settings(password, mechanism)) as world:
        world.start()
        delivery = world.message(["rcpt@dest.example"], nexthop=server.nexthop)
        assert world.deliver(delivery).reply == DeliveryReply(True), server.log
        sink.wait(1)
        assert b"hello" in sink.connections[0].content[0]
        assert world.problems == []


@pytest.mark.parametrize("mechanism", ["plain", "login", "cram-md5", "digest-md5", "scram-sha-1", "scram-sha-256"])
def test_wrong_passwords(mechanism: str, server: Dovecot) -> None:
    with World(main_cf=settings("wrong", mechanism)) as world:
        world.start()
        reply = world.deliver(world.message(["rcpt@dest.example"], nexthop=server.nexthop)).reply
        assert reply is not None
        assert reply.host_status is not None
        assert reply.host_status.status == "4.7.8"
        assert reply.host_status.diag_text.startswith("535 5.7.8 ")


@pytest.mark.parametrize("mechanism", ["xoauth2", "oauthbearer", ""])
def test_tokens(mechanism: str, server: Dovecot, sink: SmtpServer, endpoint: OAuthEndpoint, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(json.dumps(endpoint.token_file()))
    with World(main_cf=settings(f"oauth:{path}", mechanism)) as world:
        world.start()
        assert world.deliver(world.message(["rcpt@dest.example"], nexthop=server.nexthop)).reply == DeliveryReply(True)
        # The provider withdraws the token, which looks good to us
        endpoint.revoked.add(endpoint.access_tokens[0])
        assert world.deliver(world.message(["rcpt@dest.example"], nexthop=server.nexthop)).reply == DeliveryReply(True)
        assert len(endpoint.access_tokens) == 2
        assert sum("refused by" in text for text in world.log.texts) == 1
        assert json.loads(path.read_text())["access_token"] == endpoint.access_tokens[1]
        sink.wait(2)
        logged = "\n".join(world.log.lines)
        secrets = [*endpoint.access_tokens, endpoint.refresh_token]
        secrets += [base64.b64encode(token.encode()).decode()[4:-4] for token in endpoint.access_tokens]
        assert not any(secret in logged for secret in secrets)


def test_a_token_that_is_never_accepted(server: Dovecot, endpoint: OAuthEndpoint, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(json.dumps(endpoint.token_file()))
    endpoint.user = "somebody-else@example.com"
    with World(main_cf=settings(f"oauth:{path}", "oauthbearer")) as world:
        world.start()
        reply = world.deliver(world.message(["rcpt@dest.example"], nexthop=server.nexthop)).reply
        assert reply is not None
        assert reply.host_status is not None
        assert reply.host_status.status == "4.7.8"
        assert "status=invalid_token" in reply.host_status.reason


def test_a_token_inside_tls_needs_no_other_setting(endpoint: OAuthEndpoint, sink: SmtpServer, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    certificate, key = self_signed("localhost")
    pem = tmp_path / "server.pem"
    pem.write_text(certificate + key)
    path = tmp_path / "token"
    path.write_text(json.dumps(endpoint.token_file(user=USER)))
    main_cf = {
        "smtp_sasl_auth_enable": "yes",
        "smtp_sasl_password_maps": f"inline:{{ {{127.0.0.1 = {USER}:oauth:{path}}} }}",
        "smtp_tls_security_level": "encrypt",
    }
    with Dovecot({USER: PASSWORD}, sink.port, f"{endpoint.base}/introspect", str(pem)) as server:
        with World(main_cf=main_cf) as world:
            world.start()
            delivery = world.message(["rcpt@dest.example"], nexthop=server.nexthop)
            assert world.deliver(delivery).reply == DeliveryReply(True), server.log
        token = json.loads(path.read_text())["access_token"]
        trusting = Web(tls_context(str(pem)), 10)
        assert try_server(f"localhost:{server.port}", USER, token, trusting) == (
            True,
            "OAUTHBEARER: 235 2.7.0 Logged in.",
        )
        accepted, told = try_server(f"localhost:{server.port}", USER, "wrong", trusting)
        assert not accepted
        assert told.startswith("OAUTHBEARER: 535 ")
        assert "status=invalid_token" in told
        accepted, told = try_server(f"localhost:{server.port}", USER, token, Web(no_trust(), 10))
        assert not accepted
        assert "certificate verify failed" in told.lower().replace("_", " ")
