"""postfix_smtp.printable: process chapter 14.7."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postfix_smtp.printable import is_strict, printable
from postfix_smtp.text import to_octets, to_text

OBSERVED = bytes.fromhex("c3a980e28278eda080c3a9a9")


def test_postfix_3_7_keeps_everything_that_looks_like_a_sequence() -> None:
    assert to_octets(printable(OBSERVED, utf8=True, strict=False)) == OBSERVED


def test_postfix_3_9_keeps_well_formed_utf8_only() -> None:
    assert to_octets(printable(OBSERVED, utf8=True, strict=True)) == bytes.fromhex("c3a93f3f3f783f3f3fc3a93f")


def test_without_smtputf8_every_octet_counts() -> None:
    assert printable(OBSERVED, utf8=False, strict=False) == "?????x??????"


@pytest.mark.parametrize("octets", [b"a\tb\r\n\x7fc", "a\tb\r\n\x7fc"])
def test_controls_are_replaced(octets: str | bytes) -> None:
    for utf8 in (False, True):
        for strict in (False, True):
            assert printable(octets, utf8, strict) == "a?b???c"


def test_nul_ends_the_text() -> None:
    assert printable(b"abc\0def", utf8=False, strict=False) == "abc"
    assert printable(b"abc\0def", utf8=True, strict=True) == "abc"
    assert printable(b"abc\0def", utf8=True, strict=False) == "abc"


def test_c1_controls_are_valid_utf8() -> None:
    assert printable(b"\xc2\x85", utf8=True, strict=True) == "\x85"


def test_lead_octet_without_continuation_is_replaced_by_the_loose_rule() -> None:
    assert printable(b"\xc3x\xff\x80", utf8=True, strict=False) == "?x??"


@given(st.binary(max_size=60))
def test_strict_result_is_utf8_and_has_the_length_of_the_text(octets: bytes) -> None:
    result = printable(octets, utf8=True, strict=True).encode("utf-8")
    assert len(result) == len(octets.partition(b"\0")[0])


@given(st.binary(max_size=60), st.booleans(), st.booleans())
def test_octets_and_their_text_give_the_same_and_twice_is_once(octets: bytes, utf8: bool, strict: bool) -> None:
    once = printable(octets, utf8, strict)
    assert once == printable(to_text(octets), utf8, strict) == printable(once, utf8, strict)


def test_version_decides() -> None:
    assert not is_strict((3, 8, 16))
    assert is_strict((3, 9, 0))
