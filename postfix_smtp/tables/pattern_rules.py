"""Reading the rules of regexp and pcre tables, whatever their engine: syntax, conditions, replacement (chapter 8)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from postfix_smtp import log
from postfix_smtp.config.lines import WHITE
from postfix_smtp.tables.pattern_table import Pattern, PatternError, PatternTable, Rule
from postfix_smtp.tables.prefilter import NOTHING, Need
from postfix_smtp.text import to_octets, to_text

_REPLACEMENT = re.compile(rb"[^$]+|\$\$|\$(?:\{([^{}]*)\}|\(([^()]*)\)|([A-Za-z0-9_]+))")
_LETTER_OR_DIGIT = re.compile(rb"[A-Za-z0-9]")
_STATEMENT = re.compile(rb"(if|endif)(?![A-Za-z0-9])", re.IGNORECASE)
_BLANK = WHITE.encode()


@dataclass(frozen=True, slots=True)
class Dialect:
    """What distinguishes a type of table.

    Attributes:
        options: bit of the engine by option letter; each occurrence of the letter toggles it.
        obsolete: letters that are warned about and ignored.
        default: bits to start from.
        second_pattern: ``/pattern1/!/pattern2/`` is known.
        unclosed: what becomes of a rule without closing delimiter.
        index_range: how "out of range" is spelled for an index that can never be right.
        compile: makes a pattern of its text, the bits, and whether groups will be asked for.
        need: what a subject must be like for a pattern to match, by its text and the bits.
    """

    kind: str
    options: dict[bytes, int]
    obsolete: bytes
    default: int
    second_pattern: bool
    unclosed: str
    index_range: str
    compile: Callable[[bytes, int, bool], Pattern]
    need: Callable[[bytes, int], Need]


class _Skip(Exception):
    """The rule is no use; the text is the warning, empty if it has been given."""


@dataclass(slots=True)
class _Source:
    """A pattern as it is written."""

    text: bytes
    options: int
    wanted: bool


class RuleReader:
    """Makes a table of rules."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._rules: list[Rule] = []
        self._conditions: list[Rule] = []
        self._where = ""

    def add(self, where: str, line: str) -> None:
        """Read one rule; a bad one is warned about and skipped."""
        self._where = where
        try:
            self._statement(to_octets(line))
        except _Skip as problem:
            if problem.args:
                log.warning(f"{where}: {problem}")
        except PatternError as error:
            log.warning(f"{where}: {error}")

    def table(self, name: str) -> PatternTable:
        """The table, when all rules are there."""
        while self._conditions:
            condition = self._conditions.pop()
            log.warning(f"{condition.where}: IF has no matching ENDIF")
            condition.end = len(self._rules)
        return PatternTable(name, self._rules)

    def _statement(self, line: bytes) -> None:
        if not _LETTER_OR_DIGIT.match(line):
            self._rules.append(self._rule(line))
            return
        statement = _STATEMENT.match(line)
        if statement is None:
            raise _Skip("ignoring unrecognized request")
        rest = line[statement.end() :].lstrip(_BLANK)
        if statement.group().lower() == b"if":
            rule = self._condition(rest)
            self._rules.append(rule)
            self._conditions.append(rule)
            return
        if not self._conditions:
            raise _Skip("ignoring ENDIF without matching IF")
        if rest:
            log.warning(f"{self._where}: ignoring extra text after ENDIF")
        self._conditions.pop().end = len(self._rules)

    def _condition(self, line: bytes) -> Rule:
        source, rest = self._pattern(line)
        text = rest.lstrip(_BLANK)
        if text:
            log.warning(f'{self._where}: ignoring extra text after IF statement: "{to_text(text)}"')
            log.warning(f"{self._where}: do not prepend whitespace to statements between IF and ENDIF")
        # A condition without rules behind it must still be recognised as one.
        return Rule(
            self._where,
            self._compile(source, False),
            source.wanted,
            end=len(self._rules) + 1,
            need=self._need(source),
        )

    def _rule(self, line: bytes) -> Rule:
        source, rest = self._pattern(line)
        second = None
        if self._dialect.second_pattern and rest.startswith(b"!"):
            second, rest = self._pattern(rest)
        text = rest.lstrip(_BLANK)
        if not text:
            log.warning(f"{self._where}: no replacement text: using empty string")
        template = self._template(text, source.wanted)
        highest = max((part for part in template if isinstance(part, int)), default=0)
        pattern = self._compile(source, highest > 0)
        if highest > pattern.groups:
            raise _Skip(f'out of range replacement index "{highest}": skipping this rule')
        rule = Rule(self._where, pattern, source.wanted, need=self._need(source))
        if second is not None:
            rule.second = self._compile(second, False)
            rule.second_wanted = second.wanted
        if highest:
            rule.template = template
            rule.highest = highest
        else:
            rule.value = to_text(b"".join(part for part in template if isinstance(part, bytes)))
        return rule

    def _pattern(self, line: bytes) -> tuple[_Source, bytes]:
        """Read ``!/pattern/options``; what follows."""
        wanted = True
        while line.startswith(b"!"):
            wanted = not wanted
            line = line[1:].lstrip(_BLANK)
        if not line:
            raise _Skip("no regexp: skipping this rule")
        delimiter = line[:1]
        end = _unescaped(line, delimiter)
        if end < 0:
            raise _Skip(f'no closing regexp delimiter "{to_text(delimiter)}": {self._dialect.unclosed} this rule')
        options, rest = self._options(line[end + 1 :])
        return _Source(line[1:end], options, wanted), rest

    def _options(self, text: bytes) -> tuple[int, bytes]:
        options = self._dialect.default
        position = 0
        while position < len(text):
            letter = text[position : position + 1]
            if letter in _BLANK or (letter == b"!" and self._dialect.second_pattern):
                break
            if letter in self._dialect.obsolete:
                log.warning(f'{self._where}: ignoring obsolete regexp option "{to_text(letter)}"')
            elif letter in self._dialect.options:
                options ^= self._dialect.options[letter]
            else:
                raise _Skip(f'unknown regexp option "{to_text(letter)}": skipping this rule')
            position += 1
        return options, text[position:]

    def _compile(self, source: _Source, groups_wanted: bool) -> Pattern:
        return self._dialect.compile(source.text, source.options, groups_wanted)

    def _need(self, source: _Source) -> Need:
        """What a rule with this pattern needs to apply."""
        return self._dialect.need(source.text, source.options) if source.wanted else NOTHING

    def _template(self, text: bytes, wanted: bool) -> tuple[bytes | int, ...]:
        parts: list[bytes | int] = []
        position = 0
        while position < len(text):
            token = _REPLACEMENT.match(text, position)
            if token is None:
                self._bad_reference(text, position)
            name = next((group for group in token.groups() if group is not None), None)
            if name is None:
                parts.append(b"$" if token.group() == b"$$" else token.group())
            elif not name:
                self._empty_name(text[: token.end()])
            else:
                parts.append(self._index(name, wanted))
            position = token.end()
        return tuple(parts)

    def _index(self, name: bytes, wanted: bool) -> int:
        if not name.isdigit():
            self._bad_replacement(f'non-numeric replacement index "{to_text(name)}"')
        number = (int(name) + 2**31) % 2**32 - 2**31  # as a 32-bit int
        if number < 1:
            self._bad_replacement(f'{self._dialect.index_range} replacement index "{number}"')
        if not wanted:
            raise _Skip("$number found in negative match replacement text: skipping this rule")
        return number

    def _bad_reference(self, text: bytes, position: int) -> NoReturn:
        if text[position + 1 : position + 2] in (b"{", b"("):
            log.warning(f'truncated macro reference: "{to_text(text)}"')
            self._bad_replacement()
        self._empty_name(text)

    def _empty_name(self, text: bytes) -> NoReturn:
        log.warning(f'empty macro name: "{to_text(text)}"')
        self._bad_replacement()

    def _bad_replacement(self, reason: str = "") -> NoReturn:
        if reason:
            log.warning(f"{self._where}: {reason}")
        raise _Skip("bad replacement syntax: skipping this rule")


def _unescaped(line: bytes, delimiter: bytes) -> int:
    """Where the closing delimiter is; -1 if there is none. A backslash protects the next octet."""
    position = 1
    while position < len(line):
        octet = line[position : position + 1]
        if octet == delimiter:
            return position
        position += 2 if octet == b"\\" else 1
    return -1
