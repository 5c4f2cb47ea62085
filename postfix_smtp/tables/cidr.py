"""cidr: address patterns (tables chapter 9)."""

import re
import socket
from dataclasses import dataclass

from postfix_smtp import log
from postfix_smtp.config.lines import WHITE
from postfix_smtp.tables.base import Table, TableFlags
from postfix_smtp.tables.networks import Network, NetworkError, pack, parse_network
from postfix_smtp.tables.opening import Opener
from postfix_smtp.tables.rule_parts import parts
from postfix_smtp.tables.rules import rule_lines

_STATEMENT = re.compile(r"(if|endif)(?![A-Za-z0-9])", re.IGNORECASE)


#: Looking into the tables of one length of network takes as long as comparing with so many rules.
_WORTH_IT = 4


@dataclass(slots=True)
class _Rule:
    """One rule; `value` is None for ``if``, which ends before rule number `end`.

    `width` is the number of bits of an address, `shift` how many of them do not count.
    """

    address: int
    width: int
    shift: int
    wanted: bool
    value: str | None
    end: int = 0

    def applies(self, address: int, width: int) -> bool:
        """Whether it does. A rule of the other family never applies, negated or not."""
        return self.width == width and ((address ^ self.address) >> self.shift == 0) is self.wanted


class _Step:
    """Rules without conditions between them, or one condition.

    Attributes:
        end: for a condition: the step behind what depends on it; 0 for others.
    """

    __slots__ = ("_by_length", "end", "rules")

    def __init__(self, rules: list[_Rule], end: int) -> None:
        self.rules = rules
        self.end = end
        #: By family and length of the network: the number of the first rule for a network.
        self._by_length: dict[int, dict[int, dict[int, int]]] | None = None
        lengths = {(rule.width, rule.shift) for rule in rules}
        if rules[0].wanted and len(rules) >= _WORTH_IT * len(lengths):
            self._by_length = {width: {} for width in (32, 128)}
            for number, rule in enumerate(rules):
                networks = self._by_length[rule.width].setdefault(rule.shift, {})
                networks.setdefault(rule.address >> rule.shift, number)

    def value(self, address: int, width: int) -> str | None:
        """The value of the first rule that applies."""
        rules = self.rules
        if self._by_length is None:
            return next((rule.value for rule in rules if rule.applies(address, width)), None)
        first = none = len(rules)
        for shift, networks in self._by_length[width].items():
            number = networks.get(address >> shift, none)
            if number < first:
                first = number
        return rules[first].value if first < none else None


class CidrTable(Table):
    """Rules in order; the first that matches gives the value."""

    pattern = True

    def __init__(self, name: str, rules: list[_Rule]) -> None:
        super().__init__(name)
        cut = parts([rule.end for rule in rules], [rule.wanted for rule in rules])
        self._steps = [_Step(rules[part.first : part.behind], part.end) for part in cut]

    def lookup(self, key: str) -> str | None:
        """Look up an address; anything else finds nothing."""
        packed = pack(key)
        if packed is None:
            return None
        address, width = int.from_bytes(packed, "big"), 8 * len(packed)
        steps = self._steps
        number, count = 0, len(steps)
        while number < count:
            step = steps[number]
            number += 1
            if step.end:
                if not step.rules[0].applies(address, width):
                    number = step.end
            else:
                value = step.value(address, width)
                if value is not None:
                    return value
        return None


def open_cidr(name: str, flags: TableFlags, opener: Opener) -> Table:
    """Read the rules; malformed ones are skipped with a warning."""
    rules: list[_Rule] = []
    conditions: list[tuple[str, _Rule]] = []
    for where, line in rule_lines("cidr", name, opener):
        try:
            _add(where, line, rules, conditions)
        except NetworkError as error:
            log.warning(f"{where}: {error}: skipping this rule")
    for where, condition in reversed(conditions):
        condition.end = len(rules)
        log.warning(f"{where}: IF has no matching ENDIF")
    return CidrTable(f"cidr:{name}", rules)


def _add(where: str, line: str, rules: list[_Rule], conditions: list[tuple[str, _Rule]]) -> None:
    statement = _STATEMENT.match(line)
    if statement is None:
        wanted, text = _negation(line)
        pattern, value = _first_word(text)
        network = _network(pattern)
        if not value:
            raise NetworkError("no lookup result")
        rules.append(_rule(network, wanted, value))
        return
    rest = line[statement.end() :].lstrip(WHITE)
    if statement[0].lower() == "endif":
        if rest:
            raise NetworkError("garbage after ENDIF")
        if not conditions:
            raise NetworkError("ENDIF without IF")
        conditions.pop()[1].end = len(rules)
    else:
        wanted, pattern = _negation(rest)
        rule = _rule(_network(pattern), wanted, None)
        rules.append(rule)
        conditions.append((where, rule))


def _rule(network: Network, wanted: bool, value: str | None) -> _Rule:
    width = 32 if network.family == socket.AF_INET else 128
    return _Rule(network.address, width, width - network.length, wanted, value)


def _network(pattern: str) -> Network:
    if not pattern:
        raise NetworkError("no address pattern")
    return parse_network(pattern)


def _negation(text: str) -> tuple[bool, str]:
    wanted = True
    while text.startswith("!"):
        wanted = not wanted
        text = text[1:].lstrip(WHITE)
    return wanted, text


def _first_word(text: str) -> tuple[str, str]:
    for position, char in enumerate(text):
        if char in WHITE:
            return text[:position], text[position:].strip(WHITE)
    return text, ""
