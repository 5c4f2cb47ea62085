"""Contents of messages to measure with: a header, and lines of the kind that gives the content its name."""

import base64
import random
import textwrap
from collections.abc import Callable

HEADER = (
    b"Received: from a.example by b.example; Mon, 1 Jan 2024 00:00:00 +0000\n"
    b'From: "A User" <a@x.example>\nTo: b@y.example, "C" <c@y.example>\nSubject: a message\n'
    b"Message-Id: <1@x.example>\nMIME-Version: 1.0\n"
)
EIGHT_BIT = b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
PARTS = (
    b"Content-Type: multipart/mixed; boundary=bench\nContent-Transfer-Encoding: 8bit\n\n--bench\n"
    b"Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n"
)


def base64_lines(size: int) -> bytes:
    """76-character lines, as attachments have them."""
    block = base64.b64encode(random.Random(1).randbytes(57 * 1000))
    return _repeated(b"".join(block[start : start + 76] + b"\n" for start in range(0, len(block), 76)), size)


def prose_lines(size: int) -> bytes:
    """Paragraphs of words, wrapped at 72 columns, as people and mailing lists send them."""
    source = random.Random(3)
    paragraphs = []
    for _ in range(300):
        words = ("".join(source.choices("etaoinshrdlu", k=source.randint(1, 9))) for _ in range(source.randint(5, 120)))
        paragraphs.append(textwrap.fill(" ".join(words) + ".", 72))
    return _repeated("\n\n".join(paragraphs).encode() + b"\n\n", size)


def short_lines(size: int) -> bytes:
    """Lines of 0 to 79 characters, none like the one before: the worst for code that goes by lines."""
    return _random_lines(size, b"abcdefghijklmnop    .,")


def eight_bit_lines(size: int) -> bytes:
    """Lines of random length, one octet in twenty not ASCII."""
    return _random_lines(size, b"abcdefghijklmno    \xe9")


def _random_lines(size: int, alphabet: bytes) -> bytes:
    source = random.Random(2)
    lines = (bytes(source.choices(alphabet, k=source.randrange(0, 80))) + b"\n" for _ in range(2000))
    return _repeated(b"".join(lines), size)


def _repeated(block: bytes, size: int) -> bytes:
    return block * (size // len(block) + 1)


#: By name: what comes between header and lines, the lines, and the encoding a queue file names.
KINDS: dict[str, tuple[bytes, Callable[[int], bytes], str]] = {
    "base64": (PARTS, base64_lines, "7bit"),
    "text": (b"\n", prose_lines, "7bit"),
    "short": (b"\n", short_lines, "7bit"),
    "8bit": (EIGHT_BIT, eight_bit_lines, "8bit"),
}


def content(kind: str, size: int) -> bytes:
    """A message of a kind with so many octets of lines, or a few more."""
    start, lines, _ = KINDS[kind]
    return HEADER + start + lines(size)
