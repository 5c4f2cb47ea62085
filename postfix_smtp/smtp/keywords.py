"""EHLO replies (smtp-protocol chapter 4.1, 4.2)."""

import re
from collections.abc import Iterable

from postfix_smtp.smtp import features

# One line of the reply: its code, a word, one delimiter, the rest. Possessive: a line that is only a code has no word.
_LINE = re.compile(r"[- ]*+[^- ]++[- ]?+[ \t=]*+([^ \t=]++)[ \t=]?+(.*)", re.DOTALL)

#: Keywords that set a bit and nothing else.
SIMPLE = {
    "8BITMIME": features.EIGHTBITMIME,
    "PIPELINING": features.PIPELINING,
    "DSN": features.DSN,
    "SMTPUTF8": features.SMTPUTF8,
    "STARTTLS": features.STARTTLS,
}
XFORWARD_ATTRIBUTES = {
    "NAME": features.XFORWARD_NAME,
    "ADDR": features.XFORWARD_ADDR,
    "PORT": features.XFORWARD_PORT,
    "PROTO": features.XFORWARD_PROTO,
    "HELO": features.XFORWARD_HELO,
    "IDENT": features.XFORWARD_IDENT,
    "SOURCE": features.XFORWARD_SOURCE,
}
SILENT = "SILENT-DISCARD"
#: In the order in which they are logged.
_DISCARDABLE = (
    "8BITMIME",
    "AUTH",
    "ETRN",
    "PIPELINING",
    "SIZE",
    "VERP",
    "VRFY",
    "XCLIENT",
    "XFORWARD",
    "STARTTLS",
    "ENHANCEDSTATUSCODES",
    "DSN",
    "SMTPUTF8",
    "CHUNKING",
)
#: What a SIZE limit must be below to count: signed 64 bits.
SIZE_BOUND = 1 << 63


def parse(text: str) -> list[tuple[str, str]]:
    """The words of an EHLO reply: the server's name first, then keywords, each with what follows it."""
    return [(match[1], match[2]) for match in map(_LINE.match, text.split("\n")) if match]


def discards(words: str, *, requiretls: bool) -> tuple[str, ...]:
    """Names in a list of keywords to ignore, upper case, in the order for the log, SILENT last.

    Args:
        words: separated by comma or blank; unknown ones are ignored.
        requiretls: that keyword is known.
    """
    wanted = set(words.upper().replace(",", " ").split())
    known: Iterable[str] = (*_DISCARDABLE, "REQUIRETLS", SILENT) if requiretls else (*_DISCARDABLE, SILENT)
    return tuple(name for name in known if name in wanted)


def size_limit(word: str) -> int | None:
    """The number of a SIZE keyword, 0 for no limit; None if it is none."""
    if not (word.isascii() and word.isdigit()):
        return None
    limit = int(word) if len(word) < 20 else SIZE_BOUND
    return limit if limit < SIZE_BOUND else 0


def xforward_attributes(words: str) -> int:
    """The feature bits of an XFORWARD keyword's attributes."""
    mask = 0
    for word in words.upper().split():
        mask |= XFORWARD_ATTRIBUTES.get(word, 0)
    return mask
