"""Command lines and their encodings."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postfix_smtp.ipc.request import Notify, Recipient, Ret, SendOptions, Submission
from postfix_smtp.smtp import commands, features
from postfix_smtp.smtp.context import RequireTls
from postfix_smtp.smtp.dialect import Dialect
from postfix_smtp.smtp.envelope import Envelope
from postfix_smtp.smtp.settings import SmtpSettings

SETTINGS = SmtpSettings("smtp", Dialect.of((3, 7, 11)), "c.example", "c.example")
NEWEST = SmtpSettings("smtp", Dialect.of((3, 11, 6)), "c.example", "c.example")
ALL = features.CACHED
UTF8 = SendOptions.SMTPUTF8_REQUESTED | SendOptions.SMTPUTF8_RECIPIENT
NOBODY: list[Recipient] = []


@pytest.mark.parametrize(("text", "encoded"), [("id+1=a b", "id+2B1+3Da+20b"), ("ö", "+C3+B6"), ("\udcff", "+FF")])
def test_xtext(text: str, encoded: str) -> None:
    assert commands.xtext(text) == encoded


def test_xtext_of_xforward_keeps_the_equals_sign() -> None:
    assert commands.xtext("he lo=+", keep_equals=True) == "he+20lo=+2B"


@pytest.mark.parametrize(
    ("text", "encoded"), [("€", r"\x{20AC}"), ("+", r"\x{2B}"), ("é", r"\x{E9}"), ("a b\\", r"a\x{20}b\x{5C}")]
)
def test_unitext(text: str, encoded: str) -> None:
    assert commands.unitext(text) == encoded


def test_unitext_of_what_is_no_utf8() -> None:
    assert commands.unitext("utf-8;\udcff") is None


@given(st.text())
def test_encoded_values_are_printable_words(text: str) -> None:
    encoded = [commands.xtext(text.encode("utf-8", "replace").decode()), commands.unitext(text) or ""]
    assert all(32 < ord(char) < 127 for word in encoded for char in word)


def test_mail_with_everything_in_order() -> None:
    settings = SmtpSettings("smtp", NEWEST.dialect, "c.example", "c.example", send_dummy_auth=True)
    envelope = Envelope("a@b.c", NOBODY, 42, "8bit", "id", Ret.FULL, UTF8)
    line = commands.mail(settings, ALL, envelope, "Q", RequireTls.ENFORCE)
    assert line == "MAIL FROM:<a@b.c> SIZE=42 BODY=8BITMIME ENVID=id RET=FULL SMTPUTF8 REQUIRETLS AUTH=<>"


def test_mail_to_a_server_that_offers_nothing() -> None:
    assert commands.mail(SETTINGS, 0, Envelope("", NOBODY, 42, "", "id", Ret.FULL, UTF8), "Q", RequireTls.DISABLE) == (
        "MAIL FROM:<>"
    )


def test_size_is_left_out_when_content_is_converted() -> None:
    envelope = Envelope("a@b.c", NOBODY, 42, "8bit")
    assert commands.mail(SETTINGS, features.SIZE, envelope, "Q", RequireTls.DISABLE) == "MAIL FROM:<a@b.c>"


def test_headers_only_are_returned_if_tls_cannot_be_required() -> None:
    envelope = Envelope("a@b.c", NOBODY, 42, "", "", Ret.FULL)
    line = commands.mail(NEWEST, features.DSN, envelope, "Q", RequireTls.OPPORTUNISTIC)
    assert line == "MAIL FROM:<a@b.c> RET=HDRS"


def test_unknown_encoding_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    envelope = Envelope("a@b.c", NOBODY, 42, "9bit")
    with caplog.at_level(logging.WARNING):
        assert commands.mail(SETTINGS, features.EIGHTBITMIME, envelope, "Q1", RequireTls.DISABLE) == "MAIL FROM:<a@b.c>"
    assert caplog.messages == ["Q1: unknown content encoding: 9bit"]


@pytest.mark.parametrize(
    ("original", "orcpt", "options", "parameters"),
    [
        ("or+ig=x@d.example", "", 0, "ORCPT=rfc822;or+2Big+3Dx@d.example"),
        ("a b@d.example", "", 0, 'ORCPT=rfc822;"a+20b"@d.example'),
        ("kö@d.example", "", UTF8, r"ORCPT=utf-8;k\x{F6}@d.example"),
        ("kö@d.example", "", 0, "ORCPT=rfc822;k+C3+B6@d.example"),
        ("x", "x400;/C=A /", 0, "ORCPT=x400;/C+3DA+20/"),
        ("", "", 0, ""),
        ("x", "UTF-8;k\udcff", 0, ""),
    ],
)
def test_orcpt(original: str, orcpt: str, options: int, parameters: str) -> None:
    recipient = Recipient(original, "r@d", -1, orcpt)
    line = commands.rcpt(SETTINGS, features.DSN, recipient, SendOptions(options))
    assert line == f"RCPT TO:<r@d> {parameters}".rstrip()


def test_orcpt_that_is_no_utf8_depends_on_the_version() -> None:
    recipient = Recipient("k\udcff@d", "r@d", -1)
    assert commands.rcpt(SETTINGS, features.DSN, recipient, UTF8) == "RCPT TO:<r@d>"
    assert commands.rcpt(NEWEST, features.DSN, recipient, UTF8) == "RCPT TO:<r@d> ORCPT=rfc822;k+FF@d"


def test_notify_in_its_order() -> None:
    recipient = Recipient("", "r@d", -1, "", Notify.DELAY | Notify.SUCCESS)
    assert commands.rcpt(SETTINGS, features.DSN, recipient, SendOptions(0)) == "RCPT TO:<r@d> NOTIFY=SUCCESS,DELAY"


def test_xforward_leaves_out_what_is_not_known_or_not_announced() -> None:
    submission = Submission("Unknown", "192.0.2.1", "", "ESMTP", "he lo", rewrite_context="remote")
    assert commands.xforward(ALL & ~features.XFORWARD_PROTO, submission) == (
        "XFORWARD ADDR=192.0.2.1",
        "XFORWARD HELO=he+20lo SOURCE=REMOTE",
    )
    assert commands.xforward(features.XFORWARD_NAME, submission) == ("", "")
