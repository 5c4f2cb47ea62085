"""cidr: address patterns (tables chapter 9)."""

import re
import socket
from dataclasses import dataclass

from postfix_smtp import log
from postfix_smtp.config.lines import WHITE
from postfix_smtp.tables.base import Table, TableFlags
from postfix_smtp.tables.networks import Network, NetworkError, pack, parse_network
from postfix_smtp.tables.opening import Opener
from postfix_smtp.tables.rules import rule_lines

_STATEMENT = re.compile(r"(if|endif)(?![A-Za-z0-9])", re.IGNORECASE)


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


class CidrTable(Table):
    """Rules in order; the first that matches gives the value."""

    pattern = True

    def __init__(self, name: str, rules: list[_Rule]) -> None:
        super().__init__(name)
        self._rules = rules

    def lookup(self, key: str) -> str | None:
        """Look up an address; anything else finds nothing."""
        packed = pack(key)
        if packed is None:
            return None
        address, width = int.from_bytes(packed, "big"), 8 * len(packed)
        rules = self._rules
        number, count = 0, len(rules)
        while number < count:
            rule = rules[number]
            number += 1
            # A rule of the other family never applies, negated or not.
            if rule.width == width and ((address ^ rule.address) >> rule.shift == 0) is rule.wanted:
                if rule.value is not None:
                    return rule.value
            elif rule.value is None:
                number = rule.end
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
