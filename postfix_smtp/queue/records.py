"""Reading queue file records (queue-file chapters 2, 5 and 9.1).

Several ways lead through the same buffer, and a caller changes between them as it likes:

* :meth:`RecordReader.next` takes one record, follows pointers, skips padding, and reports what is wrong;
* :meth:`RecordReader.plain_lines` takes a whole stretch of ordinary lines at once and returns them as they are on the
  wire, see :mod:`postfix_smtp.queue.line_rewriting`;
* :meth:`RecordReader.whole_lines` takes a stretch of ordinary lines for somebody who wants to see them.

Reads are plain blocking reads of a local file, 256 KiB at most, so that memory does not grow with the message.
"""

import os

from postfix_smtp import log
from postfix_smtp.errors import FatalError
from postfix_smtp.queue import line_rewriting
from postfix_smtp.queue.line_rewriting import LINE as LINE

#: Record types, and what :meth:`RecordReader.next` returns in their place.
PIECE = 0x4C  #: ``L``: a piece of a line that goes on in the next record
END_OF_CONTENT = 0x58  #: ``X``
END_OF_FILE = -1
BAD_RECORD = -2  #: damaged; logged
PAUSE = -3  #: no record yet: many pointers were followed, and others want to run too

_PADDING = 0x77
_POINTER = 0x70

_BUFFER_SIZE = 256 * 1024
_SMALL_READ = 4096
#: Above the size hint: the records that end the content, and some padding.
_SLACK = 64
_HEADER_MAX = 6
_POINTERS_AT_ONCE = 256
_MAX_OFFSET = 2**63 - 1
_DASH = 0x2D
_BLANKS = b" \t\n\v\f\r"
#: Longest text whose length fits two octets.
_TWO_OCTET_LENGTH = 0x3FFF
_LONGEST_RECORD = _TWO_OCTET_LENGTH + 3
#: How far lines are looked at one by one where a dot in the text looks like one at the start of a line.
_CAREFUL_STRETCH = 2048


class ReverseJumps:
    """Protection against pointer loops: jumps that do not go forward are counted, for all reads of one file."""

    __slots__ = ("_count", "_previous")

    LIMIT = 10000

    def __init__(self) -> None:
        self._count = 0
        self._previous = 0

    def exceeded(self, target: int) -> bool:
        """Take note of a jump to file offset `target`; whether it is one too many."""
        if target <= self._previous:
            self._count += 1
        self._previous = target
        return self._count > self.LIMIT


class RecordReader:
    """Sequential access to the records of an open file.

    Attributes:
        text: data of the record that :meth:`next` returned last.
    """

    __slots__ = (
        "_base",
        "_buffer",
        "_descriptor",
        "_end",
        "_end_of_file",
        "_length_octets",
        "_path",
        "_position",
        "_read_size",
        "_reverse_jumps",
        "_stray_dot",
        "text",
    )

    def __init__(
        self,
        descriptor: int,
        path: str,
        offset: int,
        length_octets: int,
        reverse_jumps: ReverseJumps,
        size_hint: int = 0,
    ) -> None:
        self._descriptor = descriptor
        self._path = path
        self._length_octets = length_octets
        self._reverse_jumps = reverse_jumps
        self._read_size = min(_BUFFER_SIZE, max(_SMALL_READ, size_hint + _SLACK))
        self._buffer = bytearray()
        self._base = offset  # file offset of the buffer's first octet
        self._position = 0
        self._end = 0
        self._end_of_file = False  # the buffer ends where the file ends
        # See line_rewriting.find_stray_dot(); before the position: not known.
        self._stray_dot = -1
        self.text = b""

    def next(self) -> int:
        """Take one record.

        Returns:
            its type, with the data in `text`; or END_OF_FILE, BAD_RECORD, PAUSE.

        Raises:
            FatalError: the file cannot be read.
        """
        pointers = 0
        while True:
            if self._end - self._position < _HEADER_MAX:
                self._fill(_HEADER_MAX)
            start = self._position
            if start >= self._end:
                return END_OF_FILE
            kind = self._buffer[start]
            length, at = self._length(kind, start + 1)
            if length < 0:
                return BAD_RECORD
            stop = at + length
            if stop > self._end:
                self._fill(stop - start)
                at += self._position - start
                stop += self._position - start
                if stop > self._end:
                    log.warning(f"{self._path}: unexpected EOF in data, record type {kind} length {length}")
                    return BAD_RECORD
            self._position = stop
            if kind == _PADDING:
                continue
            text = bytes(self._buffer[at:stop])
            if kind != _POINTER:
                self.text = text
                return kind
            if not self._follow(text):
                return BAD_RECORD
            pointers += 1
            if pointers >= _POINTERS_AT_ONCE:
                return PAUSE

    def plain_lines(self, longest: int, stop_at_dashes: bool = False) -> bytes:
        """Take as many ordinary lines as the buffer holds; only at the start of a line.

        Args:
            longest: octets of text that need no folding, at least 127.
            stop_at_dashes: leave a line that starts with ``--`` and is longer than that to the caller.

        Returns:
            the lines with CR LF, dots stuffed; empty if the next record is something else, see :meth:`next`.
        """
        if self._end - self._position < _HEADER_MAX:
            self._fill(_HEADER_MAX)
        lines = self._plain_lines(longest, stop_at_dashes)
        if not lines and self._is_cut_off():
            self._fill(_HEADER_MAX)
            lines = self._plain_lines(longest, stop_at_dashes)
        return lines

    def whole_lines(self, size: int, stop_at_dashes: bool = False) -> list[bytes]:
        """Take lines that are one record each, as they are; only at the start of a line.

        Args:
            size: stop after this many octets.
            stop_at_dashes: as in :meth:`plain_lines`.

        Returns:
            the lines without line ends; none if the next record is something else, see :meth:`next`.
        """
        if self._end - self._position < _HEADER_MAX or self._is_cut_off():
            self._fill(_HEADER_MAX)
        # Pieces of immutable octets are made faster than those of a buffer. Two zero octets stop the loop.
        most = min(self._end, self._position + size + _LONGEST_RECORD)
        with memoryview(self._buffer) as view:
            octets = bytes(view[self._position : most]) + b"\0\0"
        end, position = len(octets) - 2, 0
        lines: list[bytes] = []
        while octets[position] == LINE and position < size:
            length = octets[position + 1]
            text = position + 2
            if length > 127:
                high = octets[text]
                if high > 127:
                    break
                length = length & 127 | high << 7
                text += 1
            stop = text + length
            if stop > end:
                break
            if stop_at_dashes and length > 2 and octets[text] == _DASH and octets[text + 1] == _DASH:
                break
            lines.append(octets[text:stop])
            position = stop
        self._position += position
        return lines

    def _plain_lines(self, longest: int, stop_at_dashes: bool) -> bytes:
        buffer, start, end = self._buffer, self._position, self._end
        stray = self._stray_dot
        if stray < start:
            stray = self._stray_dot = line_rewriting.find_stray_dot(buffer, start, end)
        pieces = line_rewriting.rewrite(buffer, start, min(end, stray - 1), longest, stop_at_dashes)
        careful = not pieces and stray <= end
        if careful:
            until = min(end, stray + _CAREFUL_STRETCH)
            pieces = line_rewriting.rewrite(buffer, start, until, longest, stop_at_dashes, look_for_dots=True)
        if not pieces:
            return b""
        self._position = pieces[-1][1]
        return line_rewriting.wire(buffer, pieces, dots_stuffed=careful)

    def _is_cut_off(self) -> bool:
        """The record at the position is one that may be taken with others, but not all of it was read."""
        buffer, position = self._buffer, self._position
        if position == 0 or self._end_of_file or buffer[position] != LINE:
            return False
        length = buffer[position + 1]
        if length > 127:
            length = length & 127 | buffer[position + 2] << 7
        return length <= _TWO_OCTET_LENGTH and position + 3 + length > self._end

    def _length(self, kind: int, at: int) -> tuple[int, int]:
        """Decode the length at buffer index `at`: the length, -1 if it is bad, and the index of the data."""
        length = shift = 0
        for _ in range(self._length_octets):
            if at >= self._end:
                log.warning(f"{self._path}: unexpected EOF reading length, record type {kind}")
                return -1, at
            octet = self._buffer[at]
            at += 1
            length |= (octet & 127) << shift
            if octet < 128:
                length &= 0xFFFFFFFF
                if length > 0x7FFFFFFF:
                    log.warning(f"{self._path}: illegal length {length - (1 << 32)}, record type {kind}")
                    return -1, at
                return length, at
            shift += 7
        log.warning(f"{self._path}: too many length bits, record type {kind}")
        return -1, at

    def _follow(self, data: bytes) -> bool:
        """Obey a pointer record; False if it is bad (logged)."""
        value = data.partition(b"\0")[0].lstrip(_BLANKS)
        if not value.strip(b"0"):
            return True
        target = int(value) if value.isdigit() and len(value) < 100 else _MAX_OFFSET + 1
        if target > _MAX_OFFSET:
            log.warning(f"{self._path}: malformed pointer record value: {value.decode('utf-8', 'surrogateescape')}")
            return False
        if self._reverse_jumps.exceeded(target):
            log.warning(f"{self._path}: too many reverse jump records")
            return False
        try:
            os.lseek(self._descriptor, target, os.SEEK_SET)
        except OSError as error:
            log.warning(f"{self._path}: seek error after pointer record: {error.strerror}")
            return False
        self._base = target
        self._position = self._end = 0
        self._end_of_file = False
        self._read_size = _SMALL_READ  # more jumps may follow; what is read now may not be used
        return True

    def _fill(self, wanted: int) -> None:
        """Read on, so that the buffer starts at the position and has `wanted` octets if the file has them."""
        if self._end_of_file:
            return
        self._base += self._position
        self._position = self._end = 0
        self._stray_dot = -1
        if wanted > self._read_size:
            wanted = min(wanted, max(os.fstat(self._descriptor).st_size - self._base, 0))
        size = max(self._read_size, wanted)
        if len(self._buffer) < size + 2:
            self._buffer = bytearray(size + 2)
        try:
            with memoryview(self._buffer) as view:
                self._end = os.preadv(self._descriptor, [view[:size]], self._base)
        except (OSError, OverflowError) as error:
            raise FatalError("queue file read error") from error
        self._end_of_file = self._end < size  # a regular file gives what it has
        self._buffer[self._end] = self._buffer[self._end + 1] = 0
        self._read_size = min(_BUFFER_SIZE, self._read_size * 4)
