"""Choice and credentials for one server: options by kind of session, filters, tokens, channel binding, look-up keys."""

import asyncio
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fake_parameters import FakeParameters

from postfix_smtp import log
from postfix_smtp.errors import FatalError, TableError
from postfix_smtp.sasl.authenticator import ServerAuthenticator
from postfix_smtp.sasl.exchange import Exchange
from postfix_smtp.sasl.opening import open_sasl
from postfix_smtp.smtp.failure import Failure
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.tables.opening import Opener, TableSettings

PEER = Peer("mx.example.com", "192.0.2.1", 587)


@dataclass
class Tls:
    is_trusted: bool = True
    is_matched: bool = False
    resumed: bool = False


class FakeConnection:
    """TLS 1.3 with an exporter."""

    def get_protocol_version(self) -> int:
        return 0x0304

    def export_keying_material(self, label: bytes, size: int, context: bytes) -> bytes:
        return b"E" * size


class Domains:
    def is_local(self, domain: str) -> bool:
        return domain == "local.example"


def authenticator(
    sender: str = "s@example.com", destination: str = "[mx.example.com]:587", program: str = "smtp", **settings: str
) -> ServerAuthenticator:
    options = settings.get("smtp_sasl_security_options", "noplaintext, noanonymous")
    main_cf = {
        f"{program}_sasl_password_maps": "static:user:secret",
        "smtp_sasl_tls_security_options": options,
        "recipient_delimiter": "+",
        **settings,
    }
    parameters: Any = FakeParameters(program, (3, 7, 11), main_cf)
    opener = Opener(TableSettings.from_parameters(parameters), parameters)
    return ServerAuthenticator(open_sasl(parameters, opener, Domains), "QID", sender, destination, PEER)


def choose(made: ServerAuthenticator, offered: str, tls: Any = None, connection: object = None) -> Exchange | Failure:
    async def run() -> Exchange | Failure:
        kept = await made.filter_mechanisms(offered)
        assert await made.has_credentials(tls)
        return await made.choose(kept, tls, connection)

    return asyncio.run(run())


def name(result: Exchange | Failure) -> str:
    return result.name if isinstance(result, Exchange) else result.dsn.diag_text


def test_security_options_depend_on_the_kind_of_session() -> None:
    settings = {
        "smtp_sasl_security_options": "noplaintext",
        "smtp_sasl_tls_security_options": "mutual_auth",
        "smtp_sasl_tls_verified_security_options": "noanonymous",
    }
    offered = "PLAIN CRAM-MD5 DIGEST-MD5 ANONYMOUS"
    assert name(choose(authenticator(**settings), "PLAIN")) == "no mechanism available"
    assert name(choose(authenticator(**settings), "PLAIN CRAM-MD5")) == "CRAM-MD5"
    assert name(choose(authenticator(**settings), "PLAIN CRAM-MD5", Tls())) == "no mechanism available"
    assert name(choose(authenticator(**settings), offered, Tls())) == "DIGEST-MD5"
    assert name(choose(authenticator(**settings), "PLAIN", Tls(is_matched=True))) == "PLAIN"


def test_the_filter_is_a_match_list() -> None:
    made = authenticator(smtp_sasl_mechanism_filter="!scram-sha-256, static:all", smtp_sasl_security_options="")
    assert asyncio.run(made.filter_mechanisms("SCRAM-SHA-256  plain\tLOGIN")) == "plain LOGIN"
    assert asyncio.run(authenticator().filter_mechanisms("A  B")) == "A  B"
    with pytest.raises(FatalError, match="smtp_sasl_mechanism_filter: fail:x: table lookup problem"):
        asyncio.run(authenticator(smtp_sasl_mechanism_filter="fail:x").filter_mechanisms("PLAIN"))


def test_channels_are_bound_if_that_is_asked_for() -> None:
    offered = "PLAIN SCRAM-SHA-256 SCRAM-SHA-512 SCRAM-SHA-256-PLUS"
    bindings = {"smtp_sasl_channel_bindings": "tls-unique, tls-exporter"}
    assert name(choose(authenticator(), offered, Tls(), FakeConnection())) == "SCRAM-SHA-512"
    assert name(choose(authenticator(**bindings), offered)) == "SCRAM-SHA-512"
    chosen = choose(authenticator(**bindings), offered, Tls(), FakeConnection())
    assert name(chosen) == "SCRAM-SHA-256-PLUS"
    assert isinstance(chosen, Exchange)
    assert chosen.initial().startswith(b"p=tls-exporter,,n=user,r=")


class TestTokens:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "token"
        path.write_text(json.dumps({"access_token": "the-token"}))
        return path

    def password(self, text: object) -> dict[str, str]:
        return {"smtp_sasl_password_maps": f"static:user:{text}"}

    def test_oauth_needs_no_other_setting_inside_tls(self, path: Path) -> None:
        settings = self.password(f"oauth:{path}")
        assert name(choose(authenticator(**settings), "PLAIN XOAUTH2 OAUTHBEARER SCRAM-SHA-1", Tls())) == "OAUTHBEARER"
        assert name(choose(authenticator(**settings), "XOAUTH2")) == "no mechanism available"

    def test_oauth_is_never_a_password(self, path: Path) -> None:
        settings = {**self.password(f"oauth:{path}"), "smtp_sasl_security_options": ""}
        assert name(choose(authenticator(**settings), "PLAIN LOGIN CRAM-MD5")) == "no mechanism available"

    def test_the_plug_ins_way_needs_a_filter_that_lets_a_mechanism_through(self, path: Path) -> None:
        settings = {**self.password(path), "smtp_sasl_security_options": "noanonymous"}
        assert name(choose(authenticator(**settings), "PLAIN XOAUTH2")) == "PLAIN"
        filtered = {**settings, "smtp_sasl_mechanism_filter": "xoauth2, plain, cram-md5"}
        assert name(choose(authenticator(**filtered), "PLAIN XOAUTH2 OAUTHBEARER")) == "XOAUTH2"
        assert name(choose(authenticator(**filtered), "CRAM-MD5 XOAUTH2")) == "CRAM-MD5"
        strict = {**filtered, "smtp_sasl_security_options": "noplaintext, noanonymous"}
        assert name(choose(authenticator(**strict), "XOAUTH2")) == "no mechanism available"

    def test_a_missing_file_is_a_password_only_if_passwords_are_possible(self, tmp_path: Path) -> None:
        missing = f"{tmp_path}/missing"
        settings = {**self.password(missing), "smtp_sasl_security_options": ""}
        both = {**settings, "smtp_sasl_mechanism_filter": "xoauth2, plain"}
        assert name(choose(authenticator(**both), "PLAIN XOAUTH2")) == "PLAIN"
        assert missing in name(choose(authenticator(**both), "XOAUTH2"))


class TestCredentials:
    def user(self, sender: str, entry: str, destination: str = "[mx.example.com]:587") -> str | None:
        made = authenticator(
            sender,
            destination,
            smtp_sender_dependent_authentication="yes",
            smtp_sasl_password_maps=f"inline:{{ {{{entry} = found:x}} }}",
        )
        return "found" if asyncio.run(made.has_credentials(None)) else None

    @pytest.mark.parametrize(
        "entry",
        ["u+e@example.com", "u@example.com", "@example.com", "mx.example.com", "[mx.example.com]:587"],
    )
    def test_keys(self, entry: str) -> None:
        assert self.user("u+e@example.com", entry) == "found"

    @pytest.mark.parametrize("entry", ["u", "u+e", "example.com", "mx.example.com:587", "192.0.2.1"])
    def test_what_is_no_key(self, entry: str) -> None:
        assert self.user("u+e@example.com", entry) is None

    @pytest.mark.parametrize("entry", ["u", "u+e"])
    def test_local_senders_have_short_keys(self, entry: str) -> None:
        assert self.user("u+e@local.example", entry) == "found"

    @pytest.mark.parametrize("entry", ['"two words"@example.com', "two words@example.com"])
    def test_senders_are_looked_up_quoted_and_unquoted(self, entry: str) -> None:
        settings = {"smtp_sender_dependent_authentication": "yes"}
        table = f"regexp:{{ {{ /^{entry}$/ found:x }} }}"
        made = authenticator("two words@example.com", smtp_sasl_password_maps=table, **settings)
        assert asyncio.run(made.has_credentials(None))

    def test_the_null_sender_has_no_key(self) -> None:
        assert self.user("", "@") is None

    def test_senders_do_not_count_in_lmtp(self) -> None:
        made = authenticator(
            program="lmtp",
            smtp_sender_dependent_authentication="yes",
            lmtp_sasl_password_maps="inline:{ {s@example.com = x:y} }",
        )
        assert not asyncio.run(made.has_credentials(None))

    def test_an_error_is_told_with_the_queue_id(self, caplog: pytest.LogCaptureFixture) -> None:
        with pytest.raises(TableError):
            asyncio.run(authenticator(smtp_sasl_password_maps="fail:x").has_credentials(None))
        assert caplog.messages[-1] == "QID: smtp_sasl_password_maps lookup error"

    def test_the_password_is_not_shown_with_v(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        log.verbosity.set(1)
        choose(authenticator(smtp_sasl_security_options=""), "PLAIN")
        log.verbosity.set(0)
        assert "smtp_sasl_passwd_lookup: host `mx.example.com' user `user' pass `[hidden]'" in caplog.messages
        assert "secret" not in caplog.text
