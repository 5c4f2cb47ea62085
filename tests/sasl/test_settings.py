"""SASL parameters (SASL chapter 1, 9)."""

from typing import Any

import pytest
from fake_parameters import FakeParameters

from postfix_smtp.errors import FatalError
from postfix_smtp.sasl.settings import SaslSettings

GOOD = {"smtp_sasl_password_maps": "static:user:secret"}


def read(program: str = "smtp", version: tuple[int, ...] = (3, 7, 11), **values: str) -> SaslSettings:
    prefix = f"{program}_"
    own = {name.replace("smtp_", prefix, 1): value for name, value in {**GOOD, **values}.items()}
    parameters: Any = FakeParameters(program, version, own)
    return SaslSettings.from_parameters(parameters)


@pytest.mark.parametrize("program", ["smtp", "lmtp"])
def test_a_password_table_is_needed(program: str) -> None:
    text = f"specify a password table via the `{program}_sasl_password_maps' configuration parameter"
    with pytest.raises(FatalError, match=text):
        read(program, smtp_sasl_password_maps="")


@pytest.mark.parametrize("kind", ["dovecot", "Cyrus"])
def test_there_is_only_one_implementation(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(FatalError, match=r"^SASL library initialization$"):
        read(smtp_sasl_type=kind)
    assert caplog.messages == [f"unsupported SASL client implementation: {kind}"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lmdb:/x", 'SASL authentication cache name "lmdb:/x" must start with "proxy:'),
        ("proxy:lmdb:/x, proxy:lmdb:/y", 'SASL authentication cache name "proxy:lmdb:/x, proxy:lmdb:/y" contains mul'),
        ("proxy:lmdb:/x foo", 'SASL authentication cache name "proxy:lmdb:/x foo" contains multiple values'),
    ],
)
def test_the_cache_is_one_table_behind_proxywrite(name: str, text: str) -> None:
    with pytest.raises(FatalError) as caught:
        read(smtp_sasl_auth_cache_name=name)
    assert str(caught.value).startswith(text)


def test_the_delimiter_can_be_chosen_since_3_9() -> None:
    assert read(smtp_sasl_password_result_delimiter="|").delimiter == ":"
    assert read(version=(3, 10, 3), smtp_sasl_password_result_delimiter="|").delimiter == "|"


def test_lmtp_does_not_depend_on_the_sender() -> None:
    assert read(smtp_sender_dependent_authentication="yes").sender_dependent
    assert not read("lmtp").sender_dependent


def test_channel_bindings_are_checked() -> None:
    assert read(smtp_sasl_channel_bindings="TLS-Exporter, tls-unique").bindings == ("tls-exporter", "tls-unique")
    with pytest.raises(FatalError, match="no such channel binding: tls"):
        read(smtp_sasl_channel_bindings="tls")
