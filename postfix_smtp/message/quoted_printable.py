"""8bit lines to quoted-printable as Postfix writes it (message chapter 4.7; RFC 2045 §6.7)."""

import re

#: A line is broken before the octet that would come after this many characters.
_FULL = 73
_UNSAFE_BUT_LF = re.compile(rb"[^\t\n -<>-~]")
_UNSAFE = re.compile(rb"[^\t -<>-~]")
_OCTETS = [bytes((octet,)) for octet in range(256)]
_ENCODED = [b"=%02X" % octet for octet in range(256)]
_BLANKS = b" \t"

_SAFE_OR_LF = bytes(octet for octet in range(256) if octet == 0x0A or not _UNSAFE.match(bytes((octet,))))
#: Replacing an octet everywhere costs about as much as this many calls for single ones in as many kB.
_CALLS_PER_PASS = 20


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
        lines, rest = _broken(self._rest + _UNSAFE.sub(_encoded, text))
        if ends:
            if rest and rest[-1] in _BLANKS:
                rest = rest[:-1] + _ENCODED[rest[-1]]
            lines.append(rest)
            rest = b""
        self._rest = rest
        return lines

    def encode_lines(self, texts: list[bytes]) -> list[bytes]:
        """Encode whole lines, at the start of one; the same as :meth:`encode` for each, but faster."""
        joined = b"\n".join(texts)
        if joined.count(b"\n") != len(texts) - 1:  # some are in the lines
            return [line for text in texts for line in self.encode(text, ends=True)]
        unsafe = joined.translate(None, _SAFE_OR_LF)
        if unsafe:
            octets = set(unsafe)
            if len(octets) * _CALLS_PER_PASS * len(joined) < len(unsafe) * 1024 * 1024:
                joined = joined.replace(b"=", b"=3D")
                for octet in octets - {0x3D}:
                    joined = joined.replace(_OCTETS[octet], _ENCODED[octet])
            else:
                joined = _UNSAFE_BUT_LF.sub(_encoded, joined)
        # A blank is one unit, encoded or not: doing it before lines are broken makes no difference.
        joined = joined.replace(b" \n", b"=20\n").replace(b"\t\n", b"=09\n")
        if joined.endswith((b" ", b"\t")):
            joined = joined[:-1] + _ENCODED[joined[-1]]
        lines: list[bytes] = []
        for line in joined.split(b"\n"):
            if len(line) > _FULL:
                pieces, line = _broken(line)
                lines += pieces
            lines.append(line)
        return lines


def _broken(encoded: bytes) -> tuple[list[bytes], bytes]:
    """Break an encoded line: the lines with soft breaks, and what is left."""
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
    return lines, encoded[start:]
