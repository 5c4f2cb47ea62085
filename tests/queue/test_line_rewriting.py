"""Records of lines turned into lines on the wire (queue-file chapter 2, RFC 5321 section 4.5.2)."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compat.queue_file import encode_record
from postfix_smtp.queue.line_rewriting import LINE, find_stray_dot, rewrite, wire

_LONGEST = 990


def _buffer(texts: list[bytes], after: bytes = b"X\0") -> tuple[bytearray, int]:
    """Records with these texts, something else behind them, and where that begins."""
    records = b"".join(encode_record(b"N", text) for text in texts)
    return bytearray(records + after + bytes(2)), len(records)


def _on_the_wire(texts: list[bytes]) -> bytes:
    return b"".join((b"." if text.startswith(b".") else b"") + text + b"\r\n" for text in texts)


def _short_texts(number: int, alphabet: bytes) -> list[bytes]:
    source = random.Random(number)
    return [bytes(source.choices(alphabet, k=source.randrange(80))) for _ in range(number)]


text = st.one_of(
    st.binary(max_size=140).map(lambda octets: octets.replace(b"\n", b"")),
    st.sampled_from([b"", b".", b"..", b".123456789", b"--", b"---", b"N" * 10, b"x" * 127, b"x" * 128, b"." * 300]),
)


@settings(max_examples=300)
@given(st.lists(text, max_size=12), st.integers(1, 60), st.booleans())
def test_lines_of_any_length_come_out_with_crlf_and_stuffed_dots(
    texts: list[bytes], times: int, look_for_dots: bool
) -> None:
    texts *= times
    buffer, end = _buffer(texts)
    pieces = rewrite(buffer, 0, end, _LONGEST, False, look_for_dots=look_for_dots)
    if not texts:
        assert not pieces
        return
    assert pieces[-1][1] == end
    assert wire(buffer, pieces, dots_stuffed=look_for_dots) == _on_the_wire(texts)


@pytest.mark.parametrize("odd", [b"L", b"w", b"X"])
@pytest.mark.parametrize("number", [0, 1, 31, 32, 33, 1000])
def test_another_record_among_many_short_lines_is_left_alone(odd: bytes, number: int) -> None:
    texts = _short_texts(number, b"abc")
    buffer, end = _buffer(texts, encode_record(odd, b"piece") + _buffer(_short_texts(500, b"def"))[0])
    before = bytes(buffer[end:])
    pieces = rewrite(buffer, 0, len(buffer) - 2, _LONGEST, False)
    assert (pieces[-1][1] if pieces else 0) == end
    assert buffer[end:] == before


@pytest.mark.parametrize("length", [128, 990])
def test_a_long_line_among_many_short_ones_goes_with_them(length: int) -> None:
    texts = [*_short_texts(200, b"abc"), b"x" * length, *_short_texts(200, b"abc")]
    buffer, end = _buffer(texts)
    assert wire(buffer, rewrite(buffer, 0, end, _LONGEST, False), dots_stuffed=False) == _on_the_wire(texts)


def test_a_line_that_needs_folding_is_left_alone() -> None:
    texts = [*_short_texts(200, b"abc"), b"x" * (_LONGEST + 1)]
    buffer, end = _buffer(texts)
    assert rewrite(buffer, 0, end, _LONGEST, False)[-1][1] == end - len(texts[-1]) - 3


def test_a_record_that_is_not_whole_is_left_alone() -> None:
    texts = _short_texts(300, b"abc")
    for cut in range(1, 400):
        buffer, end = _buffer(texts)
        pieces = rewrite(buffer, 0, end - cut, _LONGEST, False)
        lines = wire(buffer, pieces, dots_stuffed=False)
        number = lines.count(b"\n")
        assert lines == _on_the_wire(texts[:number])
        assert end - pieces[-1][1] == sum(len(encode_record(b"N", line)) for line in texts[number:])
        assert buffer[pieces[-1][1]] == LINE
        assert pieces[-1][1] <= end - cut < pieces[-1][1] + len(texts[number]) + 2


def test_runs_of_equal_lengths_between_others() -> None:
    texts = [*_short_texts(100, b"abc"), *[b"y" * 76] * 300, *_short_texts(100, b"abc"), *[b""] * 300, b"z"]
    buffer, end = _buffer(texts)
    assert wire(buffer, rewrite(buffer, 0, end, _LONGEST, False), dots_stuffed=False) == _on_the_wire(texts)


@pytest.mark.parametrize("where", [0, 5, 199])
def test_dashes_stop_when_wanted(where: int) -> None:
    texts = _short_texts(200, b"abc")
    texts[where] = b"--boundary"
    buffer, _ = _buffer(texts)
    pieces = rewrite(buffer, 0, len(buffer) - 4, _LONGEST, True)
    assert (pieces[-1][1] if pieces else 0) == sum(len(line) + 2 for line in texts[:where])


def test_find_stray_dot_sees_only_what_looks_like_the_start_of_a_line() -> None:
    assert find_stray_dot(*_arguments([b"ab\r\n.c"])) == 5
    buffer, end = _buffer([b".123456789", b"a\n.b", b".", b"a\r\nb"])
    assert find_stray_dot(buffer, 0, end) == end + 1


def test_find_stray_dot_behind_many_line_feeds() -> None:
    texts = [b"0123456789"] * 500
    assert find_stray_dot(*_arguments(texts)) == 6001
    assert find_stray_dot(*_arguments([*texts, b"\r\n."])) == 6003


def test_a_bare_line_feed_is_no_start_of_a_line() -> None:
    texts = [b"a\n.b", b".c", b"\n.", b"x\r"] * 100
    buffer, end = _buffer(texts)
    assert wire(buffer, rewrite(buffer, 0, end, _LONGEST, False), dots_stuffed=False) == _on_the_wire(texts)


def _arguments(texts: list[bytes]) -> tuple[bytearray, int, int]:
    buffer, end = _buffer(texts)
    return buffer, 0, end
