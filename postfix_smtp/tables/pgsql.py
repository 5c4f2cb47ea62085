"""pgsql: PostgreSQL servers, through psycopg's face of the C library (tables chapter 14)."""

from typing import Any

from postfix_smtp import log
from postfix_smtp.config.lists import split
from postfix_smtp.tables.base import OpenError, Table, TableFlags
from postfix_smtp.tables.database import Expansion, sql_query
from postfix_smtp.tables.network import c_string
from postfix_smtp.tables.opening import Opener
from postfix_smtp.tables.parameter_file import TableParameters
from postfix_smtp.tables.server_choice import Driver, ServerError, host_and_port
from postfix_smtp.tables.sql_servers import ServedTable, sql_servers
from postfix_smtp.text import to_octets, to_text

_ENCODING_SINCE = (3, 8)
_NO_DATABASE_SINCE = (3, 10)
_OLD_ENCODING = "LATIN1"
_URI = "postgresql://"


class _PgsqlDriver(Driver[Any]):
    """Makes connections.

    Args:
        library: the ``psycopg.pq`` module, imported where it is configured.
        login: ``dbname``, ``user`` and ``password``, as far as they are given.
        encoding: of queries and results.
    """

    def __init__(self, library: Any, login: dict[str, str], encoding: str) -> None:
        self._library = library
        self._login = login
        self._encoding = encoding

    def connect(self, host: str) -> Any:
        connection = self._library.PGconn.connect(to_octets(self._target(host)))
        if connection.status != self._library.ConnStatus.OK:
            text = to_text(connection.error_message)
            connection.finish()
            raise ServerError(f"connect to pgsql server {host}: {text}")
        result = connection.exec_(b"SET client_encoding TO '%b'" % to_octets(self._encoding.replace("'", "''")))
        if result.status != self._library.ExecStatus.COMMAND_OK:
            connection.finish()
            raise ServerError(f"connect to pgsql server {host}: cannot set the encoding to {self._encoding}")
        return connection

    def _target(self, host: str) -> str:
        if host.startswith(_URI):
            return host
        if host.startswith("unix:"):
            where = {"host": host.removeprefix("unix:")}
        else:
            name, port = host_and_port(host)
            where = {"host": name, **({"port": port} if port else {})}
        return " ".join(f"{name}={_conninfo_quoted(value)}" for name, value in (where | self._login).items())

    def disconnect(self, connection: Any) -> None:
        connection.finish()


def _conninfo_quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


class PgsqlTable(ServedTable):
    """One query on one of several servers."""

    kind = "pgsql"

    def values(self, host: str, connection: Any, key: str) -> list[str]:
        """Every column of every row, NULL as an empty one."""
        library = self._library
        escaping = library.Escaping(connection)
        try:
            query = self._query.filled(key, key, lambda text: to_text(bytes(escaping.escape_string(to_octets(text)))))
        except library.error.OperationalError as error:
            raise ServerError(f"pgsql query failed: cannot escape the key, host {host}: {error}") from None
        assert query is not None
        result = connection.exec_(to_octets(query))
        status = library.ExecStatus
        try:
            if result.status == status.TUPLES_OK:
                return [
                    c_string(result.get_value(row, column) or b"")
                    for row in range(result.ntuples)
                    for column in range(result.nfields)
                ]
            if result.status == status.COMMAND_OK:
                return []
            if result.status == status.FATAL_ERROR:
                text = to_text(result.error_message or connection.error_message)
                raise ServerError(f"pgsql query failed: fatal error from host {host}: {text}")
            raise ServerError(f"pgsql query failed: unknown code 0x{int(result.status):x} from host {host}")
        finally:
            result.clear()


def open_pgsql(name: str, flags: TableFlags, opener: Opener) -> Table:
    """Read the parameters; servers are asked at look-ups.

    Raises:
        FatalError: a parameter is wrong.
        OpenError: psycopg is not installed; since 3.10, no database is named.
    """
    try:
        from psycopg import pq
    except ImportError:
        log.warning("unsupported dictionary type: pgsql. Is the extra postfix-smtp[pgsql] (psycopg) installed?")
        raise OpenError("unsupported dictionary type: pgsql") from None
    parameters = TableParameters(name, opener)
    version = opener.settings.version
    database = parameters.text("dbname", "", 0 if version >= _NO_DATABASE_SINCE else 1)
    login = {"dbname": database, "user": parameters.text("user"), "password": parameters.text("password")}
    encoding = parameters.text("encoding", "UTF8", 1) if version >= _ENCODING_SINCE else _OLD_ENCODING
    query = sql_query(parameters, parameters.text("select_function"))
    expansion = Expansion(f"pgsql:{name}", parameters, opener)
    hosts = split(parameters.text("hosts")) or ["localhost"]
    for host in hosts:
        if not database and not host.startswith(_URI):
            raise OpenError(f"pgsql:{name} host target '{host}' requires dbname setting")
    driver = _PgsqlDriver(pq, {what: value for what, value in login.items() if value}, encoding)
    return PgsqlTable(name, pq, sql_servers(parameters, driver, hosts, version), query, expansion)
