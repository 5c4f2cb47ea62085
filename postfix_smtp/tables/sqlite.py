"""sqlite: one file, read by Python's own SQLite (tables chapter 14)."""

import re
import sqlite3
import threading
from urllib.parse import quote

from postfix_smtp import log
from postfix_smtp.errors import FatalError
from postfix_smtp.tables.base import OpenError, Table, TableFlags
from postfix_smtp.tables.database import Expansion, Template, sql_query
from postfix_smtp.tables.network import c_string
from postfix_smtp.tables.opening import Opener
from postfix_smtp.tables.parameter_file import TableParameters

_UNAVAILABLE_SINCE = (3, 10)
_UNQUOTED_WARNING_SINCE = (3, 11)
_QUOTED = re.compile(r"'(?:[^']|'')*'")


class SqliteTable(Table):
    """One query on one file."""

    def __init__(self, name: str, connection: sqlite3.Connection, query: Template, expansion: Expansion) -> None:
        super().__init__(f"sqlite:{name}")
        self._source = name
        self._connection = connection
        self._query = query
        self._expansion = expansion
        self._lock = threading.Lock()

    def lookup(self, key: str) -> str | None:
        """Look up; only the first column of each row counts.

        Raises:
            FatalError: the query is wrong, or the file damaged.
        """
        if not self._expansion.wants(key):
            return None
        query = self._query.filled(key, key, _quoted)
        if query is None:
            return None
        with self._lock:
            step = "prepare"
            try:
                rows = self._connection.execute(_first_statement(query))
                step = "step"
                found = [_text(row[0]) for row in rows]
            except (sqlite3.Error, sqlite3.Warning) as error:
                raise FatalError(f"dict_sqlite_lookup: {self._source}: SQL {step} failed: {error}?") from None
        limit = f"dict_sqlite_lookup: {self._source}: Expansion limit exceeded for key '{key}'"
        return self._expansion.joined(key, found, limit)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _first_statement(query: str) -> str:
    """What SQLite itself compiles of a text with several statements; Python insists on one."""
    for end in (position for position, char in enumerate(query) if char == ";"):
        if sqlite3.complete_statement(query[: end + 1]):
            return query[:end]
    return query


def _text(value: object) -> str | None:
    """A value as SQLite turns it into text."""
    if value is None:
        return None
    if isinstance(value, float):
        text = f"{value:.15g}"
        if "." not in text and "n" not in text:
            mantissa, e, exponent = text.partition("e")
            text = f"{mantissa}.0{e}{exponent}"
        return text
    return c_string(value) if isinstance(value, bytes) else str(value)


def open_sqlite(name: str, flags: TableFlags, opener: Opener) -> Table:
    """Open the file that the parameters name, for reading only.

    Raises:
        FatalError: a parameter is wrong; before 3.10 also if the file cannot be opened.
    """
    parameters = TableParameters(name, opener)
    path = parameters.text("dbpath", "", 1)
    query = sql_query(parameters)
    expansion = Expansion(f"sqlite:{name}", parameters, opener)
    if opener.settings.version >= _UNQUOTED_WARNING_SINCE and "%s" in _QUOTED.sub("", query.text):
        log.warning(f"sqlite:{name}: query contains %s without quotes")
    try:
        connection = sqlite3.connect(
            f"file:{quote(path)}?mode=ro", uri=True, timeout=0, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        if opener.settings.version >= _UNAVAILABLE_SINCE:
            raise OpenError(f"sqlite:{name}: open database {path}: {error}: No such file or directory") from None
        raise FatalError(f"sqlite:{name}: Can't open database: {error}") from None
    connection.text_factory = bytes
    return SqliteTable(name, connection, query, expansion)
