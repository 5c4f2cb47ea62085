"""Lists of tables, searched in order (tables chapter 2)."""

import asyncio
from collections.abc import Sequence

from postfix_smtp import log
from postfix_smtp.errors import TableError
from postfix_smtp.tables.base import Table


class Maps:
    """The tables of one parameter.

    Attributes:
        title: parameter name, for warnings.
        tables: in the order of search.
        local: no table waits for anything: :meth:`find` may be called on the event loop.
    """

    def __init__(self, title: str, tables: Sequence[Table]) -> None:
        self.title = title
        self.tables = tuple(tables)
        self.local = all(table.local for table in tables)

    def find(self, key: str, *, partial: bool = False) -> tuple[str, Table] | None:
        """The first table's answer, and the table; None if no table has one.

        Args:
            partial: `key` is a part of an address or name: tables with patterns are not asked.

        Raises:
            TableError: a table cannot answer, or answers with an empty text; logged.
        """
        if not key:
            return None
        for table in self.tables:
            if partial and table.pattern:
                continue
            try:
                value = table.lookup(key)
            except TableError:
                log.warning(f'{table.name} lookup error for "{key}"')
                raise
            if value is None:
                continue
            if not value:
                log.warning(f"{self.title} lookup of {key} returns an empty string result")
                log.warning(f"{self.title} should return NO RESULT in case of NOT FOUND")
                raise TableError
            return value, table
        return None

    async def alookup(self, key: str, *, partial: bool = False) -> tuple[str, Table] | None:
        """Like :meth:`find`, from the event loop: tables that may wait are asked in a thread."""
        if self.local:
            return self.find(key, partial=partial)
        return await asyncio.to_thread(self.find, key, partial=partial)

    async def value(self, key: str) -> str | None:
        """The value alone, for look-ups by whole key."""
        found = await self.alookup(key)
        return None if found is None else found[0]
