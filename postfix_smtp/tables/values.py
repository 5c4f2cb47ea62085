"""Tables whose content is their name, or nothing: static, inline, internal, environ, fail, randmap."""

import os
import random

from postfix_smtp.config.lines import SEPARATORS, WHITE
from postfix_smtp.config.lists import split_tables
from postfix_smtp.errors import TableError
from postfix_smtp.tables.base import OpenError, Table, TableFlags
from postfix_smtp.tables.layers import is_utf8
from postfix_smtp.tables.opening import Opener
from postfix_smtp.text import fold


class MemoryTable(Table):
    """A mapping."""

    def __init__(self, name: str, values: dict[str, str]) -> None:
        super().__init__(name)
        self._values = values

    def lookup(self, key: str) -> str | None:
        """Look up."""
        return self._values.get(key)


class StaticTable(Table):
    """Always the same value."""

    def __init__(self, name: str, value: str) -> None:
        super().__init__(name)
        self._value = value

    def lookup(self, key: str) -> str | None:
        """The value."""
        return self._value


class EnvironTable(Table):
    """Environment variables."""

    def lookup(self, key: str) -> str | None:
        """The variable named `key`."""
        return os.environ.get(key) if key and "=" not in key else None


class FailTable(Table):
    """Every look-up is a soft error, and the table itself says nothing about it."""

    pattern = True

    def lookup(self, key: str) -> str | None:
        """Fail."""
        raise TableError


class RandomTable(Table):
    """One of several values, at random."""

    pattern = True

    def __init__(self, name: str, values: list[str]) -> None:
        super().__init__(name)
        self._values = values

    def lookup(self, key: str) -> str | None:
        """Any of the values."""
        return random.choice(self._values)


def in_braces(text: str) -> str | None:
    """What is inside ``{...}``, white space at both ends removed; None unless all of `text` is one balanced group."""
    if not text.startswith("{"):
        return None
    depth = 0
    for position, char in enumerate(text):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if depth == 0:
            return text[1:position].strip(WHITE) if position == len(text) - 1 else None
    return None


def open_static(name: str, flags: TableFlags, opener: Opener) -> Table:
    """``static:value`` or ``static:{value with blanks}``."""
    if not name.startswith("{"):
        return StaticTable(f"static:{name}", name)
    value = in_braces(name)
    if value is None:
        raise OpenError(f"bad static:name syntax: {brace_problem(name)}")
    return StaticTable(f"static:{name}", value)


def brace_problem(text: str) -> str:
    """Why a text that begins with a brace is not one group in braces."""
    depth = 0
    for char in text:
        depth += {"{": 1, "}": -1}.get(char, 0)
        if depth == 0:
            return f"syntax error after '}}' in \"{text}\""
    return f"missing '}}' in \"{text}\""


def open_internal(name: str, flags: TableFlags, opener: Opener) -> Table:
    """An empty table."""
    return MemoryTable(f"internal:{name}", {})


def open_environ(name: str, flags: TableFlags, opener: Opener) -> Table:
    """The environment."""
    return EnvironTable(f"environ:{name}")


def open_fail(name: str, flags: TableFlags, opener: Opener) -> Table:
    """A table that always fails."""
    return FailTable(f"fail:{name}")


def open_randmap(name: str, flags: TableFlags, opener: Opener) -> Table:
    """``randmap:{v1, v2}``."""
    inside = in_braces(name)
    values = split_tables(inside) if inside is not None else []
    if not values:
        raise OpenError(f'bad syntax: "randmap:{name}"; need "randmap:{{value...}}"')
    return RandomTable(f"randmap:{name}", values)


def open_inline(name: str, flags: TableFlags, opener: Opener) -> Table:
    """``inline:{key=value, {key = value with blanks}}``; a later entry for the same key wins."""
    need = f'"inline:{name}"; need "inline:{{name=value...}}"'
    utf8 = bool(flags & TableFlags.UTF8_REQUEST) and opener.settings.utf8
    if utf8 and not is_utf8(name):
        raise OpenError(f"bad UTF-8 syntax: {need}")
    inside = in_braces(name)
    if not inside:
        raise OpenError(f"bad syntax: {need}")
    values: dict[str, str] = {}
    for item in split_tables(inside, SEPARATORS):
        entry: str | None = item
        if item.startswith("{"):
            entry = in_braces(item)
            if entry is None:
                raise OpenError(f"{brace_problem(item)}: {need}")
        assert entry is not None
        key, value, problem = _split_entry(entry)
        if problem:
            raise OpenError(f"{problem}: {need}")
        if flags & TableFlags.FOLD_FIX:
            key = fold(key, unicode=utf8)
        values[key] = value
    if not values:
        raise OpenError(f"empty table: {need}")
    return MemoryTable(f"inline:{name}", values)


def _split_entry(entry: str) -> tuple[str, str, str]:
    """Key, value and problem of ``key = value``; white space and ``=`` in double quotes belong to the key."""
    quoted = False
    position = 0
    while position < len(entry):
        char = entry[position]
        if char == "\\" and position + 1 < len(entry):
            position += 1
        elif char == '"':
            quoted = not quoted
        elif not quoted and (char == "=" or char in WHITE):
            break
        position += 1
    if quoted:
        return "", "", "unbalanced '\"'"
    key, rest = entry[:position], entry[position:].lstrip(WHITE)
    if not rest.startswith("="):
        return "", "", "missing '=' after attribute name"
    if not key:
        return "", "", "no key found; expected format: key = value"
    return key, rest[1:].strip(WHITE), ""
