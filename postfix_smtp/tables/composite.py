"""Tables made of tables: unionmap, pipemap, debug."""

from collections.abc import Callable, Sequence

from postfix_smtp import log
from postfix_smtp.config.lists import split_tables
from postfix_smtp.errors import TableError
from postfix_smtp.tables.base import OpenError, Table, TableFlags
from postfix_smtp.tables.opening import Opener
from postfix_smtp.tables.values import in_braces


class _Composite(Table):
    def __init__(self, name: str, members: Sequence[Table]) -> None:
        super().__init__(name)
        self._members = tuple(members)
        self.local = all(member.local for member in members)
        self.pattern = members[0].pattern


class UnionTable(_Composite):
    """The values of all members, joined by commas."""

    def lookup(self, key: str) -> str | None:
        """Ask every member; an error of any is an error."""
        values = [value for member in self._members if (value := member.lookup(key)) is not None]
        return ",".join(values) if values else None


class PipeTable(_Composite):
    """The value of one member is the key of the next."""

    def lookup(self, key: str) -> str | None:
        """Ask the members in turn; the first that finds nothing ends the search."""
        value: str | None = key
        for member in self._members:
            if value is None:
                return None
            value = member.lookup(value)
        return value


class DebugTable(_Composite):
    """Logs every look-up of another table (3.11)."""

    def lookup(self, key: str) -> str | None:
        """Look up and log."""
        inner = self._members[0]
        try:
            value = inner.lookup(key)
        except TableError:
            log.info(f'{inner.name} lookup: "{key}" = "error"')
            raise
        log.info(f'{inner.name} lookup: "{key}" = "{"not_found" if value is None else value}"')
        return value


def _members(kind: str, name: str, flags: TableFlags, opener: Opener) -> list[Table]:
    inside = in_braces(name)
    specs = split_tables(inside) if inside is not None else []
    if not specs or any(":" not in spec for spec in specs):
        raise OpenError(f'bad syntax: "{kind}:{name}"; need "{kind}:{{type:name...}}"')
    return [opener.open_member(spec, flags) for spec in specs]


def _opens(kind: str, make: Callable[[str, Sequence[Table]], Table]) -> Callable[[str, TableFlags, Opener], Table]:
    def open_table(name: str, flags: TableFlags, opener: Opener) -> Table:
        return make(f"{kind}:{name}", _members(kind, name, flags, opener))

    return open_table


open_unionmap = _opens("unionmap", UnionTable)
open_pipemap = _opens("pipemap", PipeTable)


def open_debug(name: str, flags: TableFlags, opener: Opener) -> Table:
    """``debug:type:name``."""
    return DebugTable(f"debug:{name}", [opener.open_member(name, flags)])
