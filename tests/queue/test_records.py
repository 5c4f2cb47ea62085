"""Reading records (queue-file chapters 2, 5, 9.1)."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compat.queue_file import encode_record
from postfix_smtp.errors import FatalError
from postfix_smtp.queue import records as module
from postfix_smtp.queue.records import (
    BAD_RECORD,
    END_OF_CONTENT,
    END_OF_FILE,
    LINE,
    PAUSE,
    PIECE,
    RecordReader,
    ReverseJumps,
)

Found = list[tuple[int, bytes]]


class Scratch:
    """A file with given octets, and readers of it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def reader(
        self,
        octets: bytes,
        offset: int = 0,
        *,
        length_octets: int = 5,
        jumps: ReverseJumps | None = None,
        hint: int = 0,
    ) -> RecordReader:
        self.path.write_bytes(octets)
        self.descriptor = os.open(self.path, os.O_RDONLY)
        return RecordReader(self.descriptor, "active/ABC", offset, length_octets, jumps or ReverseJumps(), hint)

    def all(self, octets: bytes, **options: int) -> Found:
        reader = self.reader(octets, **options)  # type: ignore[arg-type]
        found: Found = []
        while (kind := reader.next()) in (LINE, PIECE, PAUSE):
            if kind != PAUSE:
                found.append((kind, reader.text))
        os.close(self.descriptor)
        return [*found, (kind, b"")]


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return Scratch(tmp_path / "file")


def record(kind: str, data: bytes = b"") -> bytes:
    return encode_record(kind.encode(), data)


def pointer(offset: int) -> bytes:
    return record("p", b"%15d" % offset)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 200, 2048, 16383, 16384, 300_000])
def test_lengths_are_read_in_full(scratch: Scratch, size: int) -> None:
    data = b"x" * size
    assert scratch.all(record("N", data) + record("X")) == [(LINE, data), (END_OF_CONTENT, b"")]


def test_a_length_may_be_longer_than_needed(scratch: Scratch) -> None:
    assert scratch.all(b"N\x85\x80\x00helloX\0") == [(LINE, b"hello"), (END_OF_CONTENT, b"")]


def test_five_length_octets_are_for_older_releases(scratch: Scratch, caplog: pytest.LogCaptureFixture) -> None:
    octets = b"N\x85\x80\x80\x80\x00helloX\0"
    assert scratch.all(octets, length_octets=5) == [(LINE, b"hello"), (END_OF_CONTENT, b"")]
    assert caplog.messages == []
    assert scratch.all(octets, length_octets=4) == [(BAD_RECORD, b"")]
    assert caplog.messages == ["active/ABC: too many length bits, record type 78"]


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        (b"N", "active/ABC: unexpected EOF reading length, record type 78"),
        (b"L\x80", "active/ABC: unexpected EOF reading length, record type 76"),
        (b"N\x80\x80\x80\x80\x80\x00", "active/ABC: too many length bits, record type 78"),
        (b"N\x80\x80\x80\x80\x08", "active/ABC: illegal length -2147483648, record type 78"),
        (b"N\x20abc", "active/ABC: unexpected EOF in data, record type 78 length 32"),
        (b"N\xff\xff\xff\x7fabc", "active/ABC: unexpected EOF in data, record type 78 length 268435455"),
        (record("p", b"   abc"), "active/ABC: malformed pointer record value: abc"),
        (record("p", b"-1"), "active/ABC: malformed pointer record value: -1"),
        (record("p", b"10 "), "active/ABC: malformed pointer record value: 10 "),
        (record("p", b"9" * 19), "active/ABC: malformed pointer record value: " + "9" * 19),
        (record("p", b"\xff"), "active/ABC: malformed pointer record value: \udcff"),
        (record("p", b"%d" % (2**63 - 1)), "active/ABC: seek error after pointer record: Invalid argument"),
    ],
)
def test_damage_is_logged(scratch: Scratch, caplog: pytest.LogCaptureFixture, octets: bytes, message: str) -> None:
    found = scratch.all(record("N", b"before") + octets)
    if found[-1][0] == END_OF_FILE and "seek error" in message:
        pytest.skip("this file system can seek anywhere")
    assert found == [(LINE, b"before"), (BAD_RECORD, b"")]
    assert caplog.messages == [message]


def test_a_large_length_does_not_take_memory(scratch: Scratch) -> None:
    reader = scratch.reader(b"N\xff\xff\xff\x7fabc")
    assert reader.next() == BAD_RECORD
    assert len(reader._buffer) < 10_000


@pytest.mark.parametrize("kind", ["Z", "E", "C", "M", "\x01"])
def test_another_type_ends_the_content(scratch: Scratch, kind: str) -> None:
    assert scratch.all(record("N", b"a") + record(kind, b"zz")) == [(LINE, b"a"), (ord(kind), b"")]


def test_the_end_of_the_file_is_a_type(scratch: Scratch) -> None:
    assert scratch.all(record("N", b"a")) == [(LINE, b"a"), (END_OF_FILE, b"")]
    assert scratch.all(record("N", b"a"), offset=1000) == [(END_OF_FILE, b"")]


@pytest.mark.parametrize("data", [b"0", b"              0", b"", b"000", b"0\0abc", b"  \0 7"])
def test_a_pointer_to_zero_is_skipped(scratch: Scratch, data: bytes) -> None:
    octets = record("L", b"a") + record("p", data) + record("w", b"xxx 0") + record("N", b"b") + record("X")
    assert scratch.all(octets) == [(PIECE, b"a"), (LINE, b"b"), (END_OF_CONTENT, b"")]


def test_pointers_lead_forward_and_back(scratch: Scratch) -> None:
    first = record("N", b"one")
    tail = record("N", b"three") + record("X") + record("E")
    heap_at = len(first) + 17 + len(record("N", b"LOST")) + len(tail)
    back_at = len(first) + 17 + len(record("N", b"LOST"))
    octets = first + pointer(heap_at) + record("N", b"LOST") + tail + record("N", b"two") + pointer(back_at)
    assert scratch.all(octets) == [(LINE, b"one"), (LINE, b"two"), (LINE, b"three"), (END_OF_CONTENT, b"")]


def test_a_pointer_beyond_the_end_is_the_end(scratch: Scratch, caplog: pytest.LogCaptureFixture) -> None:
    assert scratch.all(pointer(10_000)) == [(END_OF_FILE, b"")]
    assert caplog.messages == []


def test_many_jumps_back_are_followed_up_to_a_limit(scratch: Scratch, caplog: pytest.LogCaptureFixture) -> None:
    size = len(pointer(1))

    def descending(count: int) -> bytes:
        # records 0 .. count; record 0 jumps to the last; each of the others to the one before; record 1 to the end
        end = size * (count + 2)
        rows = [pointer(size * (count + 1)), pointer(end)]
        rows += [pointer(size * (index - 1)) for index in range(2, count + 2)]
        return b"".join(rows) + record("N", b"end") + record("X")

    assert scratch.all(descending(9990)) == [(LINE, b"end"), (END_OF_CONTENT, b"")]
    assert caplog.messages == []
    assert scratch.all(descending(10002)) == [(BAD_RECORD, b"")]
    assert caplog.messages == ["active/ABC: too many reverse jump records"]


def test_a_pointer_to_itself_ends(scratch: Scratch, caplog: pytest.LogCaptureFixture) -> None:
    octets = record("N", b"a") + pointer(3)
    assert scratch.all(octets) == [(LINE, b"a"), (BAD_RECORD, b"")]
    assert caplog.messages == ["active/ABC: too many reverse jump records"]


def test_jumps_back_add_up_over_several_reads(scratch: Scratch) -> None:
    jumps = ReverseJumps()
    assert not any(jumps.exceeded(1) for _ in range(10_001))
    assert jumps.exceeded(1)


def test_a_read_error_is_fatal(scratch: Scratch) -> None:
    reader = scratch.reader(record("X"))
    os.close(scratch.descriptor)
    with pytest.raises(FatalError, match=r"^queue file read error$"):
        reader.next()


# The fast way gives what the slow way gives.


def slow(found: Found) -> bytes:
    return b"".join((b"." if text[:1] == b"." else b"") + text + b"\r\n" for _, text in found[:-1])


def fast(reader: RecordReader, stop_at_dashes: bool = False) -> tuple[bytes, Found]:
    """Everything by plain_lines as far as it goes; what it left to next."""
    out, left = b"", []
    while True:
        if lines := reader.plain_lines(998, stop_at_dashes):
            out += lines
            continue
        kind = reader.next()
        if kind not in (LINE, PIECE):
            return out, left
        left.append((kind, reader.text))
        out += (b"." if reader.text[:1] == b"." else b"") + reader.text + b"\r\n"


texts = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from(
            [
                b"",
                b".",
                b"..",
                b"--",
                b"--b",
                b"-x",
                b"\n.",
                b".\n",
                b"a\n.b",
                b"a\r\n.b",
                b"\r\n.",
                b"\n." + b"x" * 11,
                b"e\r",
                b"." * 10,
                b"N" * 78,
            ]
        ),
        st.integers(100, 1100).map(lambda size: b"." * size),
        st.tuples(st.integers(2, 60), st.sampled_from([b"a", b"", b".x", b"--y", b"b" * 76])).map(tuple),
    ),
    max_size=30,
)


def flattened(items: list[object]) -> list[bytes]:
    lines: list[bytes] = []
    for item in items:
        lines += [item[1]] * item[0] if isinstance(item, tuple) else [item]  # type: ignore[list-item]
    return lines


@settings(max_examples=150, deadline=None)
@given(texts, st.integers(7, 400), st.booleans())
def test_plain_lines_do_not_depend_on_the_buffer(
    tmp_path_factory: pytest.TempPathFactory, items: list[object], size: int, stop_at_dashes: bool
) -> None:
    scratch = Scratch(Path(tmp_path_factory.getbasetemp()) / "plain")
    lines = flattened(items)
    octets = b"".join(record("N", line) for line in lines) + record("X") + record("E")
    before = module._BUFFER_SIZE, module._SMALL_READ
    module._BUFFER_SIZE = module._SMALL_READ = size
    try:
        expected = scratch.all(octets)
        out, left = fast(scratch.reader(octets), stop_at_dashes)
        os.close(scratch.descriptor)
    finally:
        module._BUFFER_SIZE, module._SMALL_READ = before
    assert out == slow(expected)
    left_texts = [text for _, text in left]
    if stop_at_dashes:
        dashes = [line for line in lines if line.startswith(b"--") and len(line) > 2]
        assert [text for text in left_texts if text.startswith(b"--") and len(text) > 2] == dashes


def test_long_and_strange_records_are_left_to_the_caller(scratch: Scratch) -> None:
    octets = (
        record("N", b"a") + record("L", b"b") + record("N", b"x" * 999) + record("w", b"0") + record("N", b"c")
        + record("X")
    )  # fmt: skip
    reader = scratch.reader(octets)
    assert reader.plain_lines(998) == b"a\r\n"
    assert reader.plain_lines(998) == b""
    assert reader.next() == PIECE
    assert reader.plain_lines(998) == b""
    assert reader.next() == LINE
    assert reader.plain_lines(998) == b""
    assert (reader.next(), reader.text) == (LINE, b"c")
    assert reader.plain_lines(998) == b""
    assert reader.next() == END_OF_CONTENT


@settings(max_examples=100, deadline=None)
@given(texts, st.integers(7, 400), st.integers(1, 500), st.booleans())
def test_whole_lines_are_taken_as_they_are(
    tmp_path_factory: pytest.TempPathFactory, items: list[object], buffer_size: int, size: int, stop_at_dashes: bool
) -> None:
    scratch = Scratch(Path(tmp_path_factory.getbasetemp()) / "whole")
    lines = flattened(items)
    octets = b"".join(record("N", line) for line in lines) + record("X") + record("E")
    before = module._BUFFER_SIZE, module._SMALL_READ
    module._BUFFER_SIZE = module._SMALL_READ = buffer_size
    try:
        reader = scratch.reader(octets)
        found: list[bytes] = []
        while True:
            if taken := reader.whole_lines(size, stop_at_dashes):
                found += taken
                if stop_at_dashes:
                    assert not any(line.startswith(b"--") and len(line) > 2 for line in taken)
            elif reader.next() == LINE:
                found.append(reader.text)
            else:
                break
        os.close(scratch.descriptor)
    finally:
        module._BUFFER_SIZE, module._SMALL_READ = before
    assert found == lines


def test_a_long_run_is_taken_at_once(scratch: Scratch) -> None:
    lines = [b"A" * 76] * 1000
    octets = b"".join(record("N", line) for line in lines) + record("X")
    reader = scratch.reader(octets, hint=len(octets))
    assert reader.plain_lines(998) == b"".join(line + b"\r\n" for line in lines)
    assert reader.next() == END_OF_CONTENT
