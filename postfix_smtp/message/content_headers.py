"""Content-Type and Content-Transfer-Encoding as the MIME processor reads them (message chapter 4.5)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

_TYPE_SPECIALS = b'()<>@,;:\\"/[]?='
_ENCODING_SPECIALS = b'()<>@,;:\\".[]'
_TOKENS_PER_FIELD = 3


class Domain(Enum):
    """What octets a body may have."""

    SEVEN_BIT = 0
    EIGHT_BIT = 1
    BINARY = 2


class Composite(Enum):
    """Content types, as far as they matter."""

    TEXT = 0
    RFC822 = 1
    PARTIAL = 2
    EXTERNAL_BODY = 3
    GLOBAL = 4
    OTHER_MESSAGE = 5
    MULTIPART = 6
    OTHER = 7

    @property
    def is_labelled_7bit(self) -> bool:
        """Composite types get the encoding 7bit where other types become quoted-printable."""
        return self not in (Composite.TEXT, Composite.GLOBAL, Composite.OTHER)


_MESSAGES = {
    b"rfc822": Composite.RFC822,
    b"partial": Composite.PARTIAL,
    b"external-body": Composite.EXTERNAL_BODY,
    b"global": Composite.GLOBAL,
}

_DOMAINS = {
    b"7bit": Domain.SEVEN_BIT,
    b"8bit": Domain.EIGHT_BIT,
    b"binary": Domain.BINARY,
    b"base64": Domain.SEVEN_BIT,
    b"quoted-printable": Domain.SEVEN_BIT,
}


@dataclass(frozen=True, slots=True)
class ContentType:
    """A content type that matters; boundaries only with MULTIPART."""

    composite: Composite
    boundaries: tuple[bytes, ...] = ()
    default_part: Composite = Composite.TEXT


#: Kinds of tokens. A token is a plain pair of kind and text: a header can have a hundred thousand of them.
_WORD, _QUOTED, _SPECIAL = range(3)
_Token = tuple[int, bytes]


def _says(token: _Token, word: bytes) -> bool:
    return token[0] == _WORD and token[1].lower() == word


def content_type(value: bytes) -> ContentType | None:
    """Parse the value of a Content-Type header; None if it changes nothing."""
    fields = _fields(value)
    first = fields[0]
    if not first:
        return ContentType(Composite.OTHER)
    subtype = b""
    if len(first) == _TOKENS_PER_FIELD and first[1] == (_SPECIAL, b"/") and first[2][0] == _WORD:
        subtype = first[2][1].lower()
    if _says(first[0], b"text"):
        return ContentType(Composite.TEXT)
    if _says(first[0], b"message"):
        return ContentType(_MESSAGES.get(subtype, Composite.OTHER_MESSAGE))
    if _says(first[0], b"multipart"):
        boundaries = tuple(
            field[2][1]
            for field in fields[1:]
            if len(field) == _TOKENS_PER_FIELD and _says(field[0], b"boundary") and field[1] == (_SPECIAL, b"=")
        )
        return ContentType(
            Composite.MULTIPART, boundaries, Composite.RFC822 if subtype == b"digest" else Composite.TEXT
        )
    return None


def transfer_encoding(value: bytes) -> Domain | None:
    """Parse the value of a Content-Transfer-Encoding header; None if it changes nothing."""
    kind, text = next(_tokens(value, _ENCODING_SPECIALS), (_SPECIAL, b""))
    return _DOMAINS.get(text.lower()) if kind == _WORD else None


def _fields(value: bytes) -> list[list[_Token]]:
    """The first tokens of each field; fields are separated by semicolons. At least one field."""
    fields: list[list[_Token]] = [[]]
    separator = (_SPECIAL, b";")
    for token in _tokens(value, _TYPE_SPECIALS):
        if token == separator:
            fields.append([])
        elif len(fields[-1]) < _TOKENS_PER_FIELD:
            fields[-1].append(token)
    return fields


_BLANKS = re.compile(rb"[ \t\r\n]+")
_QUOTED_STRING = re.compile(rb'((?:[^"\\]|\\.)*)\\?"?', re.DOTALL)
_ESCAPE_OR_LF = re.compile(rb"\\(.)|\n", re.DOTALL)
_WORDS = {
    specials: re.compile(rb"[^\x00-\x20\x7f" + re.escape(specials) + rb"]+")
    for specials in (_TYPE_SPECIALS, _ENCODING_SPECIALS)
}


def _tokens(value: bytes, specials: bytes) -> Iterator[_Token]:
    at = 0
    word = _WORDS[specials]
    while at < len(value):
        if match := _BLANKS.match(value, at):
            at = match.end()
        elif value[at] == 0x28:  # "("
            at = comment_end(value, at)
        elif value[at] == 0x22:
            match = _QUOTED_STRING.match(value, at + 1)
            assert match
            yield _QUOTED, _unquoted(match[1])
            at = match.end()
        elif match := word.match(value, at):
            yield _WORD, match[0]
            at = match.end()
        else:
            yield _SPECIAL, value[at : at + 1]
            at += 1


def _unquoted(text: bytes) -> bytes:
    """The content of a quoted value: unfolded, without backslashes."""
    result = bytearray()
    start = 0
    for match in _ESCAPE_OR_LF.finditer(text):
        result += text[start : match.start()]
        start = match.end()
        if match[1] is not None:
            result += match[1]
        else:
            while result and result[-1] in b" \t":
                del result[-1]
    return bytes(result + text[start:])


_COMMENT_PART = re.compile(rb"\\.|[()]", re.DOTALL)


def comment_end(value: bytes, start: int) -> int:
    """The index after the comment that begins at `start`; comments nest, a backslash protects the next octet."""
    depth = 0
    for match in _COMMENT_PART.finditer(value, start):
        if match[0] == b"(":
            depth += 1
        elif match[0] == b")":
            depth -= 1
            if not depth:
                return match.end()
    return len(value)
