"""From pieces of lines to lines on the wire: dots, length limit, CR LF (message chapter 3; RFC 5321 §4.5.2)."""

from collections.abc import Callable

from postfix_smtp.queue.records import LINE, PIECE

_CRLF = b"\r\n"
_PLAIN_LIMIT_MIN = 127
_NO_LIMIT = 2**31


class LineOutput:
    """Lines under way, for one pass through the content.

    Attributes:
        pieces: wire octets, to be taken by the caller.
        at_start: the next piece begins a line.
        plain_limit: longest line that :meth:`~postfix_smtp.queue.records.RecordReader.plain_lines` may take in the
            place of this object; 0: none.
    """

    __slots__ = ("_limit", "_report_break", "_room", "pieces", "plain_limit")

    def __init__(self, limit: int, report_break: Callable[[], None]) -> None:
        """
        Args:
            limit: longest line in octets without CR LF, 0 is none, never 1.
            report_break: called whenever a line is broken.
        """
        self.pieces: list[bytes] = []
        self._limit = limit
        self._room = limit
        self._report_break = report_break
        self.plain_limit = limit if limit >= _PLAIN_LIMIT_MIN else 0 if limit else _NO_LIMIT

    @property
    def at_start(self) -> bool:
        return self._room == self._limit

    def put(self, kind: int, text: bytes) -> None:
        """Send `text`, a whole line or its end (LINE), or a part of it (PIECE)."""
        pieces, limit, room = self.pieces, self._limit, self._room
        length = len(text)
        if room == limit and text.startswith(b"."):
            pieces.append(b".")
        if not limit or length < room:
            pieces.append(text)
        else:
            start = 0
            while length - start >= room:
                pieces.append(text[start : start + room])
                pieces.append(_CRLF)
                start += room
                room = limit
                if start < length or kind == PIECE:
                    self._report_break()
                    pieces.append(b" ")
                    room -= 1
                if start == length:
                    self._room = room
                    return
            pieces.append(text[start:])
            length -= start
        if kind == LINE:
            pieces.append(_CRLF)
            self._room = limit
        else:
            self._room = room - length

    def whole(self, lines: list[bytes]) -> None:
        """Send whole lines, at the start of one; the same as :meth:`put` for each, but faster."""
        wire = b"\r\n".join(lines)
        if wire.count(b"\n") != len(lines) - 1 or max(map(len, lines)) > self.plain_limit:
            for line in lines:
                self.put(LINE, line)
            return
        if wire.startswith(b"."):
            self.pieces.append(b".")
        self.pieces.append(wire.replace(b"\n.", b"\n.."))
        self.pieces.append(_CRLF)

    def lines(self, text: bytes) -> None:
        """Send `text` as lines; LF separates them."""
        for line in text.split(b"\n"):
            self.put(LINE, line)

    def end(self) -> None:
        """End a line whose last piece was not marked as such."""
        self.pieces.append(_CRLF)
        self._room = self._limit

    def take(self) -> bytes:
        """What is ready for the wire."""
        pieces = self.pieces
        octets = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return octets
