"""Messages made up by chance, from a seed: everything that the message code has to decide about, in odd mixtures."""

import random
from collections.abc import Callable
from typing import Any

from compat.queue_file import content_records

_WORDS = ("one", "two words", "übung".encode(), "\x80\xff".encode("latin1"), "a" * 70, "tab\there", "(comment)", '"q"')
_ADDRESSES = (
    "sender@origin.test",
    "User <user@dest.test>",
    '"Quoted, Name" <local>',
    "a@dest.test, b@else.test (two)",
    "group: x@dest.test, y;",
    "<>",
    "broken @ space.test",
    "no-domain",
    "@route.test:user@dest.test",
)
_NAMES = (b"From", b"To", b"Cc", b"Reply-To", b"Sender", b"Resent-From", b"Subject", b"X-Test", b"Received", b"X Bad")
_ENCODINGS = (b"7bit", b"8bit", b"binary", b"base64", b"quoted-printable", b"8BIT (comment)", b"nonsense")
_TYPES = (b"text/plain", b'text/plain; charset="utf-8"', b"application/octet-stream", b"message/rfc822", b"text")
_LONG = (76, 500, 989, 990, 991, 998, 999, 1000, 2047, 2048, 2049, 4100)


def _octets(word: str | bytes) -> bytes:
    return word if isinstance(word, bytes) else word.encode()


class Generator:
    """Messages from a seed; the same seed makes the same messages.

    Args:
        eight_bit: whether octets above 127 may occur.
    """

    def __init__(self, seed: int, *, eight_bit: bool = True) -> None:
        self._random = random.Random(seed)
        self._eight_bit = eight_bit

    def message(self, number: int) -> dict[str, Any]:
        """One message for a scenario, with a recipient of its own."""
        lines = [*self._header(), b"", *self._body(0)]
        content = b"\n".join(line if self._eight_bit else _seven_bit(line) for line in lines) + b"\n"
        records = [(kind.decode(), data) for kind, data in content_records(content)]
        return {"via": "postdrop", "to": [f"user{number:04d}@dest.test"], "lines": records}

    def _header(self) -> list[bytes]:
        lines = [b"Date: Fri, 01 Jan 2021 00:00:00 +0000", b"Message-ID: <fixed@origin.test>"]
        for _ in range(self._random.randrange(6)):
            name = self._random.choice(_NAMES)
            pieces = self._random.choices(
                _ADDRESSES if name[:1] in b"FTCRS" else _WORDS, k=self._random.randrange(1, 4)
            )
            separator = self._random.choice((b" ", b"\n ", b"\n\t", b",\n  "))
            lines += (name + self._random.choice((b": ", b":", b":\t")) + separator.join(map(_octets, pieces))).split(
                b"\n"
            )
        return lines + (self._mime() if self._random.random() < 0.6 else [])

    def _mime(self) -> list[bytes]:
        lines = [b"MIME-Version: 1.0", b"Content-Type: " + self._random.choice(_TYPES)]
        if self._random.random() < 0.7:
            lines.append(b"Content-Transfer-Encoding: " + self._random.choice(_ENCODINGS))
        return lines

    def _body(self, depth: int) -> list[bytes]:
        lines: list[bytes] = []
        for _ in range(self._random.randrange(8)):
            lines.append(self._line())
        if depth < 3 and self._random.random() < 0.3:
            lines += self._parts(depth)
        return lines

    def _line(self) -> bytes:
        kinds: tuple[Callable[[], bytes], ...] = (
            lambda: b"",
            lambda: b".",
            lambda: b"..",
            lambda: b"." + self._word(),
            lambda: b"From " + self._word(),
            self._word,
            lambda: self._word() + self._random.choice((b" ", b"\t", b"=", b"\r", b"\r\r")),
            lambda: self._word() + b"\r" + self._word(),
            lambda: b" ".join(self._word() for _ in range(20)),
            lambda: self._random.choice((b"x", b".", b"\xc3\xa4", b"= ")) * self._random.choice(_LONG),
        )
        return self._random.choice(kinds)()

    def _word(self) -> bytes:
        return _octets(self._random.choice(_WORDS))

    def _parts(self, depth: int) -> list[bytes]:
        boundary = b"b%d%s" % (depth, self._random.choice((b"", b" x", b"'()+_,-./:=?")))
        lines = [b'Content-Type: multipart/mixed; boundary="' + boundary + b'"', b""]
        for _ in range(self._random.randrange(1, 4)):
            lines += [b"--" + boundary + self._random.choice((b"", b" ", b"\r"))]
            lines += self._mime()[1:] if self._random.random() < 0.8 else []
            lines += [b"", *self._body(depth + 1)]
        if self._random.random() < 0.8:
            lines += [b"--" + boundary + b"--", b"epilogue"]
        return lines


def _seven_bit(line: bytes) -> bytes:
    return bytes(octet & 127 for octet in line)
