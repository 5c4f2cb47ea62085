"""Looking up in rules of regexp and pcre tables (tables chapter 8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from postfix_smtp import log
from postfix_smtp.tables.base import Table
from postfix_smtp.tables.prefilter import NOTHING, Need, Test, combined
from postfix_smtp.tables.rule_parts import parts
from postfix_smtp.text import to_text

#: For fewer rules a test of all takes longer than one of each.
_WORTH_IT = 3
_NO_TEST: list[tuple[Test, Test | None]] = [(lambda _: True, None)]


class PatternError(Exception):
    """A pattern cannot be compiled, or the engine gives up on a subject. The text is the engine's."""


class Pattern(Protocol):
    """A compiled pattern. May be used by several threads."""

    @property
    def groups(self) -> int:
        """How many groups it has."""

    def matches(self, subject: bytes) -> bool:
        """Whether it is found in `subject`.

        Raises:
            PatternError: the engine gave up.
        """

    def spans(self, subject: bytes, groups: int) -> Sequence[tuple[int, int]] | None:
        """Where the whole match and the first `groups` groups are; (-1, -1) for one that took no part. None: no match.

        Raises:
            PatternError: the engine gave up.
        """


@dataclass(slots=True)
class Rule:
    """One rule.

    Attributes:
        where: start of warnings.
        second: pattern that must, or must not, match as well.
        value: the result, if it is always the same.
        template: the result, if it has parts of the subject: octets and numbers of groups.
        highest: of those numbers.
        end: for a condition: the first rule behind it; 0 for others.
        need: what a subject must be like for the rule to apply.
    """

    where: str
    pattern: Pattern
    wanted: bool
    second: Pattern | None = None
    second_wanted: bool = False
    value: str = ""
    template: tuple[bytes | int, ...] = ()
    highest: int = 0
    end: int = 0
    need: Need = NOTHING

    def applies(self, subject: bytes) -> bool:
        """Whether the result is that of the rule.

        Raises:
            PatternError: an engine gave up.
        """
        return self.pattern.matches(subject) is self.wanted and self._second_applies(subject)

    def result(self, subject: bytes) -> str | None:
        """The result; None if the rule does not apply.

        Raises:
            PatternError: an engine gave up.
        """
        if not self.template:
            return self.value if self.applies(subject) else None
        spans = self.pattern.spans(subject, self.highest)
        if spans is None or not self._second_applies(subject):
            return None
        pieces = []
        for part in self.template:
            if isinstance(part, bytes):
                pieces.append(part)
            else:
                start, end = spans[part]
                pieces.append(subject[start:end] if start >= 0 else b"")
        return to_text(b"".join(pieces))

    def _second_applies(self, subject: bytes) -> bool:
        return self.second is None or self.second.matches(subject) is self.second_wanted


class _Step:
    """Rules without conditions between them, or one condition. Either all can be tested at once, or none.

    Attributes:
        rules: each with octets that a subject must contain for it to apply.
        end: for a condition: the step behind what depends on it; 0 for others.
    """

    __slots__ = ("_tests", "end", "rules")

    def __init__(self, rules: Sequence[Rule], end: int) -> None:
        self.rules = [(rule.need.literal(), rule) for rule in rules]
        self.end = end
        self._tests = None if len(rules) >= _WORTH_IT and rules[0].need.tells_much() else _NO_TEST

    def may_apply(self, lower: bytes) -> bool:
        """Whether any of the rules can apply to a subject, which is given in lower case."""
        found = self._tests
        if found is None:  # made when first wanted: a process may end without
            found = self._tests = combined(rule.need for _, rule in self.rules)
        for first, second in found:  # noqa: SIM110 - a generator takes longer
            if first(lower) and (second is None or second(lower)):
                return True
        return False


class PatternTable(Table):
    """Rules in order; the first that applies gives the value."""

    pattern = True

    def __init__(self, name: str, rules: Sequence[Rule]) -> None:
        super().__init__(name)
        cut = parts([rule.end for rule in rules], [rule.need.tells_much() for rule in rules])
        self._steps = [_Step(rules[part.first : part.behind], part.end) for part in cut]

    def lookup(self, key: str) -> str | None:
        """Try the rules. A rule whose engine gives up is warned about and does not apply."""
        subject = key.encode("utf-8", "surrogateescape")
        if b"\0" in subject:
            subject = subject[: subject.index(b"\0")]
        lower = subject.lower()
        steps = self._steps
        number, count = 0, len(steps)
        while number < count:
            step = steps[number]
            number += 1
            if step.end:
                if not _holds(*step.rules[0], subject, lower):
                    number = step.end
            elif step.may_apply(lower):
                for literal, rule in step.rules:
                    if literal in lower:
                        try:
                            value = rule.result(subject)
                        except PatternError as error:
                            log.warning(f"{rule.where}: {error}")
                        else:
                            if value is not None:
                                return value
        return None


def _holds(literal: bytes, condition: Rule, subject: bytes, lower: bytes) -> bool:
    if literal not in lower:
        return False
    try:
        return condition.applies(subject)
    except PatternError as error:
        log.warning(f"{condition.where}: {error}")
        return False
