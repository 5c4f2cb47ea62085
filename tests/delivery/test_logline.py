import pytest

from postfix_smtp.delivery.logline import Timeline, format_delay, recipient_line
from postfix_smtp.dsn import Dsn
from postfix_smtp.ipc.request import Recipient

VALUES = (0.004, 0.005, 0.0149, 0.0994, 0.123, 0.149, 0.996, 1.04, 1.06, 9.96, 10.4, 10.6, 123.6)
EXPECTED = {
    2: "0 0.01 0.01 0.1 0.12 0.15 1 1 1.1 10 10 11 124",
    3: "0.004 0.005 0.015 0.099 0.12 0.15 1 1 1.1 10 10 11 124",
    0: "0 0 0 0 0 0 1 1 1 10 10 11 124",
}


@pytest.mark.parametrize("digits", EXPECTED)
def test_two_significant_digits_at_most(digits: int) -> None:
    assert " ".join(format_delay(value, digits) for value in VALUES) == EXPECTED[digits]


def test_negative_delays_are_zero() -> None:
    assert format_delay(-3.2, 2) == "0"


def test_delays_with_and_without_a_transaction() -> None:
    line = Timeline(arrival=100.0, active=112.0, handoff=113.9)
    assert line.delays(115.1, 2) == ("15", "12/1.9/0/1.2")
    line.setup, line.done = 114.4, 115.0
    assert line.delays(999.0, 2) == ("15", "12/1.9/0.5/0.6")


DSN = Dsn("2.0.0", "250 2.0.0 Ok: queued as 12345")
RELAY = "mx1.dest.example[127.0.0.2]:25"


def line(recipient: Recipient, uses: int = 1, *, external: bool = True, utf8: bool = True, tls: str = "") -> str:
    delays = ("1", "0/0/0/1")
    return recipient_line("1A2B", recipient, RELAY, uses, delays, DSN, "sent", external=external, utf8=utf8, tls=tls)


def test_the_line_of_a_delivered_recipient() -> None:
    assert line(Recipient("alias@local.example", "user@dest.example", 5)) == (
        "1A2B: to=<user@dest.example>, orig_to=<alias@local.example>, relay=mx1.dest.example[127.0.0.2]:25, delay=1, "
        "delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 12345)"
    )


def test_the_original_recipient_is_shown_only_if_it_differs_in_more_than_case() -> None:
    assert "orig_to" not in line(Recipient("USER@DEST.example", "user@dest.example", 5))
    assert "orig_to" not in line(Recipient("", "user@dest.example", 5))


def test_case_is_a_matter_of_unicode_if_that_is_on() -> None:
    recipient = Recipient("\u00fc@dest.example", "\u00dc@DEST.example", 5)
    assert "orig_to" not in line(recipient)
    assert "orig_to=<\u00fc@dest.example>" in line(recipient, utf8=False)


def test_connection_use_and_tls_come_in_their_places() -> None:
    text = line(Recipient("", "u@d.example", 5), 3, tls="may:none")
    assert ":25, conn_use=3, delay=" in text
    assert "delays=0/0/0/1, tls=may:none, dsn=" in text


def test_addresses_are_quoted_in_external_form_only() -> None:
    assert 'to=<"white space"@x>' in line(Recipient("", "white space@x", 5))
    assert "to=<white space@x>" in line(Recipient("", "white space@x", 5), external=False)
