"""``$name`` expansion (config chapter 5).

One pass, left to right, by recursive descent. Three rules of Postfix explain the shape:

* an error is logged where it is found, and then scanning goes on as far as Postfix's does, so that the same warnings
  appear; in the end the whole expansion fails;
* the emptiness tests of ``${name?...}`` and ``${name:...}`` look at the text before expansion;
* the operands of a comparison are expansions of their own: they count nesting from nought, and an error in one does not
  silence the other.
"""

import importlib
from collections.abc import Callable
from typing import Any

from postfix_smtp import log
from postfix_smtp.config.lines import BLANK
from postfix_smtp.config.values import leading_number
from postfix_smtp.errors import FatalError
from postfix_smtp.text import to_octets, to_text

Lookup = Callable[[str], str | None]

_NAME = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_ALPHANUMERIC = _NAME - {"_"}
_CLOSING = {"{": "}", "(": ")"}
_OPERATOR = frozenset("!<>=?+-*/~&|%")
_COMPARISONS = frozenset(("==", "!=", "<", "<=", ">=", ">"))
_OPERATOR_EXPECTED = '"==" or "!="" or "<"" or "<="" or ">="" or ">" expected'
_MOST_NESTING = 100
_LARGEST = (1 << 63) - 1
_LARGEST_MAJOR = _LARGEST >> 20


def expand(text: str, lookup: Lookup, *, functions: bool = False) -> str:
    """Expand the ``$name`` references in `text`.

    Args:
        text: a parameter value.
        lookup: the unexpanded value of a name, None if it is undefined.
        functions: ``${function{text}}`` is understood (Postfix 3.11).

    Raises:
        FatalError: bad syntax or endless nesting; what is wrong has been logged.
    """
    if "$" not in text:
        return text
    expansion = _Expansion(lookup, functions)
    try:
        result = expansion.expand(text)
    except RecursionError:
        # A loop through operands, which Postfix does not survive either.
        log.warning(f'unreasonable macro call nesting: "{text}"')
        raise FatalError("dictionary mail_dict: macro processing error") from None
    if expansion.failed:
        raise FatalError("dictionary mail_dict: macro processing error")
    return result


class _BodyError(Exception):
    """What is wrong in a ``${...}``, as the text of the warning; and what had been expanded before that was seen."""

    def __init__(self, warning: str, value: str = "") -> None:
        super().__init__(warning)
        self.value = value


class _AlreadySaidError(Exception):
    """The warning was given where the error is."""


class _Expansion:
    """One value, or one operand of a comparison.

    `level` counts what is nested. As in Postfix, what fails or comes after an error never leaves its level: after a
    hundred more pieces that were not looked at, the warnings are about nesting.
    """

    __slots__ = ("failed", "functions", "level", "lookup")

    def __init__(self, lookup: Lookup, functions: bool) -> None:
        self.lookup = lookup
        self.functions = functions
        self.failed = False
        self.level = 0

    def expand(self, text: str) -> str:
        result: list[str] = []
        position, literal = 0, ""
        end = len(text)
        while position < end:
            dollar = text.find("$", position)
            if dollar < 0:
                dollar = end
            literal += text[position:dollar]
            if text.startswith("$$", dollar):
                literal += "$"
                position = dollar + 2
                continue
            if literal:
                # Postfix does not even look at the end of a text with an error.
                if (dollar < end or not self.failed) and self._enter(literal):
                    result.append(literal)
                    self.level -= 1
                literal = ""
            if dollar == end:
                break
            body, position = self._reference(text, dollar + 1)
            if body is None:
                break
            if not self._enter(body):
                continue
            try:
                # The plain name is by far the most frequent reference.
                if text[dollar + 1] in _NAME:
                    value = self.lookup(body)
                    if value:
                        result.append(self.expand(value) if "$" in value or self.level > _MOST_NESTING else value)
                else:
                    result.append(self._body(body))
                self.level -= 1
            except _BodyError as trouble:
                log.warning(str(trouble))
                result.append(trouble.value)
                self.failed = True
            except _AlreadySaidError:
                self.failed = True
        if literal and not self.failed and self._enter(literal):
            result.append(literal)
            self.level -= 1
        return "".join(result)

    def _enter(self, piece: str) -> bool:
        """Whether `piece` still matters: after an error only the syntax of the rest is looked at."""
        if self.level > _MOST_NESTING:
            log.warning(f'unreasonable macro call nesting: "{piece}"')
            self.failed = True
        self.level += 1
        return not self.failed

    def _reference(self, text: str, start: int) -> tuple[str | None, int]:
        """What follows ``$``: (name or ``${}`` body, end). No body: the rest of the text is not looked at."""
        opening = text[start : start + 1]
        if opening and opening in "{(":
            end = _balanced(text, start, opening, _CLOSING[opening])
            if end < 0:
                log.warning(f'truncated macro reference: "{text}"')
                self.failed = True
            # A reference in brackets, but not a plain one, is also where Postfix gives up a text with an error.
            if self.failed:
                return None, end
            body = text[start + 1 : end - 1]
        else:
            end = start
            while end < len(text) and text[end] in _NAME:
                end += 1
            body = text[start:end]
        if not body:
            log.warning(f'empty macro name: "{text}"')
            self.failed = True
            return None, end
        return body, end

    def _body(self, body: str) -> str:
        """The value of ``${body}``."""
        position = _skip_blanks(body, 0)
        if body.startswith("{", position):
            return self._comparison(body, position)
        end = position
        while end < len(body) and body[end] in _NAME:
            end += 1
        name = body[position:end]
        if self.functions and body.startswith("{", end):
            return self._function(name, body, end)
        position = _skip_blanks(body, end)
        if position == len(body):
            value = self.lookup(name)
            return self.expand(value) if value else ""
        if body[position] not in "?:":
            raise _BodyError(f'attribute name syntax error at: "...{body[:end]}>>>{_at_most_20(body[end:])}"')
        return self._choice(body, position, bool(self.lookup(name)))

    def _choice(self, body: str, position: int, condition: bool) -> str:
        """``? text``, ``: text``, ``? {text} : text`` from `position` on; only the selected text is expanded."""
        value = ""
        if body[position] == "?":
            text, position, braces = _branch(body, position + 1)
            if condition:
                value = self.expand(text)
            if not braces or position == len(body):
                return value
            if body[position] != ":":
                raise _BodyError(f'":" expected at: "...{text}}}>>>{_at_most_20(body[position:])}"', value)
        text, position, _ = _branch(body, position + 1)
        if not condition:
            value = self.expand(text)
        if position < len(body):
            raise _BodyError(f'unexpected input at: "...{text}}}>>>{_at_most_20(body[position:])}"', value)
        return value

    def _comparison(self, body: str, start: int) -> str:
        """``{left} operator {right}``, with or without the texts to choose from."""
        left, position = _operand(body, start)
        position = _skip_blanks(body, position)
        end = position
        while end < len(body) and body[end] in _OPERATOR:
            end += 1
        operator = body[position:end]
        if operator not in _COMPARISONS:
            raise _BodyError(f'{_OPERATOR_EXPECTED} at: "...{left}}}>>>{_at_most_20(body[position:])}"')
        suffix_end = end
        while suffix_end < len(body) and body[suffix_end] in _ALPHANUMERIC:
            suffix_end += 1
        suffix = body[end:suffix_end]
        if suffix and suffix != "level":
            raise _BodyError(f'bad operator suffix at: "...{operator}>>>{_at_most_20(suffix)}"')
        position = _skip_blanks(body, suffix_end)
        if not body.startswith("{", position):
            rest = _at_most_20(body[suffix_end:])
            raise _BodyError(f'"{{expression}}" expected at: "...{{{left}}} {operator}>>>{rest}"')
        right, position = _operand(body, position)
        position = _skip_blanks(body, position)
        values = self._operand_value(left), self._operand_value(right)
        truth = _compare_levels(operator, *values) if suffix else _compare(operator, *values)
        if self.failed:
            raise _AlreadySaidError
        if position < len(body) and body[position] not in "?:":
            raise _BodyError(f'"?" or ":" expected at: "...}}>>>{_at_most_20(body[position:])}"')
        if position == len(body):
            return "true" if truth else ""
        return self._choice(body, position, truth)

    def _operand_value(self, text: str) -> str:
        if "$" not in text:
            return text
        operand = _Expansion(self.lookup, self.functions)
        value = operand.expand(text)
        self.failed = self.failed or operand.failed
        return value

    def _function(self, name: str, body: str, start: int) -> str:
        function = _FUNCTIONS.get(name)
        if function is None:
            raise _BodyError(f'unknown function "{name}" at"...>>>{name}{_at_most_20(body[start:])}"')
        argument, position = _operand(body, start)
        position = _skip_blanks(body, position)
        if position < len(body):
            raise _BodyError(f'unexpected input at: "...{argument}}}>>>{_at_most_20(body[position:])}"')
        text = self._operand_value(argument.strip(BLANK))
        if self.failed:
            raise _AlreadySaidError
        try:
            return function(text)
        except UnicodeError:
            raise _BodyError(f"bad domain argument in: '{name}{{{text}}}'") from None


def _balanced(text: str, start: int, opening: str, closing: str) -> int:
    """The place after the bracket that closes the one at `start`, or -1."""
    depth, position = 1, start + 1
    while depth:
        end = text.find(closing, position)
        if end < 0:
            return -1
        depth += text.count(opening, position, end) - 1
        position = end + 1
    return position


def _skip_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in BLANK:
        position += 1
    return position


def _at_most_20(text: str) -> str:
    return to_text(to_octets(text)[:20])


def _operand(body: str, start: int) -> tuple[str, int]:
    """The text inside the ``{...}`` at `start`, and the place after it."""
    end = _balanced(body, start, "{", "}")
    if end < 0:
        raise _BodyError(f'unbalanced {{}} in attribute expression: "{body[start:]}"')
    return body[start + 1 : end - 1], end


def _branch(body: str, start: int) -> tuple[str, int, bool]:
    """A text to choose: (text, place after it and following blanks, whether in braces)."""
    position = _skip_blanks(body, start)
    if not body.startswith("{", position):
        return body[start:], len(body), False
    text, position = _operand(body, position)
    return text, _skip_blanks(body, position), True


def _decide(operator: str, order: int) -> bool:
    """Whether `operator` holds for a left side that is below (-1), equal to (0) or above (1) the right side."""
    match operator:
        case "==":
            return order == 0
        case "!=":
            return order != 0
        case "<":
            return order < 0
        case "<=":
            return order <= 0
        case ">":
            return order > 0
        case _:
            return order >= 0


def _compare(operator: str, left: str, right: str) -> bool:
    if _is_number(left) and _is_number(right):
        numbers = _number(left), _number(right)
        return _decide(operator, (numbers[0] > numbers[1]) - (numbers[0] < numbers[1]))
    octets = to_octets(left), to_octets(right)
    return _decide(operator, (octets[0] > octets[1]) - (octets[0] < octets[1]))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _number(text: str) -> int:
    number = int(text)
    if number > _LARGEST:
        raise FatalError(f"mac_exp_eval: bad conversion: {text}")
    return number


def _compare_levels(operator: str, left: str, right: str) -> bool:
    try:
        levels = compatibility_level(left), compatibility_level(right)
    except ValueError as trouble:
        raise _BodyError(str(trouble)) from None
    return _decide(operator, (levels[0] > levels[1]) - (levels[0] < levels[1]))


def compatibility_level(text: str) -> tuple[int, int, int]:
    """A compatibility level: one to three decimal numbers joined by dots, missing ones are 0.

    Raises:
        ValueError: `text` is no level; the error's text is Postfix's.
    """
    numbers: list[int] = []
    for part in text.split("."):
        number, end = leading_number(part)
        if not end or end < len(part) or not 0 <= number <= (1023 if numbers else _LARGEST_MAJOR) or len(numbers) == 3:
            raise ValueError(f'malformed compatibility level syntax: "{text}"')
        numbers.append(number)
    major, minor, patch = [*numbers, 0, 0][:3]
    return major, minor, patch


def domain_to_ascii(name: str) -> str:
    """The A-label form of a domain name (UTS #46, non-transitional).

    Raises:
        UnicodeError: not a domain name.
    """
    if name.isascii():
        return name
    return str(_idna().encode(name, uts46=True).decode("ascii"))


def domain_to_utf8(name: str) -> str:
    """The U-label form of a domain name.

    Raises:
        UnicodeError: not a domain name.
    """
    if not name.isascii() or "xn--" not in name.lower():
        return name
    return str(_idna().decode(name, uts46=True))


def _idna() -> Any:
    try:
        return importlib.import_module("idna")
    except ImportError:
        raise UnicodeError("the package idna is not installed") from None


_FUNCTIONS: dict[str, Callable[[str], str]] = {"domain_to_ascii": domain_to_ascii, "domain_to_utf8": domain_to_utf8}
