"""Octets from the server to lines, with a bound on their length (smtp-protocol chapter 6, step 1)."""


class LineReader:
    """Lines of one connection.

    Never holds more than what was fed last plus one line of the longest permitted length.

    Attributes:
        was_cut: the last line was longer than the limit; what is over was skipped.
        was_endless: as `was_cut`, and the line showed no end in as many further octets: nothing more is read.
    """

    __slots__ = ("_buffer", "_cut", "_cut_endless", "_limit", "_skipped", "_start", "was_cut", "was_endless")

    def __init__(self, limit: int, *, cut_endless: bool) -> None:
        """An empty reader.

        Args:
            limit: octets of a line, its end included; a LF after a CR that comes last in it is let pass.
            cut_endless: give up when a line is twice as long.
        """
        self._limit = limit
        self._cut_endless = cut_endless
        self._buffer = b""
        self._start = 0
        self._cut: bytes | None = None
        self._skipped = 0
        self.was_cut = False
        self.was_endless = False

    def feed(self, octets: bytes) -> None:
        """Take what was received."""
        if self._start < len(self._buffer):
            self._buffer = self._buffer[self._start :] + octets
        else:
            self._buffer = octets
        self._start = 0

    def clear(self) -> None:
        """Forget what was received."""
        self._buffer = b""
        self._start = 0
        self._cut = None

    @property
    def is_empty(self) -> bool:
        """Nothing is left of what was received."""
        return self._start >= len(self._buffer) and self._cut is None

    def next_line(self) -> bytes | None:
        """The next line without LF and the CRs before it; None if more octets are needed."""
        buffer, start = self._buffer, self._start
        if self._cut is not None:
            return self._finish_cut()
        end = buffer.find(b"\n", start, start + self._limit)
        if end >= 0:
            self._start = end + 1
            self.was_cut = False
            return buffer[start:end].rstrip(b"\r")
        size = len(buffer) - start
        last = start + self._limit
        if size < self._limit or (size == self._limit and buffer[last - 1] == 13):
            return None
        if buffer[last - 1 : last + 1] == b"\r\n":
            self._start = last + 1
            self.was_cut = False
            return buffer[start:last].rstrip(b"\r")
        self._cut = buffer[start : start + self._limit]
        self._start = start + self._limit
        self._skipped = 0
        return self._finish_cut()

    def _finish_cut(self) -> bytes | None:
        """Skip to the end of a line that is too long, then give what was kept of it."""
        buffer, start = self._buffer, self._start
        end = buffer.find(b"\n", start)
        stop = end if end >= 0 else len(buffer)
        self._skipped += stop - start
        self._start = stop
        if self._cut_endless and self._skipped >= self._limit:
            self.was_endless = True
            self._start = len(buffer)
        elif end < 0:
            return None
        else:
            self._start = end + 1
        line, self._cut = self._cut, None
        self.was_cut = True
        return line
