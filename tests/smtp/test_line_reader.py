"""Lines out of octets."""

from hypothesis import given
from hypothesis import strategies as st

from postfix_smtp.smtp.line_reader import LineReader

LIMIT = 16


def lines_of(pieces: list[bytes], *, cut_endless: bool = False) -> list[tuple[bytes, bool]]:
    """All lines, and whether each was cut."""
    reader = LineReader(LIMIT, cut_endless=cut_endless)
    got = []
    for piece in pieces:
        if not reader.was_endless:
            reader.feed(piece)
        while (line := reader.next_line()) is not None:
            got.append((line, reader.was_cut))
    return got


def test_line_ends_at_lf_and_loses_all_crs_before_it() -> None:
    assert lines_of([b"250 a\r\n250 b\n250 c\r\r\n25\r0\r\n"]) == [
        (b"250 a", False),
        (b"250 b", False),
        (b"250 c", False),
        (b"25\r0", False),
    ]


def test_longest_line_includes_its_end() -> None:
    assert lines_of([b"x" * 14 + b"\r\n", b"y" * 16 + b"\n"]) == [(b"x" * 14, False), (b"y" * 16, True)]


def test_rest_of_a_long_line_is_skipped_up_to_its_end() -> None:
    assert lines_of([b"z" * 100, b"z" * 100 + b"\nnext\n"]) == [(b"z" * 16, True), (b"next", False)]


def test_endless_line_counts_and_ends_the_input() -> None:
    reader = LineReader(LIMIT, cut_endless=True)
    reader.feed(b"z" * 31)
    assert reader.next_line() is None
    reader.feed(b"z\nnext\n")
    assert reader.next_line() == b"z" * 16
    assert reader.was_endless
    assert reader.next_line() is None


def test_cr_that_comes_last_may_have_its_lf() -> None:
    assert lines_of([b"z" * 15 + b"\r\nnext\n"]) == [(b"z" * 15, False), (b"next", False)]
    assert lines_of([b"z" * 15 + b"\r\r\nnext\n"]) == [(b"z" * 15 + b"\r", True), (b"next", False)]


def test_line_of_twice_the_length_has_an_end_in_time() -> None:
    assert lines_of([b"z" * 31 + b"\nnext\n"], cut_endless=True) == [(b"z" * 16, True), (b"next", False)]


def test_forgotten_input_does_not_come_back() -> None:
    reader = LineReader(LIMIT, cut_endless=False)
    reader.feed(b"220 go\r\n250 early\r\n")
    assert reader.next_line() == b"220 go"
    reader.clear()
    assert reader.is_empty
    reader.feed(b"250 ok\r\n")
    assert reader.next_line() == b"250 ok"


@given(st.lists(st.sampled_from([b"a", b"\n", b"\r\n", b"b" * 15, b"c" * 16, b"d" * 33, b"\r"])), st.booleans())
def test_how_octets_arrive_never_shows(pieces: list[bytes], cut_endless: bool) -> None:
    whole = b"".join(pieces)
    octets = [whole[i : i + 1] for i in range(len(whole))]
    assert lines_of(pieces, cut_endless=cut_endless) == lines_of(octets, cut_endless=cut_endless)
    assert lines_of([whole], cut_endless=cut_endless) == lines_of(octets, cut_endless=cut_endless)


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_no_more_is_held_than_one_line_and_one_piece(pieces: list[bytes]) -> None:
    reader = LineReader(LIMIT, cut_endless=False)
    for piece in pieces:
        reader.feed(piece)
        while reader.next_line() is not None:
            pass
        assert len(reader._buffer) - reader._start <= LIMIT
