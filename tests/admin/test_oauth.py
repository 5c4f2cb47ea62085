"""postfix-smtp oauth: the first token, the state of accounts, and whether they work."""

import json
import os
import pwd
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from admin_support import PROJECT, Instance

from compat.oauth_endpoint import Behaviour, OAuthEndpoint
from postfix_smtp.admin.oauth_login import Client, log_in, server_address, try_server
from postfix_smtp.sasl.oauth.endpoint import Web, no_trust
from postfix_smtp.sasl.oauth.errors import TokenError

USER = "user@example.com"


@pytest.fixture
def endpoint() -> Iterator[OAuthEndpoint]:
    with OAuthEndpoint() as made:
        yield made


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    monkeypatch.chdir(tmp_path)
    if os.geteuid() == 0:
        for place in (tmp_path, *tmp_path.parents):
            if place.owner() == "root" and place != Path("/"):
                place.chmod(place.stat().st_mode | 0o011)
    made = Instance(tmp_path)
    if os.geteuid() == 0:
        owner = pwd.getpwnam(mail_owner())
        with (made.config / "main.cf").open("a") as file:
            file.write(f"mail_owner = {owner.pw_name}\n")
        os.utime(made.config / "main.cf", (1, 1))
        os.chown(tmp_path / "data", owner.pw_uid, owner.pw_gid)
    return made


def mail_owner() -> str:
    from compat.world import accounts

    return accounts()["mail_owner"]


def log_in_with(instance: Instance, endpoint: OAuthEndpoint, *more: str) -> int:
    return instance.run(
        "oauth",
        "login",
        "example",
        f"--user={USER}",
        f"--token-endpoint={endpoint.url}",
        f"--device-endpoint={endpoint.base}/device",
        "--client-id=client",
        *more,
    )


def test_login_with_a_device_code(
    instance: Instance, endpoint: OAuthEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = instance.root / "secret"
    secret.write_text("client-secret\n")
    secret.chmod(0o644)
    assert log_in_with(instance, endpoint, f"--client-secret-file={secret}") == 0
    shown = capsys.readouterr().out
    assert "https://provider.example/device" in shown
    assert "ABCD-EFGH" in shown
    path = instance.root / "data" / "oauth" / USER
    assert f"{USER}:oauth:{path}" in shown
    members = json.loads(path.read_text())
    assert members["access_token"] == endpoint.access_tokens[0]
    assert members["refresh_token"] == endpoint.refresh_token
    assert members["client_secret"] == "client-secret"
    assert members["user"] == USER
    assert path.stat().st_mode & 0o777 == 0o600
    assert not any(token in shown for token in (*endpoint.access_tokens, endpoint.refresh_token, "client-secret"))
    if os.geteuid() == 0:
        assert path.owner() == path.parent.owner() == mail_owner()


def test_login_again_needs_no_options_and_keeps_the_rest(instance: Instance, endpoint: OAuthEndpoint) -> None:
    log_in_with(instance, endpoint)
    path = instance.root / "data" / "oauth" / USER
    path.write_text(json.dumps({**json.loads(path.read_text()), "note": "ours"}))
    arguments = ["oauth", "login", "example", f"--user={USER}", f"--device-endpoint={endpoint.base}/device"]
    assert instance.run(*arguments) == 0
    members = json.loads(path.read_text())
    assert members["note"] == "ours"
    assert members["access_token"] == endpoint.access_tokens[1]


def test_login_that_is_refused(instance: Instance, endpoint: OAuthEndpoint, capsys: pytest.CaptureFixture[str]) -> None:
    endpoint.behaviour = Behaviour.REFUSE
    assert log_in_with(instance, endpoint) == 1
    assert "invalid_grant" in capsys.readouterr().err
    assert not (instance.root / "data" / "oauth" / USER).exists()


def test_login_to_an_unknown_provider(instance: Instance, capsys: pytest.CaptureFixture[str]) -> None:
    assert instance.run("oauth", "login", "nobody", f"--user={USER}", "--client-id=x") == 1
    assert "--token-endpoint" in capsys.readouterr().err


def test_status_tells_expiry_and_last_error(
    instance: Instance, endpoint: OAuthEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    assert instance.run("oauth", "status") == 0
    assert "no token files" in capsys.readouterr().out
    log_in_with(instance, endpoint)
    capsys.readouterr()
    assert instance.run("oauth", "status") == 0
    shown = capsys.readouterr().out
    assert "good until " + time.strftime("%Y-") in shown
    assert "last renewal:" in shown
    endpoint.behaviour = Behaviour.REFUSE
    assert instance.run("oauth", "test", USER, "--renew") == 1
    capsys.readouterr()
    assert instance.run("oauth", "status") == 1
    shown = capsys.readouterr().out
    assert "last error:" in shown
    assert "invalid_grant: no such token: [hidden]" in shown
    assert not any(token in shown for token in (*endpoint.access_tokens, endpoint.refresh_token))


def test_status_of_a_file_that_is_of_no_use(instance: Instance, capsys: pytest.CaptureFixture[str]) -> None:
    file = instance.root / "data" / "broken"
    file.write_text("{")
    file.chmod(0o644)
    assert instance.run("oauth", "status", str(file)) == 1
    assert "neither JSON nor TOML" in capsys.readouterr().out


def test_test_renews_only_if_needed(
    instance: Instance, endpoint: OAuthEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    log_in_with(instance, endpoint)
    assert instance.run("oauth", "test", USER) == 0
    assert len(endpoint.access_tokens) == 1
    assert instance.run("oauth", "test", USER, "--renew") == 0
    assert len(endpoint.access_tokens) == 2
    path = instance.root / "data" / "oauth" / USER
    assert json.loads(path.read_text())["access_token"] == endpoint.access_tokens[1]
    assert not any(token in capsys.readouterr().out for token in endpoint.access_tokens)


class FakeWeb:
    """A provider without codes for devices."""

    def __init__(self) -> None:
        self.real = Web(no_trust(), 5)
        self.forms: list[dict[str, str]] = []

    def post(self, url: str, form: dict[str, str], *, proxy: str = "") -> object:
        from postfix_smtp.sasl.oauth.endpoint import Problem

        if "device" in url:
            return Problem("invalid_scope", "")
        self.forms.append(form)
        return {"access_token": "a", "refresh_token": "r", "expires_in": 10}


def test_where_devices_get_no_code_the_user_carries_the_answer() -> None:
    web = FakeWeb()
    client = Client("google", USER, "id", "", "https://t.example/", "https://t.example/device", "scope")
    said: list[str] = []

    def ask(_: str) -> str:
        (address,) = [line for line in said if "accounts.google.com" in line]
        state = parse_qs(urlsplit(address.strip()).query)["state"][0]
        return f"http://127.0.0.1:8/?state={state}&code=the-code&scope=x"

    answer = log_in(web, client, said.append, ask)  # type: ignore[arg-type]
    assert (answer.access_token, answer.refresh_token) == ("a", "r")
    assert web.forms[0]["code"] == "the-code"
    with pytest.raises(TokenError, match="access was not granted"):
        log_in(web, client, said.append, lambda _: "http://127.0.0.1:8/?error=access_denied&state=x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "address"),
    [("a.example", ("a.example", 587)), ("127.0.0.1:25", ("127.0.0.1", 25)), ("[::1]:465", ("::1", 465))],
)
def test_server_addresses(text: str, address: tuple[str, int]) -> None:
    assert server_address(text) == address


@pytest.mark.parametrize("server", ["", ":", ":25", "a:", "a:x", "a:-1", "[::1", "::1", "a..b", "x" * 64])
def test_bad_server_addresses_are_told(server: str) -> None:
    accepted, told = try_server(server, USER, "token", Web(no_trust(), 5))
    assert not accepted
    assert told


def test_client_secret_that_is_no_text(instance: Instance, capsys: pytest.CaptureFixture[str]) -> None:
    (instance.root / "secret").write_bytes(b"\xff")
    options = ("--user=u", "--client-id=c", f"--client-secret-file={instance.root / 'secret'}")
    assert instance.run("oauth", "login", "google", *options) == 1
    assert "is no text in UTF-8" in capsys.readouterr().err


def test_client_secret_is_asked_for_in_vain(
    instance: Instance, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", nobody)
    options = ("--user=u", "--client-id=c", "--client-secret-file=-")
    assert instance.run("oauth", "login", "google", *options) == 1
    assert capsys.readouterr().err == "postfix-smtp: no more input\n"


def test_absurd_expiry_is_shown_as_it_is(instance: Instance, capsys: pytest.CaptureFixture[str]) -> None:
    file = instance.root / "data" / "absurd"
    file.write_text('{"access_token": "x", "expiry": "99999999999999999999"}')
    file.chmod(0o644)
    assert instance.run("oauth", "status", str(file)) == 0
    assert "good until 1e+20" in capsys.readouterr().out


def test_the_service_user_needs_no_way_to_the_interpreter(instance: Instance) -> None:
    script = (
        "import os, sys\n"
        "from postfix_smtp.admin import command\n"
        "os.seteuid = lambda _: sys.meta_path.clear()\n"
        "sys.exit(command.main(sys.argv[1:]))\n"
    )
    options = [f"--config-directory={instance.config}", f"--daemon-directory={instance.daemons}"]
    command = [sys.executable, "-c", script, "oauth", "status", *options, f"--postconf={instance.postconf}", "/missing"]
    result = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert result.stdout == "/missing\n    error: open token file /missing: No such file or directory\n"
