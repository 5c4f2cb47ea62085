"""8bit lines to quoted-printable as Postfix writes it (message chapter 4.7; RFC 2045 §6.7)."""

import re

#: A line is broken before the octet that would come after this many characters.
_FULL = 73
_UNSAFE = re.compile(rb"[^\t -<>-~]")
_ENCODED = [b"=%02X" % octet for octet in range(256)]
_BLANKS = b" \t"


def _encoded(match: re.Match[bytes]) -> bytes:
    return _ENCODED[match[0][0]]


class QuotedPrintable:
    """An encoder for lines that come in pieces."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""  # encoded, not yet long enough for a line

    def encode(self, text: bytes, ends: bool) -> list[bytes]:
        """Encode a line, or a piece of it.

        Args:
            ends: `text` is the end of the line.

        Returns:
            the lines that are complete; all but the last of a line end in a soft break.
        """
        encoded = self._rest + _UNSAFE.sub(_encoded, text)
        lines = []
        start = 0
        size = len(encoded)
        while size - start > _FULL:
            # An encoded octet is not torn apart: "=" is its first character and nothing else.
            stop = start + _FULL
            if encoded[stop - 1] == 0x3D:
                stop += 2
            elif encoded[stop - 2] == 0x3D:
                stop += 1
            if stop >= size:
                break
            lines.append(encoded[start:stop] + b"=")
            start = stop
        rest = encoded[start:]
        if ends:
            if rest and rest[-1] in _BLANKS:
                rest = rest[:-1] + _ENCODED[rest[-1]]
            lines.append(rest)
            rest = b""
        self._rest = rest
        return lines
