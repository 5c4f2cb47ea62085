"""What may appear in a log line or in a report: Postfix's rule for text that comes from outside.

Every octet that is not printable becomes ``?``; a NUL ends the text (process chapter 14.7). Log lines and
server replies obey the same rule.
"""

import re

from postfix_smtp.text import to_octets, to_text

_NOT_ASCII_PRINTABLE = re.compile(rb"[^ -~]")
# Octets that are no UTF-8 are lone surrogates in text, one each: exactly the ones that the strict rule replaces.
_NOT_STRICTLY_PRINTABLE = re.compile("[\x01-\x1f\x7f\ud800-\udfff]")
_LOOSE_SEQUENCE = re.compile(rb"[\xc2-\xfe][\x80-\xbf]+|([^ -~])")


def _loose(match: re.Match[bytes]) -> bytes:
    return b"?" if match[1] is not None else match[0]


def printable(text: str | bytes, utf8: bool, strict: bool) -> str:
    """`text` with every octet that is not printable replaced by ``?``.

    Args:
        text: octets, or text made by :func:`postfix_smtp.text.to_text`.
        utf8: ``smtputf8_enable``; without it only ASCII 0x20 to 0x7e is kept.
        strict: keep only well-formed UTF-8 (Postfix 3.9 and later). Else anything that looks like the start of a
            sequence is kept with all continuation octets after it, valid or not (3.7 and 3.8).
    """
    if isinstance(text, bytes):
        text = to_text(text)
    if text.isprintable() and (utf8 or text.isascii()):
        return text
    text = text.partition("\0")[0]
    if not utf8:
        return _NOT_ASCII_PRINTABLE.sub(b"?", to_octets(text)).decode("ascii")
    if strict:
        return _NOT_STRICTLY_PRINTABLE.sub("?", text)
    return to_text(_LOOSE_SEQUENCE.sub(_loose, to_octets(text)))


def is_strict(version: tuple[int, ...]) -> bool:
    """Whether Postfix `version` (3, 9, 0) keeps only well-formed UTF-8."""
    return version >= (3, 9)
