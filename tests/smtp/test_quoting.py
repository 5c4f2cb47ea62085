"""Addresses in commands and headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postfix_smtp.smtp.quoting import quote_821, quote_822, unquote_822

RECORDED = [
    ("first.last@d.example", "first.last@d.example"),
    (".lead@d.example", '".lead"@d.example'),
    ("trail.@d.example", '"trail."@d.example'),
    ("dot..dot@d.example", '"dot..dot"@d.example'),
    ("sp ace@d.example", '"sp ace"@d.example'),
    ('q"uote@d.example', '"q\\"uote"@d.example'),
    ("back\\slash@d.example", '"back\\\\slash"@d.example'),
    ("a@b@d.example", '"a@b"@d.example'),
    ("semi;colon:@d.example", '"semi;colon:"@d.example'),
    ("ctl\x01\x7f@d.example", '"ctl\x01\x7f"@d.example'),
    ("user@", "user@"),
    ("postmaster", "postmaster"),
    ("nodomain part", '"nodomain part"'),
    ("pct%hack@d", "pct%hack@d"),
    ("star*&^$#!?/|`{}~@d", "star*&^$#!?/|`{}~@d"),
    ("kö@d.example", "kö@d.example"),
    ("", ""),
]


@pytest.mark.parametrize(("internal", "external"), [*RECORDED, ("@d.example", '""@d.example')])
def test_command_form(internal: str, external: str) -> None:
    assert quote_821(internal) == external


@pytest.mark.parametrize(("internal", "external"), RECORDED)
def test_header_form(internal: str, external: str) -> None:
    assert quote_822(internal) == external


def test_line_ends_are_escaped_in_commands() -> None:
    assert quote_821("a\r\nb@d") == '"a\\\r\\\nb"@d'


def test_source_route_is_quoted_in_commands_and_copied_in_headers() -> None:
    assert quote_821("@a,@b:us er@d") == '"@a,@b:us er"@d'
    assert quote_822("@a,@b:us er@d") == '@a,@b:"us er"@d'


@given(st.text(alphabet=st.sampled_from('ab."\\ ,;:<>()[]\r\x01ö')), st.sampled_from(["@d.example", "@[1.2.3.4]"]))
def test_header_form_can_be_undone(local: str, domain: str) -> None:
    assert unquote_822(quote_822(local + domain)) == local + domain


@pytest.mark.parametrize(
    ("external", "internal"),
    [('"a\\"b"@d', 'a"b@d'), ('"a@b"@c', "a@b@c"), ('@r:"x y"@d', "@r:x y@d"), ("a\\b@d", "ab@d"), ("a", "a")],
)
def test_unquoting(external: str, internal: str) -> None:
    assert unquote_822(external) == internal
