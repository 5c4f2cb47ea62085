"""proxy: tables that proxymap(8) looks up for this process (tables chapter 11)."""

from postfix_smtp.errors import FatalError, TableError
from postfix_smtp.ipc.proxymap import ProxyMapClient, ProxyStatus
from postfix_smtp.ipc.settings import IpcSettings
from postfix_smtp.tables.base import OpenError, Table, TableFlags
from postfix_smtp.tables.opening import Opener

_REFUSAL_IS_NOT_FATAL = (3, 11)
#: What the server is told of a table when it is opened; until 3.10 no other flags.
_OPENING = (
    TableFlags.SRC_RHS_IS_FILE
    | TableFlags.TRY0NULL
    | TableFlags.TRY1NULL
    | TableFlags.OPEN_LOCK
    | TableFlags.BULK_UPDATE
)


class ProxyTable(Table):
    """A table behind proxymap.

    Args:
        flags: the caller's.
        sent: the first request's.
    """

    local = False
    folds = True

    def __init__(
        self, table: str, client: ProxyMapClient, flags: TableFlags, sent: int, server_flags: TableFlags
    ) -> None:
        super().__init__(f"proxy:{table}")
        self._table = table
        self._client = client
        self._flags = flags
        self._sent = sent
        self.pattern = not server_flags & TableFlags.FIXED

    def lookup(self, key: str) -> str | None:
        """Ask the server."""
        reply = self._client.lookup(self._table, key, self._sent, self._flags)
        if reply.flags:
            # The server keeps state of the table in them, and wants them back (3.11).
            self._sent = reply.flags
        if reply.status == ProxyStatus.OK:
            return reply.value
        if reply.status == ProxyStatus.NOT_FOUND:
            return None
        raise TableError


def open_proxy(name: str, flags: TableFlags, opener: Opener) -> Table:
    """``proxy:type:name``: ask proxymap whether it may be used.

    Raises:
        FatalError: it may not, before 3.11.
    """
    parameters = opener.parameters
    if parameters is None:
        raise OpenError("unsupported dictionary type: proxy")
    settings = IpcSettings.from_parameters(parameters)
    client = opener.shared(
        f"proxy:{settings.proxymap}",
        lambda: ProxyMapClient(settings, parameters.text("queue_directory"), settings.proxymap),
    )
    since_3_11 = opener.settings.version >= _REFUSAL_IS_NOT_FATAL
    try:
        server_flags = TableFlags(client.open(name, int(flags if since_3_11 else flags & _OPENING)))
    except FatalError as error:
        if since_3_11:
            raise OpenError(str(error)) from None
        raise
    if since_3_11:
        table = ProxyTable(name, client, flags, int(server_flags), server_flags)
        table.checks_utf8 = bool(server_flags & TableFlags.UTF8_ACTIVE)
        return table
    table = ProxyTable(name, client, flags, int(flags), server_flags)
    if flags & TableFlags.UTF8_REQUEST and opener.settings.utf8:
        # With UTF-8 in play keys are folded here, otherwise by the server (ipc chapter 11.2).
        table = ProxyTable(name, client, flags, int(flags & ~TableFlags.FOLD_FIX), server_flags)
        table.folds = False
    return table
