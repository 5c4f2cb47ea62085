"""Splitting and choosing."""

import pytest

from postfix_smtp.config.lists import choice, known_in_any_case, mask, split, split_tables
from postfix_smtp.errors import FatalError


def test_plain_lists_have_no_empty_items_and_no_quotes() -> None:
    assert split(" a,, b\t{c d}\r\n") == ["a", "b", "{c", "d}"]


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("hash:/a, inline:{a=b, c=d} x", ["hash:/a", "inline:{a=b, c=d}", "x"]),
        ("pipemap:{a {b c}},d", ["pipemap:{a {b c}}", "d"]),
        ("inline:{a b", ["inline:{a b"]),
        ("a}b c", ["a}b", "c"]),
        (" , ", []),
    ],
)
def test_braces_hold_a_table_together(text: str, items: list[str]) -> None:
    assert split_tables(text) == items


def test_mask_takes_exact_names_and_names_the_unknown_one() -> None:
    assert mask("n", "dns, native", frozenset(("dns", "native"))) == {"dns", "native"}
    with pytest.raises(FatalError, match=r'^unknown smtp_host_lookup value "DNS" in "native DNS"$'):
        mask("smtp_host_lookup", "native DNS", frozenset(("dns", "native")))


def test_choice_is_made_in_any_case() -> None:
    assert choice("IPv4", {"ipv4": 4}, "bad") == 4
    with pytest.raises(FatalError, match=r"^bad value$"):
        choice("ipv5", {"ipv4": 4}, "bad value")


def test_unknown_keywords_can_be_ignored() -> None:
    assert known_in_any_case("Silent-Discard, foo PIPELINING", frozenset(("pipelining", "silent-discard"))) == {
        "pipelining",
        "silent-discard",
    }
