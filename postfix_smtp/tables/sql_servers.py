"""What mysql and pgsql tables have in common: a query to one of several servers (tables chapter 14)."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

from postfix_smtp.tables.base import Table
from postfix_smtp.tables.database import Expansion, Template
from postfix_smtp.tables.parameter_file import TableParameters
from postfix_smtp.tables.server_choice import Driver, Servers, counted_twice

_INTERVALS_SINCE = (3, 9)
_INTERVAL = 60


class ServedTable(Table):
    """One query on one of several servers.

    Args:
        name: without the type.
        library: the module that speaks to servers.
    """

    local = False
    kind: str

    def __init__(self, name: str, library: Any, servers: Servers[Any], query: Template, expansion: Expansion) -> None:
        super().__init__(f"{self.kind}:{name}")
        self._library = library
        self._query = query
        self._limit_exceeded = f"dict_{self.kind}_lookup: {name}: Expansion limit exceeded for key: "
        self._servers = servers
        self._expansion = expansion

    def lookup(self, key: str) -> str | None:
        """Ask a server."""
        if not self._expansion.wants(key) or self._query.filled(key, key) is None:
            return None
        values = self._servers.ask(lambda host, connection: self.values(host, connection, key))
        return self._expansion.joined(key, values, f"{self._limit_exceeded}'{key}'")

    @abstractmethod
    def values(self, host: str, connection: Any, key: str) -> Iterable[str | None]:
        """Every column of every row.

        Raises:
            ServerError: no answer.
        """

    def close(self) -> None:
        """Close the connections."""
        self._servers.close()


def sql_servers(
    parameters: TableParameters, driver: Driver[Any], hosts: list[str], version: tuple[int, ...]
) -> Servers[Any]:
    """The servers of a table."""
    retry, idle = (
        parameters.number(name, _INTERVAL, 1) if version >= _INTERVALS_SINCE else _INTERVAL
        for name in ("retry_interval", "idle_interval")
    )
    return Servers(driver, counted_twice(hosts, version), retry, idle)
