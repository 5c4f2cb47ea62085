"""mysql: MySQL and MariaDB servers, through PyMySQL (tables chapter 14)."""

import contextlib
import errno
from collections.abc import Mapping
from typing import Any

from postfix_smtp import log
from postfix_smtp.config.lists import split
from postfix_smtp.tables.base import OpenError, Table, TableFlags
from postfix_smtp.tables.database import Expansion, Quote, sql_query
from postfix_smtp.tables.network import c_string
from postfix_smtp.tables.opening import Opener
from postfix_smtp.tables.parameter_file import TableParameters
from postfix_smtp.tables.server_choice import Driver, ServerError, host_and_port
from postfix_smtp.tables.sql_servers import ServedTable, sql_servers
from postfix_smtp.text import to_octets

_CHARSET_SINCE = (3, 9)
#: What MariaDB's client library uses if nobody tells it otherwise, as nobody could before.
_OLD_CHARSET = "utf8mb4"
_SOCKET = "/run/mysqld/mysqld.sock"
_PORT = 3306
_NO_BACKSLASH_ESCAPES = 512
_CONNECTION_ERRORS = (2002, 2003)


class _MysqlDriver(Driver[Any]):
    """Makes connections.

    Args:
        library: the ``pymysql`` module, imported where it is configured.
        arguments: of every connection.
    """

    def __init__(self, library: Any, arguments: Mapping[str, Any]) -> None:
        self._library = library
        self._arguments = arguments

    def connect(self, host: str) -> Any:
        if host.startswith("unix:") or host == "localhost":
            path = host.removeprefix("unix:") if host != "localhost" else _SOCKET
            where: dict[str, Any] = {"unix_socket": path}
            unreachable = f"Can't connect to local server through socket '{path}'"
        else:
            name, port = host_and_port(host)
            where = {"host": name, "port": int(port) if port.isdigit() else _PORT}
            unreachable = f"Can't connect to server on '{name}'"
        try:
            return self._library.connect(**where, **self._arguments)
        except (self._library.MySQLError, OSError, ValueError, RuntimeError) as error:
            raise ServerError(f"connect to mysql server {host}: {_connect_text(error, unreachable)}") from None

    def disconnect(self, connection: Any) -> None:
        with contextlib.suppress(self._library.MySQLError, OSError):
            connection.close()


def _connect_text(error: Exception, unreachable: str) -> str:
    if error.args and error.args[0] in _CONNECTION_ERRORS:
        original = getattr(error, "original_exception", None)
        number = getattr(original, "errno", None)
        # The C library connects without waiting and names that state, not the reason, for TCP.
        return f"{unreachable} ({number if 'socket' in unreachable else errno.EINPROGRESS})"
    return _error_text(error)


def _error_text(error: Exception) -> str:
    return str(error.args[1]) if len(error.args) > 1 else str(error)


class MysqlTable(ServedTable):
    """One query on one of several servers.

    Attributes:
        needs_result: a query that gives no rows at all, not even none, has failed.
    """

    kind = "mysql"
    needs_result = True

    def values(self, host: str, connection: Any, key: str) -> list[str | None]:
        """Every column of every row."""
        rows = self._rows(connection, key)
        return [None if column is None else c_string(column) for row in rows for column in row]

    def _rows(self, connection: Any, key: str) -> list[tuple[bytes | None, ...]]:
        query = self._query.filled(key, key, self._quote(connection))
        assert query is not None
        failed = f"{self.name}: query failed: "
        results = []
        try:
            with connection.cursor() as cursor:
                cursor.execute(to_octets(query))
                while True:
                    if cursor.description is not None:
                        results.append(list(cursor.fetchall()))
                    if not cursor.nextset():
                        break
        except (self._library.MySQLError, OSError, ValueError) as error:
            raise ServerError(failed + _error_text(error)) from None
        if len(results) > 1:
            raise ServerError(f"{failed}query returned multiple result sets")
        if not results and self.needs_result:
            raise ServerError(f"{failed}query returned no result set(require_result_set = yes)")
        return results[0] if results else []

    def _quote(self, connection: Any) -> Quote:
        """How text is quoted depends on a mode of the server."""
        if connection.server_status & _NO_BACKSLASH_ESCAPES:
            return lambda text: text.replace("'", "''")
        quote: Quote = self._library.converters.escape_string
        return quote


def open_mysql(name: str, flags: TableFlags, opener: Opener) -> Table:
    """Read the parameters; servers are asked at look-ups.

    Raises:
        FatalError: a parameter is wrong.
        OpenError: PyMySQL is not installed.
    """
    try:
        import pymysql
    except ImportError:
        log.warning("unsupported dictionary type: mysql. Is the extra postfix-smtp[mysql] (PyMySQL) installed?")
        raise OpenError("unsupported dictionary type: mysql") from None
    parameters = TableParameters(name, opener)
    version = opener.settings.version
    charset = parameters.text("charset", "utf8mb4") if version >= _CHARSET_SINCE else ""
    arguments: dict[str, Any] = {
        "user": parameters.text("user") or None,
        "password": parameters.text("password"),
        "database": parameters.text("dbname", "", 1),
        "charset": charset or _OLD_CHARSET,
        "use_unicode": False,
        "conv": {},
        "autocommit": None,
    }
    if file := parameters.text("option_file"):
        arguments |= {"read_default_file": file, "read_default_group": parameters.text("option_group", "client")}
    arguments |= _tls(parameters)
    query = sql_query(parameters)
    expansion = Expansion(f"mysql:{name}", parameters, opener)
    hosts = split(parameters.text("hosts")) or ["localhost"]
    servers = sql_servers(parameters, _MysqlDriver(pymysql, arguments), hosts, version)
    table = MysqlTable(name, pymysql, servers, query, expansion)
    table.needs_result = parameters.flag("require_result_set", default=True)
    return table


def _tls(parameters: TableParameters) -> dict[str, Any]:
    files = {
        "cert": parameters.text("tls_cert_file"),
        "key": parameters.text("tls_key_file"),
        "ca": parameters.text("tls_CAfile"),
        "capath": parameters.text("tls_CApath"),
        "cipher": parameters.text("tls_ciphers"),
    }
    given: dict[str, Any] = {what: value for what, value in files.items() if value}
    verify = parameters.flag("tls_verify_cert", default=False)
    if not given and not verify:
        return {}
    return {"ssl": {**given, "check_hostname": verify, "verify_mode": "required" if verify else "none"}}
