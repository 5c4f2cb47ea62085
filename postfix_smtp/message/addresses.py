"""Address lists in headers: tokens, structure, and writing them again (message chapters 6.4 and 6.5; RFC 822).

Addresses are found from the right to the left, because a list is read more safely so: what stands before ``<`` is a
phrase whatever it looks like, and a word that follows a complete address must belong to the next one.
"""

import re
from collections.abc import Callable
from enum import IntEnum

from postfix_smtp import log
from postfix_smtp.message.content_headers import comment_end
from postfix_smtp.smtp.quoting import quote_822
from postfix_smtp.text import to_octets, to_text


class Kind(IntEnum):
    """Kinds of tokens and nodes."""

    OPERATOR = 0
    ATOM = 1
    QUOTED = 2  #: text without quotes and backslashes
    LITERAL = 3  #: text without brackets and backslashes
    COMMENT = 4  #: text as it is, with parentheses
    ADDRESS = 5  #: internal form
    GROUP_START = 6


Node = tuple[Kind, bytes]

_COMMA: Node = (Kind.OPERATOR, b",")
_LEFT: Node = (Kind.OPERATOR, b"<")
_RIGHT: Node = (Kind.OPERATOR, b">")
_WORDS = (Kind.ATOM, Kind.QUOTED, Kind.LITERAL)

_TOKEN = re.compile(
    rb"""
      (?P<blank> [ \t\r\n]+ )
    | (?P<comment> \( )
    | (?P<literal> \[ (?: [^\]\\] | \\. )* \\? \]? )
    | (?P<quoted> " (?: [^"\\] | \\. )* \\? "? )
    | (?P<operator> [|%!)<>@,;:.\]] )
    | (?P<atom> (?: [^ \t\r\n|%!()<>@,;:".\[\]\\] | \\. )+ \\? | \\ )
    """,
    re.DOTALL | re.VERBOSE,
)
_PLAIN = re.compile(rb"\\(.)|\\", re.DOTALL)
_BLANKS_TO_SPACES = bytes.maketrans(b"\t\r\n", b"   ")
_NOT_IN_ATOM = re.compile(rb'[\x00-\x20\x7f|%!()<>@,;:\\".\[\]]')
_NOT_IN_DOMAIN = re.compile(rb'[\x00-\x20()<>,;:\\"\[\]]')

#: Text beside the address that a piece of the list may have, in octets.
_COMMENTS_MAX = 250
_WARNING_LENGTH = 100
#: Lines are joined as long as the result is shorter.
_LINE_LENGTH = 70


def tokens(text: bytes) -> list[Node]:
    """Cut `text` into tokens."""
    result: list[Node] = []
    at = 0
    while match := _TOKEN.match(text, at):
        at = match.end()
        token = match[0]
        match match.lastgroup:
            case "comment":
                at = comment_end(text, match.start())
                result.append((Kind.COMMENT, text[match.start() : at]))
            case "literal":
                result.append((Kind.LITERAL, _plain(token, b"]")))
            case "quoted":
                result.append((Kind.QUOTED, _plain(token, b'"')))
            case "operator":
                result.append((Kind.OPERATOR, token))
            case "atom":
                atom = _unescaped(token)
                result.append((Kind.QUOTED if _NOT_IN_ATOM.search(atom) else Kind.ATOM, atom))
    return result


def _plain(token: bytes, end: bytes) -> bytes:
    """Content of a token between delimiters; the last one may be missing, or escaped and so be content."""
    body = token[1:]
    content = _unescaped(body)
    closed = body.endswith(end) and (len(body) - 1 - len(body[:-1].rstrip(b"\\"))) % 2 == 0
    return content[:-1] if closed else content


def _unescaped(text: bytes) -> bytes:
    return _PLAIN.sub(lambda match: match[1] or b"", text).translate(_BLANKS_TO_SPACES)


def parse(text: bytes) -> list[Node]:
    """The top-level nodes of an address list, in order: addresses, and everything that is not part of one."""
    return _Parser(tokens(text), internal_form).parse()


def quoted_addresses(text: bytes) -> list[bytes]:
    """The addresses of a list, with the quotes that they have there: an ``@`` may be inside of them."""
    nodes = _Parser(tokens(text), lambda nodes: unparse(nodes, comma=b", ")).parse()
    return [address for kind, address in nodes if kind is Kind.ADDRESS]


class _Parser:
    """One walk from the last token to the first; results are collected in this, reverse, order."""

    def __init__(self, source: list[Node], address_form: Callable[[list[Node]], bytes]) -> None:
        self._tokens = source
        self._address_form = address_form
        self._done: list[Node] = []
        self._pending: list[Node] = []  # between the current token and the right edge

    def parse(self) -> list[Node]:
        word_expected = True
        in_group = False
        index = len(self._tokens) - 1
        edge = -1  # a token that bounds the next address even if it is an operator that addresses may contain
        while index >= 0:
            kind, text = node = self._tokens[index]
            if kind is Kind.COMMENT:
                self._done.append(node)
            elif kind is not Kind.OPERATOR:
                if not word_expected:
                    self._collect_separately()
                self._pending.append(node)
                word_expected = False
            elif text == b";":
                self._collect_separately()
                self._done.append(node)
                word_expected = in_group = True
            elif text == b":" and in_group:
                self._collect()
                self._done.append((Kind.GROUP_START, text))
                index = self._skip(index - 1, b",")
                continue
            elif text == b">":
                self._collect_separately()
                self._done.append(node)
                index = edge = self._skip(self._route_address(index - 1), b">;,:")
                word_expected = True
                continue
            elif text == b",":
                self._collect()
                self._done.append(node)
                word_expected = True
            else:
                (self._done if index == edge else self._pending).append(node)
                word_expected = True
            index -= 1
        self._collect()
        self._done.reverse()
        return self._done

    def _collect(self) -> bool:
        """Make an address of what is pending, if anything."""
        if not self._pending:
            return False
        self._done.append((Kind.ADDRESS, self._address_form(self._pending[::-1])))
        self._pending = []
        return True

    def _collect_separately(self) -> None:
        """As before; a comma separates the address from what comes before it."""
        if self._collect():
            self._done.append(_COMMA)

    def _route_address(self, index: int) -> int:
        """Collect what is between ``<`` and ``>``; the index of ``<``, or -1."""
        while index >= 0:
            kind, text = node = self._tokens[index]
            if kind is Kind.OPERATOR and text == b"<":
                break
            (self._done if kind is Kind.COMMENT else self._pending).append(node)
            index -= 1
        self._collect()
        return index

    def _skip(self, index: int, stop_at: bytes) -> int:
        """Leave tokens as they are, up to an operator in `stop_at`; its index, or -1."""
        while index >= 0:
            kind, text = node = self._tokens[index]
            if kind is Kind.OPERATOR and text in stop_at:
                break
            self._done.append(node)
            index -= 1
        return index


def internal_form(nodes: list[Node]) -> bytes:
    """An address's tokens run together: without quotes, literals with brackets."""
    return b"".join([b"[" + text + b"]" if kind is Kind.LITERAL else text for kind, text in nodes])


def external_form(address: bytes) -> bytes:
    """How an address is written in a header; the empty address is a quoted empty local part there.

    What is wrong with a domain is not repaired, but read and written once like a list; a source route is, too.
    """
    quoted = to_octets(quote_822(to_text(address))) or b'""'
    if quoted.startswith(b"@") or _NOT_IN_DOMAIN.search(quoted, quoted.rfind(b"@") + 1):
        return to_octets(quote_822(to_text(unparse(tokens(quoted), internal=True, comma=b", ")))) or b'""'
    return quoted


def unparse(nodes: list[Node], *, internal: bool = False, comma: bytes = b",\n") -> bytes:
    """Write nodes as text.

    Args:
        internal: without quotes and backslashes.
        comma: a comma, and what separates it from what follows.
    """
    pieces: list[bytes] = []
    for index, node in enumerate(nodes):
        kind, text = node
        if node == _COMMA:
            pieces.append(comma if index + 1 < len(nodes) or b"\n" in comma else text)
            continue
        if internal:
            pieces.append(internal_form([node]))
        else:
            pieces.append(_WRITERS[kind](text) if kind in _WRITERS else text)
        if index + 1 < len(nodes):
            following, following_text = nodes[index + 1]
            if (
                kind is Kind.GROUP_START
                or (following is Kind.OPERATOR and following_text == b"<")
                or (_is_wordy(kind) and _is_wordy(following))
            ):
                pieces.append(b" ")
    return b"".join(pieces)


def _is_wordy(kind: Kind) -> bool:
    return kind is not Kind.OPERATOR and kind is not Kind.GROUP_START


_WRITERS: dict[Kind, Callable[[bytes], bytes]] = {
    Kind.ADDRESS: external_form,
    Kind.QUOTED: lambda text: b'"' + re.sub(rb'["\\\r\n]', rb"\\\g<0>", text) + b'"',
    Kind.LITERAL: lambda text: b"[" + re.sub(rb"[\\\r\n]", rb"\\\g<0>", text) + b"]",
}


def without_long_comments(nodes: list[Node]) -> list[Node]:
    """Reduce list members with too much text beside the address to the address (logged)."""
    result: list[Node] = []
    member: list[Node] = []
    for node in [*nodes, None]:
        if node is not None and node != _COMMA:
            member.append(node)
            continue
        result.extend(_without_long_comment(member))
        member = []
        if node is not None:
            result.append(node)
    return result


def _without_long_comment(member: list[Node]) -> list[Node]:
    inside: list[Node] | None = None
    for index, node in enumerate(member):
        if node[0] is Kind.ADDRESS:
            inside = [node]
        elif node == _LEFT and member[index + 1 : index + 2] == [_RIGHT]:
            inside = []
    if inside is None:
        return member
    written = unparse(member)
    if len(written) - len(unparse(inside)) <= _COMMENTS_MAX:
        return member
    log.warning(f"stripping too many comments from address: {to_text(written[:_WARNING_LENGTH])}...")
    return [_LEFT, *inside, _RIGHT]


def write_header(name: bytes, nodes: list[Node]) -> bytes:
    """A header with the address list `nodes`, folded; its lines are separated by LF."""
    lines: list[bytes] = []
    current = name + b": "
    for index, line in enumerate(unparse(without_long_comments(nodes)).split(b"\n")):
        if index == 0:
            current += line
        elif len(current) + 1 + len(line) < _LINE_LENGTH:
            current += b" " + line
        else:
            lines.append(current)
            current = line
    lines.append(current)
    return b"\n".join([lines[0], *(line if line[:1] in (b" ", b"\t") else b"\t" + line for line in lines[1:])])
