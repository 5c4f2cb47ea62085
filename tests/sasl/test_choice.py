"""The choice of a mechanism (SASL chapter 4)."""

import pytest

from postfix_smtp.errors import FatalError
from postfix_smtp.sasl import choice
from postfix_smtp.sasl.choice import Property, ranked, security_properties
from postfix_smtp.sasl.exchange import Identity

DEFAULT = security_properties("noplaintext, noanonymous")
ALL = "ANONYMOUS LOGIN PLAIN XOAUTH2 OAUTHBEARER CRAM-MD5 EXTERNAL DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-512"


def chosen(offered: str, options: str = "", *, bearer: bool = False) -> str | None:
    kind = choice.choose(ranked(), offered, security_properties(options), bearer=bearer)
    return kind and kind.name


@pytest.mark.parametrize(
    ("offered", "options", "name"),
    [
        (ALL, "", "SCRAM-SHA-512"),
        ("SCRAM-SHA-1 SCRAM-SHA-256", "", "SCRAM-SHA-256"),
        ("DIGEST-MD5 CRAM-MD5", "", "DIGEST-MD5"),
        ("CRAM-MD5 EXTERNAL", "", "EXTERNAL"),
        ("LOGIN PLAIN CRAM-MD5", "", "CRAM-MD5"),
        ("LOGIN PLAIN", "", "PLAIN"),
        ("ANONYMOUS LOGIN", "", "LOGIN"),
        ("ANONYMOUS LOGIN", "noplaintext", "ANONYMOUS"),
        ("ANONYMOUS LOGIN", "noplaintext noanonymous", None),
        ("PLAIN LOGIN", "noplaintext, noanonymous", None),
        ("CRAM-MD5 SCRAM-SHA-1", "mutual_auth", "SCRAM-SHA-1"),
        ("DIGEST-MD5", "noactive", None),
        ("EXTERNAL PLAIN", "nodictionary", "EXTERNAL"),
        (ALL, "forward_secrecy", None),
        ("plain", "", "PLAIN"),
        ("PLAIN;LOGIN", "", "PLAIN"),
        ("LOGIN PLAIN=", "", "PLAIN"),
        ("XPLAIN PLAINX PLAIN_ PLAIN-CLIENTTOKEN", "", None),
        ("SCRAM-SHA-256-PLUS", "", None),
        ("XOAUTH2 OAUTHBEARER", "", None),
    ],
)
def test_the_best_that_is_offered_and_safe_enough(offered: str, options: str, name: str | None) -> None:
    assert chosen(offered, options) == name


def test_tokens_come_before_passwords_in_clear() -> None:
    assert chosen("PLAIN XOAUTH2 OAUTHBEARER", bearer=True) == "OAUTHBEARER"
    assert chosen("PLAIN XOAUTH2", bearer=True) == "XOAUTH2"
    assert chosen("CRAM-MD5 XOAUTH2", bearer=True) == "CRAM-MD5"


def test_the_work_for_a_password_is_done_once() -> None:
    kinds = ranked()
    kind, other = kinds[0], choice.bound(kinds)[0]
    assert other.name == "SCRAM-SHA-512-PLUS"
    assert kind.make is other.make
    challenge = b",s=c2FsdA==,i=20000"
    for waits in (True, False):
        exchange = kind.make(kind.name, Identity("user", "secret"))
        message = b"r=" + exchange.initial().rpartition(b"r=")[2] + challenge
        assert exchange.waits(message) is waits
        exchange.step(message)


def test_unknown_security_options_are_fatal(caplog: pytest.LogCaptureFixture) -> None:
    for word in ("foo", "NoPlaintext"):
        caplog.clear()
        with pytest.raises(FatalError, match="SASL per-connection initialization failed"):
            security_properties(f"noanonymous, {word}")
        assert caplog.messages == [
            f'unknown SASL security options value "{word}" in "noanonymous, {word}"',
            "bad per-session SASL security properties",
        ]
    assert security_properties(" ") == Property(0)


def test_lists_of_nothing_but_bound_mechanisms() -> None:
    assert choice.only_bound("SCRAM-SHA-256-PLUS FOO-PLUS")
    assert not choice.only_bound("OTP FOO-PLUS")
