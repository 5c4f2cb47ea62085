"""The whole program: OAuth2 in a jail, tokens that are refused, what is logged at any verbosity, what is imported."""

import base64
import importlib.util
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from compat.master import ServiceLine
from compat.oauth_endpoint import Behaviour, OAuthEndpoint
from compat.smtp_server import SmtpServer
from compat.world import World
from postfix_smtp.ipc.request import DeliveryReply, DeliveryRequest

REFUSED_JSON = base64.b64encode(b'{"status":"401","schemes":"bearer","scope":"https://mail.google.com/"}').decode()
GREETING = [["send", "220 mx.example ESMTP"], ["expect", "EHLO"]]
TRANSACTION = [
    ["expect", "MAIL FROM"],
    ["send", "250 2.1.0 Ok"],
    ["expect", "RCPT TO"],
    ["send", "250 2.1.5 Ok"],
    ["expect", "DATA"],
    ["send", "354 go ahead"],
    ["data"],
    ["send", "250 2.0.0 queued"],
]
QUIT = [["expect", "QUIT"], ["send", "221 2.0.0 Bye"], ["eof"]]

FORBID_IMPORTS = """
import postfix_smtp.daemon.privileges as privileges
original = privileges.give_up_root
def give_up_root(directory, user):
    original(directory, user)
    class Forbidden:
        def find_spec(self, name, path=None, target=None):
            from postfix_smtp import log
            log.warning("import of " + name)
    sys.meta_path[:] = [Forbidden()]
privileges.give_up_root = give_up_root
"""


def offer(mechanisms: str) -> list[list[str]]:
    return [*GREETING, ["send", "250-mx.example", f"250 AUTH {mechanisms}"]]


def settings(password: str, **others: str) -> dict[str, str]:
    return {
        "smtp_sasl_auth_enable": "yes",
        "smtp_sasl_password_maps": f"inline:{{ {{127.0.0.1 = user@example.com:{password}}} }}",
        "smtp_sasl_security_options": "noanonymous",
        **others,
    }


def response(line: str) -> bytes:
    return base64.b64decode(line.rpartition(" ")[2])


@pytest.fixture
def endpoint() -> Iterator[OAuthEndpoint]:
    with OAuthEndpoint(rotate=True, punish=True) as made:
        yield made


def store(world: World, folder: Path, endpoint: OAuthEndpoint, **members: Any) -> Path:
    """A token file that the agent's user may renew."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "token"
    path.write_text(json.dumps(endpoint.token_file(**members)))
    if os.geteuid() == 0:
        os.chmod(world.directory, 0o755)
        for place in (folder, path):
            os.chown(place, *world.owner)
    path.chmod(0o600)
    folder.chmod(0o700)
    return path


def queued(world: World, server: SmtpServer) -> DeliveryRequest:
    """A message that the agent's user may read."""
    delivery = world.message(["user@dest.example"], nexthop=server.nexthop)
    if os.geteuid() == 0:
        os.chown(world.queue / "active" / delivery.queue_id, *world.owner)
    return delivery


def deliver(world: World, server: SmtpServer) -> DeliveryReply:
    reply = world.deliver(queued(world, server)).reply
    assert reply is not None
    return reply


def test_a_token_is_renewed_and_used(endpoint: OAuthEndpoint, tmp_path: Path) -> None:
    script = [*offer("XOAUTH2 PLAIN"), ["expect", "AUTH XOAUTH2 "], ["send", "235 2.7.0 ok"], *TRANSACTION, *QUIT]
    with World(main_cf=settings(f"oauth:{tmp_path}/token")) as world, SmtpServer([script]) as server:
        store(world, tmp_path, endpoint)
        world.start()
        assert deliver(world, server) == DeliveryReply(True)
        server.wait(1)
        expected = f"user=user@example.com\1auth=Bearer {endpoint.access_tokens[0]}\1\1"
        assert response(server.connections[0].commands[1]) == expected.encode()
        assert world.problems + server.problems == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("place", ["folder", "queue", "inside"])
def test_it_works_in_a_jail_without_root(place: str, endpoint: OAuthEndpoint) -> None:
    script = [*offer("XOAUTH2"), ["expect", "AUTH XOAUTH2 "], ["send", "235 2.7.0 ok"], *TRANSACTION, *QUIT]
    with World(prepare=FORBID_IMPORTS) as world, SmtpServer([script]) as server:
        outside = world.directory / "tokens"
        match place:
            case "folder":  # outside the jail
                folder, name, known = outside, f"{outside}/token", str(outside)
            case "queue":  # the same path inside and outside
                folder = world.queue / "oauth"
                name, known = f"{folder}/token", str(folder)
            case _:  # as the jail sees it
                folder = world.queue / "oauth"
                name, known = "/oauth/token", str(folder)
        (world.queue / "etc").mkdir()
        (world.queue / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
        path = store(world, folder, endpoint, access_token="old", expiry="0")
        world.write_configuration(**settings(f"oauth:{name}"), smtp_sasl_oauth_directory=known)
        world.start(ServiceLine(chroot=True, unprivileged=True))
        for _ in range(2):
            assert deliver(world, server) == DeliveryReply(True)
        server.wait(2)
        assert [text for text in world.log.texts if "import of" in text or "Traceback" in text] == []
        assert len(endpoint.forms) == 1
        assert json.loads(path.read_text())["access_token"] == endpoint.access_tokens[0]
        assert path.stat().st_uid == world.owner[0]
        assert world.problems + server.problems == []


def test_a_refused_token_is_renewed_and_tried_once_more(endpoint: OAuthEndpoint, tmp_path: Path) -> None:
    script = [
        *offer("XOAUTH2"),
        ["expect", "AUTH XOAUTH2 "],
        ["send", f"334 {REFUSED_JSON}"],
        ["expect", ""],
        ["send", "535-5.7.8 Username and Password not accepted.", "535 5.7.8 really"],
        ["expect", "AUTH XOAUTH2 "],
        ["send", "235 2.7.0 ok"],
        *TRANSACTION,
        *QUIT,
    ]
    with World(main_cf=settings(f"oauth:{tmp_path}/token")) as world, SmtpServer([script]) as server:
        store(world, tmp_path, endpoint, access_token="revoked", expiry="9999999999")
        world.start()
        assert deliver(world, server) == DeliveryReply(True)
        server.wait(1)
        commands = server.connections[0].commands
        assert response(commands[1]) == b"user=user@example.com\1auth=Bearer revoked\1\1"
        assert commands[2] == ""
        assert endpoint.access_tokens[0].encode() in response(commands[3])
        (line,) = [text for text in world.log.texts if "refused by" in text]
        assert line == (
            f"OAuth2 token {tmp_path}/token: refused by 127.0.0.1[127.0.0.1]: 535-5.7.8 Username and Password not "
            "accepted. 535 5.7.8 really (status=401 scope=https://mail.google.com/)"
        )
        assert world.problems + server.problems == []


def test_refused_again_it_is_deferred_with_the_providers_reason(endpoint: OAuthEndpoint, tmp_path: Path) -> None:
    refusal = base64.b64encode(b'{"status":"invalid_token"}').decode()
    attempt = [
        ["expect", "AUTH OAUTHBEARER "],
        ["send", f"334 {refusal}"],
        ["expect", "AQ=="],
        ["send", "535 5.7.8 no"],
    ]
    script = [*offer("PLAIN OAUTHBEARER XOAUTH2"), *attempt, *attempt, *QUIT]
    with World(main_cf=settings(f"oauth:{tmp_path}/token")) as world, SmtpServer([script]) as server:
        store(world, tmp_path, endpoint, access_token="revoked", expiry="9999999999")
        world.start()
        reply = deliver(world, server)
        assert reply.host_status is not None
        assert reply.host_status.status == "4.7.8"
        assert reply.host_status.reason == (
            "SASL authentication failed; server 127.0.0.1[127.0.0.1] said: 535 5.7.8 no (status=invalid_token)"
        )
        server.wait(1)
        port = server.port
        assert response(server.connections[0].commands[1]) == (
            f"n,a=user@example.com,\1host=127.0.0.1\1port={port}\1auth=Bearer revoked\1\1".encode()
        )
        assert world.problems + server.problems == []


def test_without_a_token_the_reason_is_told_and_no_auth_command_sent(tmp_path: Path) -> None:
    script = [*offer("XOAUTH2"), *QUIT]
    with World(main_cf=settings(f"oauth:{tmp_path}/missing")) as world, SmtpServer([script]) as server:
        world.start()
        reply = deliver(world, server)
        assert reply.host_status is not None
        assert reply.host_status.status == "4.7.0"
        assert reply.host_status.diag_type == "x-sasl"
        assert reply.host_status.reason == (
            "SASL authentication failed; cannot authenticate to server 127.0.0.1[127.0.0.1]: "
            f"open token file {tmp_path}/missing: No such file or directory"
        )
        server.wait(1)
        assert server.problems == []


def test_a_token_does_not_travel_in_clear_unless_that_is_allowed(endpoint: OAuthEndpoint, tmp_path: Path) -> None:
    main_cf = settings(f"oauth:{tmp_path}/token", smtp_sasl_security_options="noplaintext")
    with World(main_cf=main_cf) as world, SmtpServer([[*offer("XOAUTH2 OAUTHBEARER"), *QUIT]]) as server:
        store(world, tmp_path, endpoint)
        world.start()
        reply = deliver(world, server)
        assert reply.host_status is not None
        assert reply.host_status.diag_text == "no mechanism available"
        assert endpoint.forms == []


def test_the_way_of_the_plug_in(endpoint: OAuthEndpoint, tmp_path: Path) -> None:
    script = [*offer("PLAIN XOAUTH2"), ["expect", "AUTH XOAUTH2 "], ["send", "235 2.7.0 ok"], *TRANSACTION, *QUIT]
    main_cf = settings(f"{tmp_path}/token", smtp_sasl_mechanism_filter="xoauth2")
    with World(main_cf=main_cf) as world, SmtpServer([script]) as server:
        path = store(world, tmp_path, endpoint, access_token="old", expiry="0")
        world.start()
        assert deliver(world, server) == DeliveryReply(True)
        server.wait(1)
        members = json.loads(path.read_text())
        assert members["access_token"] == endpoint.access_tokens[0]
        assert isinstance(members["expiry"], str)
        assert server.problems == []


@pytest.mark.parametrize(("wanted", "sent"), [("", b"\0user@example.com\0/etc/passwd"), ("!login, static:all", None)])
def test_a_password_that_looks_like_a_path_is_a_password(wanted: str, sent: bytes | None, tmp_path: Path) -> None:
    password = "/etc/passwd" if sent else f"{tmp_path}/no-such-file"
    script = [*offer("PLAIN XOAUTH2"), ["expect", "AUTH PLAIN "], ["send", "235 2.7.0 ok"], *TRANSACTION, *QUIT]
    main_cf = settings(password, smtp_sasl_mechanism_filter=wanted)
    with World(main_cf=main_cf) as world, SmtpServer([script]) as server:
        world.start()
        assert deliver(world, server) == DeliveryReply(True)
        server.wait(1)
        assert response(server.connections[0].commands[1]) == f"\0user@example.com\0{password}".encode()


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-256", "XOAUTH2"])
def test_no_secret_is_logged_at_any_verbosity(mechanism: str, endpoint: OAuthEndpoint, tmp_path: Path) -> None:
    secret = "the-very-secret-password"
    password = f"oauth:{tmp_path}/token" if mechanism == "XOAUTH2" else secret
    step: Any = {"sasl": {"mech": mechanism, "user": "user@example.com", "password": secret, "realm": "r"}}
    if mechanism == "XOAUTH2":
        step = ["expect", "AUTH XOAUTH2 "]
    attempt = [step, ["send", "535 5.7.8 no"]]
    if mechanism == "XOAUTH2":
        attempt = 2 * [step, ["send", f"334 {REFUSED_JSON}"], ["expect", ""], ["send", "535 5.7.8 no"]]
    script = [*offer(mechanism), *attempt, *QUIT]
    with World(main_cf=settings(password)) as world, SmtpServer([script]) as server:
        store(world, tmp_path, endpoint, access_token="first-token", expiry="9999999999")
        world.start(ServiceLine(words=["-v", "-v", "-v"]))
        deliver(world, server)
        server.wait(1)
        logged = "\n".join(world.log.lines)
        assert f"> 127.0.0.1[127.0.0.1]:{server.port}: AUTH {mechanism}" in logged
        commands = [line for line in server.connections[0].commands if line not in ("", "QUIT")]
        responses = [line.rpartition(" ")[2] for line in commands[1:] if line != f"AUTH {mechanism}"]
        assert responses
        hidden = [secret, "first-token", *endpoint.access_tokens, endpoint.refresh_token, endpoint.client_secret]
        hidden += responses + [base64.b64decode(line).decode() for line in responses]
        assert [text for text in hidden if text != "user@example.com" and text in logged] == []
        assert server.problems == []


@pytest.mark.parametrize("enabled", ["no", "yes"])
def test_a_process_loads_what_its_configuration_needs(enabled: str) -> None:
    tell = "\nimport atexit\n"
    script = [*GREETING, ["send", "250 mx.example"], *TRANSACTION, *QUIT]
    prepare = (
        tell
        + "import postfix_smtp.daemon.privileges as privileges\n"
        + "original = privileges.give_up_root\n"
        + "def give_up_root(directory, user):\n"
        + "    from postfix_smtp import log\n"
        + "    log.info('loaded: ' + ' '.join(n for n in sys.modules if 'sasl' in n or n in ('ssl', 'http.client')))\n"
        + "    original(directory, user)\n"
        + "privileges.give_up_root = give_up_root\n"
    )
    main_cf = {**settings("password"), "smtp_sasl_auth_enable": enabled}
    with World(main_cf=main_cf, prepare=prepare) as world, SmtpServer([script]) as server:
        world.start()
        deliver(world, server)
        (line,) = [text for text in world.log.texts if text.startswith("loaded:")]
        names = line.split()[1:]
        assert ("postfix_smtp.sasl" in names) == (enabled == "yes")
        if importlib.util.find_spec("spnego") is None:
            assert "ssl" not in names
        assert "http.client" not in names


def test_a_hundred_deliveries_in_five_processes_renew_once(endpoint: OAuthEndpoint, tmp_path: Path) -> None:
    script = [*offer("XOAUTH2"), ["expect", "AUTH XOAUTH2 "], ["send", "235 2.7.0 ok"], *TRANSACTION, *QUIT]
    main_cf = settings(f"oauth:{tmp_path}/token", smtp_process_delivery_limit="20")
    with World(main_cf=main_cf) as world, SmtpServer([script]) as server:
        store(world, tmp_path, endpoint, access_token="old", expiry="0")
        # The answer comes when all hundred wait for it
        endpoint.behaviour = Behaviour.HANG_AFTER
        world.start()
        messages = [queued(world, server) for _ in range(100)]
        with ThreadPoolExecutor(100) as pool:
            answers = [pool.submit(world.deliver, message) for message in messages]
            server.wait_for(100)
            endpoint.behaviour = Behaviour.SERVE
            endpoint.release()
            assert [answer.result(60).reply for answer in answers] == [DeliveryReply(True)] * 100
        assert len(endpoint.forms) == 1
        processes = {line.partition("[")[2].partition("]")[0] for line in world.log.lines if "status=sent" in line}
        assert len(processes) >= 5
        tokens = {response(connection.commands[1]) for connection in server.connections}
        assert tokens == {f"user=user@example.com\1auth=Bearer {endpoint.access_tokens[0]}\1\1".encode()}
