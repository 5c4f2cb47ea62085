"""What a subject must contain for a regular expression to match, found out without the engine.

A call of an engine takes longer than a search for a few octets, and most rules do not match most subjects. So from each
pattern that is simple enough the octets are taken that every match contains: a subject that lacks them cannot match.
That is all that is ever concluded, whether a pattern does match is for its engine to say. A pattern with anything in it
that is not surely understood is always left to the engine.

Octets are compared in lower case (A to Z only, as the engines do in the C locale), whatever the options of the pattern.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

#: More is not looked for, and alternatives in larger number are not worth it.
_LONGEST = 24
_MOST_LITERALS = 40
#: Fewer octets are in too many subjects.
_TELLING = 3
#: A pattern with more repetitions may run into a limit of PCRE's, of which the operator is to be warned.
_MOST_REPEATS = 3

_QUANTIFIERS = frozenset(b"*+?{")
_INTERVAL = re.compile(rb"\{[0-9]+(,?)[0-9]*\}")
_CLASS_NAME = re.compile(rb"\[:(?:alnum|alpha|blank|cntrl|digit|graph|lower|print|punct|space|upper|xdigit):\]")
#: Ordinary octets without quantifier.
_ORDINARY = re.compile(rb"""[A-Za-z0-9 !"#%&',/:;<=>@_`~-]+(?![*+?{])""")
#: White space, signs and so on: ASCII that is printed, but for letters and digits.
_SIGNS = frozenset(octet for octet in range(0x20, 0x7F) if not chr(octet).isalnum())


@dataclass(frozen=True, slots=True)
class Syntax:
    """What an engine understands, as far as it matters here.

    Attributes:
        one: letters that with a backslash before them stand for one octet of several.
        nothing: octets that with a backslash before them stand for a place between octets.
        signs: those that a backslash makes an ordinary octet.
        escapes_in_brackets: a backslash means something in ``[...]``.
        limited: the engine gives up after a number of steps.
    """

    one: frozenset[int]
    nothing: frozenset[int]
    signs: frozenset[int]
    escapes_in_brackets: bool
    limited: bool


POSIX = Syntax(frozenset(b"wWsS"), frozenset(b"bB<>"), _SIGNS - set(b"<>'`"), escapes_in_brackets=False, limited=False)
PERL = Syntax(frozenset(b"dDwWsShHvVtnr"), frozenset(b"bB"), _SIGNS, escapes_in_brackets=True, limited=True)


@dataclass(frozen=True, slots=True)
class Need:
    """What a subject must be like, in lower case, to match.

    Attributes:
        start: it begins with one of these; empty: nothing is known.
        inside: it contains one of these; empty: nothing is known.
    """

    start: tuple[bytes, ...] = ()
    inside: tuple[bytes, ...] = ()

    def literal(self) -> bytes:
        """Octets that must be in it: nothing, if there are several possibilities."""
        literals = (choices[0] for choices in (self.inside, self.start) if len(choices) == 1)
        return max(literals, key=len, default=b"")

    def tells_much(self) -> bool:
        """Most subjects are not like that."""
        return bool(self.start) or min(map(len, self.inside), default=0) >= _TELLING


NOTHING = Need()


class _Unknown(Exception):
    """There is something in the pattern that is not understood."""


def need(pattern: bytes, syntax: Syntax, *, multiline: bool) -> Need:
    """What a match needs; :data:`NOTHING` if that cannot be said.

    Args:
        pattern: one that the engine has accepted.
        multiline: ``^`` matches behind a newline too.
    """
    try:
        return _Parser(pattern, syntax, multiline).whole()
    except _Unknown:
        return NOTHING


class _Parser:
    def __init__(self, pattern: bytes, syntax: Syntax, multiline: bool) -> None:
        self._text = pattern
        self._syntax = syntax
        self._multiline = multiline
        self._at = 0
        self._repeats = 0

    def whole(self) -> Need:
        found = self._alternatives(at_start=False)
        if self._at < len(self._text):
            raise _Unknown
        if self._syntax.limited and self._repeats > _MOST_REPEATS:
            raise _Unknown
        return found

    def _next(self) -> int:
        """The next octet, -1 at the end."""
        return self._text[self._at] if self._at < len(self._text) else -1

    def _alternatives(self, *, at_start: bool) -> Need:
        """Up to the end or a closing parenthesis.

        Args:
            at_start: they can match only at the start of the subject.
        """
        branches = [self._branch(at_start)]
        while self._next() == ord("|"):
            self._at += 1
            branches.append(self._branch(at_start))
        return _either(branches)

    def _branch(self, at_start: bool) -> Need:
        pieces = _Pieces()
        pieces.at_start = at_start
        if self._next() == ord("^"):
            self._at += 1
            self._refuse_quantifier()
            pieces.at_start = at_start or not self._multiline
        while (octet := self._next()) not in (-1, ord("|"), ord(")")):
            ordinary = _ORDINARY.match(self._text, self._at)
            if ordinary is not None:
                pieces.run += ordinary[0]
                self._at = ordinary.end()
                continue
            self._at += 1
            if octet in (ord("^"), ord("$")):
                self._refuse_quantifier()
                pieces.cut()
            elif octet == ord("("):
                self._group(pieces)
            elif octet == ord("\\"):
                self._escape(pieces)
            elif octet == ord("["):
                self._bracket()
                self._atom(pieces, None)
            elif octet in _QUANTIFIERS or not octet:
                raise _Unknown
            elif octet == ord(".") or not 0x20 <= octet < 0x7F:
                self._atom(pieces, None)
            else:
                self._atom(pieces, octet)
        return pieces.need()

    def _group(self, pieces: "_Pieces") -> None:
        if self._next() in (ord("?"), ord("*")):
            raise _Unknown
        inner = self._alternatives(at_start=pieces.at_start and not pieces.run)
        if self._next() != ord(")"):
            raise _Unknown
        self._at += 1
        pieces.cut()
        repeats = self._repeats
        if self._quantifier() == b"":
            pieces.add(inner)
        elif self._syntax.limited and self._repeats > repeats:
            raise _Unknown

    def _escape(self, pieces: "_Pieces") -> None:
        octet = self._next()
        self._at += 1
        if octet in self._syntax.signs:
            self._atom(pieces, octet)
        elif octet in self._syntax.one:
            self._atom(pieces, None)
        elif octet in self._syntax.nothing:
            self._refuse_quantifier()
            pieces.cut()
        else:
            raise _Unknown

    def _bracket(self) -> None:
        """Up to the bracket that closes."""
        if self._next() == ord("^"):
            self._at += 1
        if self._next() == ord("]"):
            self._at += 1
        while (octet := self._next()) != ord("]"):
            self._at += 1
            if octet < 1:
                raise _Unknown
            if octet == ord("[") and self._next() in (ord(":"), ord("."), ord("=")):
                name = _CLASS_NAME.match(self._text, self._at - 1)
                if name is None:
                    raise _Unknown
                self._at = name.end()
            elif octet == ord("\\"):
                self._escape_in_bracket()
        self._at += 1

    def _escape_in_bracket(self) -> None:
        octet = self._next()
        if not self._syntax.escapes_in_brackets:
            if octet == ord("]"):
                raise _Unknown
        elif octet in self._syntax.signs | self._syntax.one:
            self._at += 1
        else:
            raise _Unknown

    def _atom(self, pieces: "_Pieces", octet: int | None) -> None:
        """What stands for one octet: that one, or any of several; and how often."""
        quantifier = self._quantifier()
        if octet is None or quantifier not in (b"", b"+"):
            pieces.cut()
            return
        pieces.run.append(octet)
        if quantifier:
            pieces.cut()

    def _quantifier(self) -> bytes:
        """Read one, if there is one; ``*`` stands for whatever is neither nothing nor ``+`` alone."""
        found = b""
        while (octet := self._next()) in _QUANTIFIERS:
            if octet == ord("{"):
                interval = _INTERVAL.match(self._text, self._at)
                if interval is None:
                    raise _Unknown
                self._at = interval.end()
                self._repeats += 1
                found = b"*"
                continue
            self._at += 1
            self._repeats += octet != ord("?")
            found = b"+" if octet == ord("+") and not found else b"*"
        return found

    def _refuse_quantifier(self) -> None:
        if self._next() in _QUANTIFIERS:
            raise _Unknown


class _Pieces:
    """What is known of a branch while it is read.

    Attributes:
        run: octets that follow each other.
        at_start: they are the first ones of the subject.
    """

    def __init__(self) -> None:
        self.run = bytearray()
        self.at_start = False
        self._start: tuple[bytes, ...] = ()
        self._inside: tuple[bytes, ...] = ()

    def cut(self) -> None:
        """Something else comes between the octets so far and those that follow."""
        if self.run:
            literal = bytes(self.run[:_LONGEST]).lower()
            self.add(Need((literal,), ()) if self.at_start else Need((), (literal,)))
            self.run.clear()
        self.at_start = False

    def add(self, other: Need) -> None:
        """Something else that is needed too."""
        self._start = _better(self._start, other.start)
        self._inside = _better(self._inside, other.inside)

    def need(self) -> Need:
        """All in all."""
        self.cut()
        return Need(self._start, self._inside)


def _better(one: tuple[bytes, ...], other: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Which of two needs tells more subjects apart."""
    return max(one, other, key=lambda literals: (min(map(len, literals), default=0), -len(literals)))


def _either(branches: list[Need]) -> Need:
    """What is needed if one of the branches must match."""
    if len(branches) == 1:
        return branches[0]
    starts = [branch.start for branch in branches]
    # Where a branch begins with something it also contains it.
    insides = [branch.inside or branch.start for branch in branches]
    return Need(_union(starts), _union(insides))


def _union(choices: list[tuple[bytes, ...]]) -> tuple[bytes, ...]:
    if not all(choices):
        return ()
    literals = tuple(sorted({literal for choice in choices for literal in choice}))
    return literals if len(literals) <= _MOST_LITERALS else ()


# Several patterns at once

#: Tells of a subject in lower case whether it has what it must.
Test = Callable[[bytes], object]


def combined(needs: Iterable[Need]) -> list[tuple[Test, Test | None]]:
    """Tests for several patterns: none can match unless both tests of a pair (or its only one) find something.

    Args:
        needs: of the patterns; each :meth:`tells much <Need.tells_much>`.
    """
    start_only: set[bytes] = set()
    inside_only: set[bytes] = set()
    both: tuple[set[bytes], set[bytes]] = set(), set()
    for one in needs:
        if min(map(len, one.inside), default=0) < _TELLING:
            start_only.update(one.start)
        elif not one.start:
            inside_only.update(one.inside)
        else:
            both[0].update(one.start)
            both[1].update(one.inside)
    found: list[tuple[Test, Test | None]] = []
    if start_only:
        found.append((_any_of(start_only).match, None))
    if inside_only:
        found.append((_any_of(inside_only).search, None))
    if both[0]:
        found.append((_any_of(both[0]).match, _any_of(both[1]).search))
    return found


def _any_of(literals: Iterable[bytes]) -> re.Pattern[bytes]:
    """Finds any of the octets; common beginnings are tried once, so the time hardly depends on how many there are."""
    return re.compile(_tree(sorted(literals), 0))


def _tree(literals: list[bytes], depth: int) -> bytes:
    """A pattern for the rest of literals that are sorted and have the same first `depth` octets."""
    if len(literals[0]) == depth:
        return b""  # a beginning of all the others
    if literals[0] == literals[-1] or len(literals) == 1:
        return re.escape(literals[0][depth:])
    groups: dict[int, list[bytes]] = {}
    for literal in literals:
        groups.setdefault(literal[depth], []).append(literal)
    branches = [re.escape(bytes((octet,))) + _tree(group, depth + 1) for octet, group in groups.items()]
    return branches[0] if len(branches) == 1 else b"(?:" + b"|".join(branches) + b")"
