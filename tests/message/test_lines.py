"""Dots, length limit, CR LF (message chapter 3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postfix_smtp.message.lines import LineOutput
from postfix_smtp.queue.records import LINE, PIECE

Chunks = list[tuple[int, bytes]]


def sent(limit: int, chunks: Chunks) -> tuple[bytes, int]:
    breaks = []
    lines = LineOutput(limit, lambda: breaks.append(1))
    for kind, text in chunks:
        lines.put(kind, text)
    return lines.take(), len(breaks)


@pytest.mark.parametrize(
    ("limit", "chunks", "expected"),
    [
        (998, [(LINE, b".")], b"..\r\n"),
        (998, [(LINE, b"a.")], b"a.\r\n"),
        (998, [(PIECE, b"a"), (LINE, b".b")], b"a.b\r\n"),
        (998, [(PIECE, b""), (LINE, b".x")], b"..x\r\n"),
        (998, [(LINE, b"\n.\n")], b"\n.\n\r\n"),
        (998, [(LINE, b"x" * 998)], b"x" * 998 + b"\r\n"),
        (998, [(LINE, b"x" * 999)], b"x" * 998 + b"\r\n x\r\n"),
        (998, [(PIECE, b"x" * 998), (LINE, b"")], b"x" * 998 + b"\r\n \r\n"),
        (0, [(PIECE, b"." * 5000), (LINE, b"." * 5000)], b"." * 10001 + b"\r\n"),
        (20, [(LINE, b"." * 45)], b"." * 21 + b"\r\n " + b"." * 19 + b"\r\n " + b"." * 6 + b"\r\n"),
        (20, [(PIECE, b"." * 20), (LINE, b".")], b"." * 21 + b"\r\n .\r\n"),
        (2, [(LINE, b"abcd")], b"ab\r\n c\r\n d\r\n"),
    ],
)
def test_chunks_become_lines(limit: int, chunks: Chunks, expected: bytes) -> None:
    assert sent(limit, chunks)[0] == expected


def test_breaks_are_reported() -> None:
    assert sent(10, [(LINE, b"x" * 10)])[1] == 0
    assert sent(10, [(LINE, b"x" * 11)])[1] == 1


def test_a_line_without_end_is_ended() -> None:
    lines = LineOutput(998, lambda: None)
    lines.put(PIECE, b"abc")
    assert not lines.at_start
    lines.end()
    assert lines.at_start
    assert lines.take() == b"abc\r\n"


def test_several_lines_are_split_at_line_feeds() -> None:
    lines = LineOutput(998, lambda: None)
    lines.lines(b"a\n.b\n\tc")
    assert lines.take() == b"a\r\n..b\r\n\tc\r\n"


@pytest.mark.parametrize(("limit", "plain"), [(998, 998), (127, 127), (126, 0), (2, 0), (0, 2**31)])
def test_short_limits_are_not_for_the_fast_way(limit: int, plain: int) -> None:
    assert LineOutput(limit, lambda: None).plain_limit == plain


@given(st.integers(2, 30), st.lists(st.text("ab.", max_size=40).map(str.encode), max_size=6))
def test_no_line_is_longer_than_the_limit_and_nothing_is_lost(limit: int, texts: list[bytes]) -> None:
    chunks: Chunks = [(PIECE, text) for text in texts] + [(LINE, b"")]
    wire = sent(limit, chunks)[0]
    lines = wire.split(b"\r\n")
    assert lines.pop() == b""
    first, *rest = lines
    if first.startswith(b"."):
        first = first[1:]
    assert all(len(line) <= limit for line in [first, *rest])
    assert all(line.startswith(b" ") for line in rest)
    assert first + b"".join(line[1:] for line in rest) == b"".join(texts)
