"""Content-Type and Content-Transfer-Encoding as the MIME processor reads them (message chapter 4.5)."""

import re
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


@dataclass(frozen=True, slots=True)
class _Token:
    text: bytes
    is_word: bool = False
    is_special: bool = False

    def says(self, word: bytes) -> bool:
        return self.is_word and self.text.lower() == word


def content_type(value: bytes) -> ContentType | None:
    """Parse the value of a Content-Type header; None if it changes nothing."""
    fields = _fields(value)
    first = fields[0]
    if not first:
        return ContentType(Composite.OTHER)
    subtype = b""
    if len(first) == _TOKENS_PER_FIELD and first[1].is_special and first[1].text == b"/" and first[2].is_word:
        subtype = first[2].text.lower()
    if first[0].says(b"text"):
        return ContentType(Composite.TEXT)
    if first[0].says(b"message"):
        return ContentType(_MESSAGES.get(subtype, Composite.OTHER_MESSAGE))
    if first[0].says(b"multipart"):
        boundaries = tuple(
            field[2].text
            for field in fields[1:]
            if len(field) == _TOKENS_PER_FIELD
            and field[0].says(b"boundary")
            and field[1].is_special
            and field[1].text == b"="
        )
        return ContentType(
            Composite.MULTIPART, boundaries, Composite.RFC822 if subtype == b"digest" else Composite.TEXT
        )
    return None


def transfer_encoding(value: bytes) -> Domain | None:
    """Parse the value of a Content-Transfer-Encoding header; None if it changes nothing."""
    tokens = _tokens(value, _ENCODING_SPECIALS)
    return _DOMAINS.get(tokens[0].text.lower()) if tokens and tokens[0].is_word else None


def _fields(value: bytes) -> list[list[_Token]]:
    """The first tokens of each field; fields are separated by semicolons. At least one field."""
    fields: list[list[_Token]] = [[]]
    for token in _tokens(value, _TYPE_SPECIALS):
        if token.is_special and token.text == b";":
            fields.append([])
        elif len(fields[-1]) < _TOKENS_PER_FIELD:
            fields[-1].append(token)
    return fields


_BLANKS = re.compile(rb"[ \t\r\n]+")
_QUOTED = re.compile(rb'((?:[^"\\]|\\.)*)\\?"?', re.DOTALL)
_IN_QUOTED = re.compile(rb"\\(.)|[ \t]*\n", re.DOTALL)
_WORDS = {
    specials: re.compile(rb"[^\x00-\x20\x7f" + re.escape(specials) + rb"]+")
    for specials in (_TYPE_SPECIALS, _ENCODING_SPECIALS)
}


def _tokens(value: bytes, specials: bytes) -> list[_Token]:
    tokens = []
    at = 0
    word = _WORDS[specials]
    while at < len(value):
        if match := _BLANKS.match(value, at):
            at = match.end()
        elif value[at] == 0x28:  # "("
            at = comment_end(value, at)
        elif value[at] == 0x22:
            match = _QUOTED.match(value, at + 1)
            assert match
            tokens.append(_Token(_IN_QUOTED.sub(lambda found: found[1] or b"", match[1])))
            at = match.end()
        elif match := word.match(value, at):
            tokens.append(_Token(match[0], is_word=True))
            at = match.end()
        else:
            tokens.append(_Token(value[at : at + 1], is_special=True))
            at += 1
    return tokens


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
