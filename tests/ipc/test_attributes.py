"""The codec: ipc chapter 1."""

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postfix_smtp import log
from postfix_smtp.ipc.attributes import (
    STATUS,
    Decoder,
    Kind,
    Layout,
    ListError,
    announcement,
    data,
    encode,
    int32,
    int64,
    plain_text,
)
from postfix_smtp.text import to_text

NAME = "private/x socket"
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: "\0" not in name and name not in ("{", "}")
)
texts = st.binary(max_size=40).map(lambda octets: to_text(octets.replace(b"\0", b"")))


def read(
    octets: bytes, layout: Layout, *, ended: bool = True, timeout: bool = False, pieces: int = 0
) -> list[Any] | None:
    decoder = Decoder(NAME)
    result = None
    for start in range(0, len(octets), pieces or len(octets) or 1):
        decoder.feed(octets[start : start + (pieces or len(octets))])
        result = decoder.read(layout)
        if result is not None:
            return result
    if ended:
        decoder.end(timeout)
    return decoder.read(layout)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [(int32(-1), "4294967295"), (int32(-2), "4294967294"), (int32(7), "7"), (int64(-1), "18446744073709551615")],
)
def test_numbers_are_sent_unsigned(text: str, wanted: str) -> None:
    assert text == wanted


def test_list_ends_with_an_empty_name() -> None:
    assert encode([("property", "")]) == b"property\0\0\0"
    assert encode([("status", "0")]) == b"status\x000\0\0"
    assert encode([]) == b"\0"
    assert encode([("nrequest", "0")], end=False) == b"nrequest\x000\0"


def test_value_is_cut_at_nul() -> None:
    assert encode([("reason", "a\0b"), ("c", "d")]) == b"reason\0a\0c\0d\0\0"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (b"-1", -1),
        (b"+1", 1),
        (b" \t12", 12),
        (b"4294967295", -1),
        (b"4294967296", 0),
        (b"2147483648", -(2**31)),
        (b"0" * 5000 + b"7", 7),
        (b"-00000000000000000000001", -1),
    ],
)
def test_int_is_read_modulo_2_32(text: bytes, number: int) -> None:
    assert read(b"status\0" + text + b"\0\0", STATUS) == [number]


@pytest.mark.parametrize("text", [b"18446744073709551616", b"-18446744073709551616", b"9" * 5000, b" +" + b"9" * 25])
def test_numbers_too_large_for_64_bits_are_the_largest(text: bytes) -> None:
    assert read(b"status\0" + text + b"\0\0", STATUS) == [-1]


@pytest.mark.parametrize("text", [b"", b"1 ", b"1_0", b"0x1", b"one", b"--1", b"1.0"])
def test_bad_number_is_an_error(text: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ListError):
        read(b"status\0" + text + b"\0\0", STATUS)
    assert warnings(caplog) == [
        f"malformed numerical data from {NAME} while reading input attribute value: {text.decode()}"
    ]


def test_bad_number_is_shown_up_to_100_octets(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ListError):
        read(b"status\0" + b"x" * 200 + b"\0\0", STATUS)
    assert warnings(caplog)[0].endswith("value: " + "x" * 100)


def test_long_is_signed() -> None:
    assert read(b"offset\x0018446744073709551615\0\0", Layout(("offset", Kind.LONG))) == [-1]


@pytest.mark.parametrize("text", [b"QQ", b"QQ=", b"Q===", b"Q\xff==", b"QQ==QQ=="])
def test_bad_data_is_an_error(text: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ListError):
        read(b"seed\0" + text + b"\0\0", Layout(("seed", Kind.DATA)))
    assert warnings(caplog)[0].startswith(f"malformed base64 data from {NAME} while reading input attribute value: ")


@given(st.binary(max_size=50))
def test_data_comes_back(octets: bytes) -> None:
    assert read(encode([("seed", data(octets))]), Layout(("seed", Kind.DATA))) == [octets]


@given(st.lists(st.tuples(names, texts), min_size=1, max_size=8), st.integers(1, 50))
def test_lists_come_back_in_pieces_of_any_size(attributes: list[tuple[str, str]], pieces: int) -> None:
    layout = Layout(*[(name, Kind.STR) for name, _ in attributes])
    assert read(encode(attributes), layout, pieces=pieces) == [value for _, value in attributes]


@given(st.lists(st.lists(st.tuples(names, texts), min_size=1, max_size=4), min_size=1, max_size=4))
def test_lists_in_a_row_are_read_one_by_one(lists: list[list[tuple[str, str]]]) -> None:
    decoder = Decoder(NAME)
    decoder.feed(b"".join(encode(attributes) for attributes in lists))
    for attributes in lists:
        layout = Layout(*[(name, Kind.STR) for name, _ in attributes])
        assert decoder.read(layout) == [value for _, value in attributes]
    assert not decoder.pending


@given(st.binary(max_size=80), st.booleans())
def test_any_octets_give_values_or_an_error(octets: bytes, strict: bool) -> None:
    layout = Layout(("a", Kind.INT), ("b", Kind.STR), strict=strict)
    decoder = Decoder(NAME)
    decoder.feed(octets)
    decoder.end()
    try:
        values = decoder.read(layout)
    except ListError:
        return
    assert values is not None
    assert len(values) == 2


@given(st.lists(st.tuples(names, texts), min_size=1, max_size=6))
def test_a_truncated_list_is_never_taken_for_whole(attributes: list[tuple[str, str]]) -> None:
    octets = encode(attributes)
    layout = Layout(*[(name, Kind.STR) for name, _ in attributes])
    for length in range(len(octets)):
        decoder = Decoder(NAME)
        decoder.feed(octets[:length])
        assert decoder.read(layout) is None


def test_names_may_repeat_with_different_meanings() -> None:
    layout = Layout(("status", Kind.STR), ("status", Kind.INT))
    assert read(b"status\x004.4.1\0status\x004294967295\0\0", layout) == ["4.4.1", -1]


def test_strict_receiver_stops_at_another_attribute(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ListError):
        read(b"W\0", Layout(("flags", Kind.INT)), ended=False)
    assert warnings(caplog) == [f"unexpected attribute W from {NAME} (expecting: flags)"]


def test_lenient_receiver_skips_other_attributes(caplog: pytest.LogCaptureFixture) -> None:
    layout = Layout(("status", Kind.INT), strict=False)
    assert read(b"new\0x\0status\x000\0newer\0y\0\0", layout) == [0]
    assert warnings(caplog) == []


def test_early_end_of_a_list(caplog: pytest.LogCaptureFixture) -> None:
    for layout in (Layout(("a", Kind.INT), ("b", Kind.INT)), Layout(("a", Kind.INT), ("b", Kind.INT), strict=False)):
        with pytest.raises(ListError):
            read(b"a\x001\0\0", layout)
        assert warnings(caplog) == [f"missing attribute b in input from {NAME}"]
        caplog.clear()
    with pytest.raises(ListError):
        read(b"a\x001\0\0", Layout(("a", Kind.INT), ("b", Kind.INT), strict=False, missing=False))
    assert warnings(caplog) == []


def test_attribute_after_the_last_is_warned_about_and_tolerated(caplog: pytest.LogCaptureFixture) -> None:
    assert read(b"status\x000\0extra\0x\0\0", STATUS) == [0]
    assert warnings(caplog) == [f"unexpected attribute extra from {NAME} (expecting: (list terminator))"]


def test_end_before_the_first_octet_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    for timeout in (False, True):
        with pytest.raises(ListError) as caught:
            read(b"", STATUS, timeout=timeout)
        assert caught.value.empty
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("octets", "timeout", "text"),
    [
        (b"sta", False, "unexpected end-of-input from {} while reading input attribute name"),
        (b"sta", True, "unexpected end-of-input from {} while reading input attribute name"),
        (b"status\x001", False, "unexpected end-of-input from {} while reading input attribute value"),
        (b"status\0", False, "premature end-of-input on {} while reading input attribute value"),
        (b"status\0", True, "timeout on {} while reading input attribute value"),
        (b"status\x001\0", False, "premature end-of-input on {} while reading input attribute name"),
    ],
)
def test_end_inside_a_list(octets: bytes, timeout: bool, text: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ListError) as caught:
        read(octets, STATUS, timeout=timeout)
    assert not caught.value.empty
    assert warnings(caplog) == [text.format(NAME)]


def test_announcement() -> None:
    layout = announcement("delivery_request_protocol")
    octets = b"protocol\0delivery_request_protocol\0\0"
    assert len(octets) == 36
    assert read(octets, layout) == []
    assert read(octets, layout, pieces=5) == []


def test_wrong_announcement(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ListError):
        read(b"protocol\0smtp_protocol\0\0", announcement("delivery_request_protocol"))
    assert warnings(caplog) == [f"unexpected protocol smtp_protocol from {NAME} (expected: delivery_request_protocol)"]


def test_alias_is_as_good_as_the_name() -> None:
    layout = Layout(("smtputf8", Kind.INT), alias={"smtputf8": "sendopts"})
    assert read(b"smtputf8\x001\0\0", layout) == read(b"sendopts\x001\0\0", layout) == [1]


def test_a_layout_can_leave_the_rest_to_another() -> None:
    decoder = Decoder(NAME)
    decoder.feed(b"request\0seed\0size\x0032\0\0")
    assert decoder.read(Layout(("request", Kind.STR), more=True)) == ["seed"]
    assert decoder.read(Layout(("size", Kind.INT))) == [32]


def test_argv() -> None:
    layout = Layout(("", Kind.ARGV), ("x", Kind.STR))
    assert read(b"argv_size\x002\0argv_value\0a\0argv_value\0\0x\0y\0\0", layout) == [["a", ""], "y"]
    assert read(b"argv_size\x000\0x\0y\0\0", layout) == [[], "y"]


def test_group_keeps_the_first_of_a_name(caplog: pytest.LogCaptureFixture) -> None:
    octets = b"{\0a\x001\0a\x002\0b\0\0}\0x\0y\0\0"
    assert read(octets, Layout(("", Kind.HASH), ("x", Kind.STR)), pieces=3) == [{"a": "1", "b": ""}, "y"]
    assert warnings(caplog) == [f"duplicate attribute a in input from {NAME}"]


def test_group_is_limited(caplog: pytest.LogCaptureFixture) -> None:
    octets = b"".join(b"n%d\0v\0" % number for number in range(1025))
    with pytest.raises(ListError):
        read(octets + b"\0", Layout(("", Kind.REST)))
    assert warnings(caplog) == [f"attribute count exceeds limit 1024 in input from {NAME}"]


def test_verbose_reading_and_writing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    token = log.verbosity.set(1)
    try:
        encode([("status", "0")])
        assert read(b"status\x000\0\0", STATUS, pieces=3) == [0]
    finally:
        log.verbosity.reset(token)
    assert [record.getMessage() for record in caplog.records] == [
        "send attr status = 0",
        f"{NAME}: wanted attribute: status",
        "input attribute name: status",
        "input attribute value: 0",
        f"{NAME}: wanted attribute: (list terminator)",
        "input attribute name: (end)",
    ]


def test_plain_form() -> None:
    assert plain_text([("tls_level", "0"), ("reuse_count", "1")]) == "tls_level=0\nreuse_count=1\n\n"
