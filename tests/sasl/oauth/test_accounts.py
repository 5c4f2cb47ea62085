"""Access tokens: renewal, once for all; providers that rotate, punish, refuse, hang, talk nonsense; kill -9."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from oauth_support import access, accounts, exit_status, expired, in_child, load, write

from compat.certificates import self_signed, server_context
from compat.oauth_endpoint import Behaviour, OAuthEndpoint
from postfix_smtp.sasl.oauth.errors import TokenError


@pytest.fixture
def endpoint() -> Iterator[OAuthEndpoint]:
    with OAuthEndpoint(rotate=True, punish=True) as made:
        yield made


@pytest.fixture
def path(endpoint: OAuthEndpoint, tmp_path: Path) -> Path:
    return expired(endpoint, tmp_path / "token")


def reason(path: Path, refused: str = "", seconds: float = 5) -> str:
    with pytest.raises(TokenError) as caught:
        access(path, refused, seconds=seconds)
    return caught.value.reason


class TestRenewal:
    def test_a_good_token_is_used_as_it_is(self, endpoint: OAuthEndpoint, tmp_path: Path) -> None:
        file = write(tmp_path / "t", endpoint.token_file(access_token="good", expiry=str(int(time.time()) + 600)))
        assert access(file).token == "good"
        assert endpoint.forms == []

    def test_an_expired_token_is_renewed_and_written_before_it_is_used(
        self, endpoint: OAuthEndpoint, path: Path
    ) -> None:
        old = load(path)["refresh_token"]
        token = access(path).token
        members = load(path)
        assert token == members["access_token"] == endpoint.access_tokens[0]
        assert members["refresh_token"] == endpoint.refresh_token != old
        assert 3500 < int(members["expiry"]) - time.time() <= 3600
        assert endpoint.forms == [
            {
                "client_id": "client",
                "client_secret": "client-secret",
                "grant_type": "refresh_token",
                "refresh_token": old,
            }
        ]
        assert access(path).token == token

    def test_the_file_keeps_mode_owner_and_members_that_are_not_known(
        self, endpoint: OAuthEndpoint, tmp_path: Path
    ) -> None:
        file = expired(endpoint, tmp_path / "t", colour="blue")
        file.chmod(0o604)
        if os.geteuid() == 0:
            os.chown(file, 1234, 2345)
        before = file.stat()
        access(file)
        after = file.stat()
        assert stat.S_IMODE(after.st_mode) == 0o604
        assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
        assert load(file)["colour"] == "blue"
        assert sorted(place.name for place in tmp_path.iterdir()) == ["t", "t.lock"]

    def test_a_token_is_renewed_a_minute_before_it_expires(self, endpoint: OAuthEndpoint, tmp_path: Path) -> None:
        file = write(tmp_path / "t", endpoint.token_file(access_token="soon", expiry=str(int(time.time()) + 40)))
        assert access(file).token == endpoint.access_tokens[0]

    def test_a_token_about_to_expire_is_still_used_if_it_cannot_be_renewed(
        self, endpoint: OAuthEndpoint, tmp_path: Path
    ) -> None:
        endpoint.behaviour = Behaviour.BUSY
        file = write(tmp_path / "t", endpoint.token_file(access_token="soon", expiry=str(int(time.time()) + 40)))
        assert access(file).token == "soon"
        assert len(endpoint.forms) == 1

    def test_client_credentials(self, endpoint: OAuthEndpoint, tmp_path: Path) -> None:
        members = endpoint.token_file(grant="client_credentials", scope="smtp.send")
        del members["refresh_token"]
        file = write(tmp_path / "t", members)
        assert access(file).token == endpoint.access_tokens[0]
        assert endpoint.forms[0]["grant_type"] == "client_credentials"
        assert endpoint.forms[0]["scope"] == "smtp.send"

    def test_toml_keeps_its_comments(self, endpoint: OAuthEndpoint, tmp_path: Path) -> None:
        file = tmp_path / "t.toml"
        file.write_text(
            f'# our account\ngrant = "refresh_token"\nclient_id = "client" # as registered\n'
            f'token_endpoint = "{endpoint.url}"\nrefresh_token = "{endpoint.refresh_token}"\nuser = "u@example.com"\n'
            '[notes]\nrefresh_token = "of somebody else"\n'
        )
        found = access(file)
        assert found == ("u@example.com", endpoint.access_tokens[0])
        text = file.read_text()
        assert "# our account" in text
        assert "# as registered" in text
        assert f'refresh_token = "{endpoint.refresh_token}"\n' in text
        assert 'refresh_token = "of somebody else"' in text
        assert access(file).token == found.token

    def test_defaults_come_from_the_plug_ins_file(self, endpoint: OAuthEndpoint, tmp_path: Path) -> None:
        file = write(tmp_path / "t", {"refresh_token": endpoint.refresh_token, "access_token": "x", "expiry": "0"})
        defaults = {"client_id": "client", "client_secret": "", "token_endpoint": endpoint.url}
        assert access(file, defaults=defaults).token == endpoint.access_tokens[0]
        assert endpoint.forms[0]["client_secret"] == ""
        assert set(load(file)) == {"refresh_token", "access_token", "expiry"}
        assert isinstance(load(file)["expiry"], str)

    def test_https_needs_a_certificate_that_is_trusted(self, tmp_path: Path) -> None:
        certificate, key = self_signed("localhost")
        trusted = tmp_path / "ca.pem"
        trusted.write_text(certificate)
        with OAuthEndpoint(context=server_context(certificate, key)) as endpoint:
            file = expired(endpoint, tmp_path / "t")
            assert "CERTIFICATE_VERIFY_FAILED" in reason(file)
            assert endpoint.forms == []
            file.touch()
            assert access(file, ca_file=str(trusted)).token == endpoint.access_tokens[0]

    @pytest.mark.parametrize("url", ["http://provider.example/token", "ftp://localhost/", "/token", "http://10.0.0.1/"])
    def test_plain_http_is_for_loopback_only(self, url: str, endpoint: OAuthEndpoint, tmp_path: Path) -> None:
        assert reason(expired(endpoint, tmp_path / "t", token_endpoint=url)) == "token endpoint must be an https URL"

    def test_a_symbolic_link_stays_one(self, endpoint: OAuthEndpoint, path: Path, tmp_path: Path) -> None:
        link = tmp_path / "link"
        link.symlink_to(path)
        access(link)
        assert link.is_symlink()
        assert load(path)["access_token"] == endpoint.access_tokens[0]


class TestTogether:
    def test_twenty_deliveries_in_each_of_five_processes_renew_once(self, endpoint: OAuthEndpoint, path: Path) -> None:
        def deliver() -> None:
            known = accounts()

            async def all_of_them() -> None:
                found = await asyncio.gather(*(known.access(str(path)) for _ in range(20)))
                assert len({one.token for one in found}) == 1

            asyncio.run(all_of_them())

        children = [in_child(deliver) for _ in range(5)]
        assert [exit_status(child) for child in children] == [0] * 5
        assert len(endpoint.forms) == 1
        assert load(path)["access_token"] == endpoint.access_tokens[0]

    def test_all_that_find_the_same_token_refused_renew_it_once(self, endpoint: OAuthEndpoint, path: Path) -> None:
        first = access(path).token

        async def all_of_them() -> set[str]:
            known = accounts()
            return {one.token for one in await asyncio.gather(*(known.access(str(path), first) for _ in range(20)))}

        assert asyncio.run(all_of_them()) == {endpoint.access_tokens[1]}
        assert len(endpoint.forms) == 2

    def test_a_token_refused_again_at_once_is_not_renewed_again(self, endpoint: OAuthEndpoint, path: Path) -> None:
        second = access(path, access(path).token).token
        assert reason(path, second) == "access token is refused although it has just been renewed"
        assert len(endpoint.forms) == 2

    def test_others_go_on_while_an_endpoint_hangs(self, endpoint: OAuthEndpoint, path: Path, tmp_path: Path) -> None:
        endpoint.behaviour = Behaviour.HANG
        with OAuthEndpoint() as other:
            good = expired(other, tmp_path / "good")

            async def both() -> str:
                known = accounts(seconds=30)
                stuck = asyncio.create_task(known.access(str(path)))
                await asyncio.to_thread(endpoint.wait_for_requests, 1)
                token = (await known.access(str(good))).token
                assert not stuck.done()
                endpoint.release()
                with pytest.raises(TokenError):
                    await stuck
                return token

            assert asyncio.run(both()) == other.access_tokens[0]

    def test_many_accounts_of_a_provider_that_hangs_leave_threads_for_others(
        self, endpoint: OAuthEndpoint, tmp_path: Path
    ) -> None:
        endpoint.behaviour = Behaviour.HANG
        stuck = [expired(endpoint, tmp_path / f"t{number}") for number in range(12)]

        async def run() -> None:
            known = accounts(seconds=30)
            tasks = [asyncio.create_task(known.access(str(file))) for file in stuck]
            await asyncio.to_thread(endpoint.wait_for_requests, 4)
            assert len(endpoint.forms) == 4
            assert await asyncio.to_thread(lambda: 1) == 1
            for task in tasks:
                task.cancel()
            endpoint.behaviour = Behaviour.BUSY
            endpoint.release()

        asyncio.run(run())


class TestTrouble:
    def test_a_refusal_is_told_without_secrets(
        self, endpoint: OAuthEndpoint, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        endpoint.behaviour = Behaviour.REFUSE
        text = reason(path)
        assert text == "token endpoint localhost: invalid_grant: no such token: [hidden]  X"
        assert caplog.messages == [f"OAuth2 token {path}: {text}"]

    def test_a_failure_is_the_answer_for_a_while_unless_the_file_is_changed(
        self, endpoint: OAuthEndpoint, path: Path
    ) -> None:
        endpoint.behaviour = Behaviour.REFUSE
        first = reason(path)
        assert reason(path) == first
        assert len(endpoint.forms) == 1
        endpoint.behaviour = Behaviour.SERVE
        write(path, {**load(path), "user": "x"})
        assert access(path).token == endpoint.access_tokens[0]

    @pytest.mark.parametrize(
        ("behaviour", "text"),
        [
            (Behaviour.BUSY, "answered with status 503"),
            (Behaviour.GARBAGE, "answered with garbage"),
            (Behaviour.NO_TOKEN, "answered without a usable access token"),
            (Behaviour.HUGE, "answer is too long"),
        ],
    )
    def test_nonsense_changes_nothing(
        self, behaviour: Behaviour, text: str, endpoint: OAuthEndpoint, path: Path
    ) -> None:
        before = path.read_bytes()
        endpoint.behaviour = behaviour
        assert reason(path) == f"token endpoint localhost: {text}"
        assert path.read_bytes() == before

    @pytest.mark.parametrize("behaviour", [Behaviour.HANG, Behaviour.DRIP])
    def test_an_endpoint_has_to_answer_in_time(self, behaviour: Behaviour, endpoint: OAuthEndpoint, path: Path) -> None:
        endpoint.behaviour = behaviour
        start = time.monotonic()
        assert "within the time limit" in reason(path, seconds=0.3)
        assert time.monotonic() - start < 3

    def test_nobody_listens(self, endpoint: OAuthEndpoint, tmp_path: Path) -> None:
        with OAuthEndpoint() as gone:
            file = expired(gone, tmp_path / "t")
        assert reason(file) == "token endpoint localhost: Connection refused"

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            ("{", "token file is neither JSON nor TOML"),
            ("secret words", "token file is neither JSON nor TOML"),
            ('{"client_id": "x", "grant": "magic"}', "token file has an unknown grant: magic"),
            ('{"refresh_token": "x"}', "token file has no client_id"),
            ('{"grant": "refresh_token", "client_id": "x"}', "token file has no refresh_token"),
            ('{"grant": "client_credentials", "client_id": "x"}', "token file has no client_secret"),
            ('{"access_token": "x", "expiry": 5}', "access token has expired, and nothing tells how to renew it"),
        ],
    )
    def test_a_token_file_that_is_of_no_use(self, content: str, text: str, tmp_path: Path) -> None:
        file = tmp_path / "t"
        file.write_text(content)
        assert reason(file) == text

    def test_a_token_file_that_is_not_there(self, tmp_path: Path) -> None:
        assert reason(tmp_path / "t") == f"open token file {tmp_path}/t: No such file or directory"
        (tmp_path / "d").mkdir()
        assert reason(tmp_path / "d") == f"token file {tmp_path}/d is no regular file"

    def test_a_folder_that_cannot_be_written_is_found_before_the_provider_is_asked(
        self, endpoint: OAuthEndpoint, path: Path
    ) -> None:
        # A folder in the place of the next version stands for a full disk or a lack of rights, for root, too
        path.with_name("token.new").mkdir()
        assert reason(path).startswith(f"open {path}.new: ")
        assert endpoint.forms == []

    def test_a_token_without_expiry_that_others_renew(self, tmp_path: Path) -> None:
        file = write(tmp_path / "t", {"access_token": "external"})
        assert access(file).token == "external"


class TestKilled:
    def test_kill_in_the_middle_of_a_renewal_loses_no_token(self, endpoint: OAuthEndpoint, path: Path) -> None:
        endpoint.behaviour = Behaviour.HANG_AFTER
        child = in_child(lambda: access(path))
        endpoint.wait_for_requests(1)
        os.kill(child, signal.SIGKILL)
        assert exit_status(child) == -signal.SIGKILL
        endpoint.behaviour = Behaviour.SERVE
        endpoint.release()
        # Waits for the lock, which the renewal still holds, and finds its result
        assert access(path).token == endpoint.access_tokens[0]
        assert load(path)["refresh_token"] == endpoint.refresh_token
        assert len(endpoint.forms) == 1

    def test_the_end_of_the_service_does_not_end_a_renewal(self, endpoint: OAuthEndpoint, path: Path) -> None:
        endpoint.behaviour = Behaviour.HANG_AFTER

        def lead() -> None:
            os.setpgid(0, 0)
            access(path)

        child = in_child(lead)
        endpoint.wait_for_requests(1)
        os.killpg(child, signal.SIGTERM)
        assert exit_status(child) == -signal.SIGTERM
        endpoint.release()
        assert access(path).token == endpoint.access_tokens[0]
        assert len(endpoint.forms) == 1

    def test_killed_again_and_again_the_account_survives(self, endpoint: OAuthEndpoint, path: Path) -> None:
        for _ in range(10):
            write(path, {**load(path), "expiry": "0"})
            number = len(endpoint.forms)
            child = in_child(lambda: access(path))
            endpoint.wait_for_requests(number + 1)
            os.kill(child, signal.SIGKILL)
            exit_status(child)
            assert access(path).token == endpoint.access_tokens[-1]
        assert endpoint.refresh_token

    def test_left_overs_are_no_obstacle(self, endpoint: OAuthEndpoint, path: Path) -> None:
        path.with_name("token.new").write_text("{half of a")
        path.with_name("token.lock").write_text("nonsense")
        assert access(path).token == endpoint.access_tokens[0]


class TestCommand:
    def script(self, tmp_path: Path, text: str) -> Path:
        script = tmp_path / "print-token"
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)
        file = write(tmp_path / "t", {"grant": f"exec:{script} user@example.com", "user": "me"})
        file.chmod(0o600)
        return file

    def test_a_command_prints_the_token(self, tmp_path: Path) -> None:
        assert access(self.script(tmp_path, 'echo "token-of-$1"')) == ("me", "token-of-user@example.com")

    def test_a_command_prints_json(self, tmp_path: Path) -> None:
        text = json.dumps({"access_token": "abc", "expires_in": 100})
        assert access(self.script(tmp_path, f"echo '{text}'")).token == "abc"

    def test_the_token_is_remembered_until_it_is_refused(self, tmp_path: Path) -> None:
        file = self.script(tmp_path, f"echo x >> {tmp_path}/count; wc -l < {tmp_path}/count")

        async def several() -> list[str]:
            known = accounts()
            first = [(await known.access(str(file))).token for _ in range(2)]
            return [*first, (await known.access(str(file), first[0])).token]

        assert asyncio.run(several()) == ["1", "1", "2"]

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("echo no such user >&2; exit 3", "failed with status 3: no such user"),
            ("echo", "did not print a token"),
            ("echo two words", "did not print a token"),
            ("echo '{'", "did not print a token"),
            ("sleep 60", "did not end within 1 seconds"),
        ],
    )
    def test_a_command_fails(self, text: str, told: str, tmp_path: Path) -> None:
        assert reason(self.script(tmp_path, text), seconds=1) == f"{tmp_path}/print-token {told}"

    @pytest.mark.parametrize("mode", [0o620, 0o602])
    def test_a_command_that_others_could_have_written_is_not_run(self, mode: int, tmp_path: Path) -> None:
        file = self.script(tmp_path, f"touch {tmp_path}/was-run; echo x")
        file.chmod(mode)
        assert "must belong to root" in reason(file)
        assert not (tmp_path / "was-run").exists()

    def test_a_relative_command_is_not_run(self, tmp_path: Path) -> None:
        file = write(tmp_path / "t", {"grant": "exec:echo x"})
        file.chmod(0o600)
        assert "absolute path" in reason(file)


def test_no_secret_is_logged(
    endpoint: OAuthEndpoint, path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    from postfix_smtp import log

    caplog.set_level(logging.DEBUG)
    log.verbosity.set(4)
    secrets = [load(path)["refresh_token"], "client-secret", "ya29."]
    for behaviour in Behaviour:
        if behaviour in (Behaviour.HANG, Behaviour.DRIP, Behaviour.HANG_AFTER):
            continue
        endpoint.behaviour = behaviour
        write(path, {**load(path), "expiry": "0"})
        with contextlib.suppress(TokenError):
            access(path)
    log.verbosity.set(0)
    shown = "\n".join([*caplog.messages, *capfd.readouterr()])
    assert "OAuth2 token" in shown
    assert not any(secret in shown for secret in [*secrets, endpoint.refresh_token])
    for place in path.parent.iterdir():
        if place != path:
            assert not any(secret in place.read_text() for secret in secrets)
