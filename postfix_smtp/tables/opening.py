"""Opening tables by ``type:name`` (tables chapter 1, 3 and 4)."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from postfix_smtp import log
from postfix_smtp.config.access import Parameters
from postfix_smtp.config.lists import split_tables
from postfix_smtp.errors import FatalError
from postfix_smtp.tables.base import OpenError, Table, TableFlags
from postfix_smtp.tables.layers import FoldingTable, UnavailableTable, Utf8Table
from postfix_smtp.tables.maps import Maps

T = TypeVar("T")
#: Opens one type: the part of ``type:name`` behind the colon, the flags, and whoever opens members of it.
TypeOpener = Callable[[str, TableFlags, "Opener"], Table]

_ROOM = "postfix_smtp.tables"
#: Type -> module and function that opens it. A module is imported when its type is configured.
_TYPES = {
    "static": ("values", "open_static"),
    "inline": ("values", "open_inline"),
    "internal": ("values", "open_internal"),
    "environ": ("values", "open_environ"),
    "fail": ("values", "open_fail"),
    "randmap": ("values", "open_randmap"),
    "unionmap": ("composite", "open_unionmap"),
    "pipemap": ("composite", "open_pipemap"),
    "debug": ("composite", "open_debug"),
    "texthash": ("texthash", "open_texthash"),
    "regexp": ("regexp", "open_regexp"),
    "pcre": ("pcre", "open_pcre"),
    "cidr": ("cidr", "open_cidr"),
    "hash": ("berkeley", "open_hash"),
    "btree": ("berkeley", "open_btree"),
    "cdb": ("cdb", "open_cdb"),
    "lmdb": ("lmdb", "open_lmdb"),
    "unix": ("unix", "open_unix"),
    "proxy": ("proxy", "open_proxy"),
    "socketmap": ("socketmap", "open_socketmap"),
    "tcp": ("tcp", "open_tcp"),
    "memcache": ("memcache", "open_memcache"),
    "sqlite": ("sqlite", "open_sqlite"),
    "mysql": ("mysql", "open_mysql"),
    "pgsql": ("pgsql", "open_pgsql"),
    "ldap": ("ldap", "open_ldap"),
}
#: Types that no Postfix loads from a plugin.
_ALWAYS_THERE = frozenset(_TYPES) - {"hash", "btree", "cdb", "lmdb", "pcre", "sqlite", "mysql", "pgsql", "ldap"}
#: Since then every table is registered in the same form.
_ALIKE = (3, 11)
_REDIRECTED = ("hash", "btree")
_SINCE = {"debug": (3, 11)}


@dataclass(frozen=True, slots=True)
class TableSettings:
    """What opening tables needs from main.cf.

    Attributes:
        utf8: ``smtputf8_enable``: the UTF-8 layer is on where it is asked for.
        open_error_is_fatal: ``daemon_table_open_error_is_fatal``.
        config_directory: where legacy SQL and LDAP sources find their parameters.
    """

    utf8: bool
    open_error_is_fatal: bool
    version: tuple[int, ...]

    @classmethod
    def from_parameters(cls, p: Parameters) -> "TableSettings":
        """Read the parameters."""
        return cls(
            utf8=p.flag("smtputf8_enable"),
            open_error_is_fatal=p.flag("daemon_table_open_error_is_fatal"),
            version=p.version,
        )


class Opener:
    """Opens tables, each once, and watches the files behind them.

    Attributes:
        settings: how to open.
        parameters: for types that find more in main.cf (SQL, LDAP, proxy); None in tests that do not need them.
    """

    def __init__(self, settings: TableSettings, parameters: Parameters | None = None) -> None:
        self.settings = settings
        self.parameters = parameters
        self._open: dict[tuple[str, TableFlags | None], Table] = {}
        self._watched: list[tuple[str, Table]] = []
        self._shared: dict[str, Any] = {}

    def open(self, spec: str, flags: TableFlags, *, watch: bool = True) -> Table:
        """Open ``type:name``; a table that cannot be opened becomes one that fails at every look-up.

        Args:
            watch: a change of its file is to be noticed (:meth:`changed`).

        Raises:
            FatalError: malformed, or ``daemon_table_open_error_is_fatal``.
        """
        key = (spec, flags)
        table = self._open.get(key)
        if table is None:
            table = self._open[key] = self._open_layered(spec, flags, _registered(spec, flags) if watch else None)
        return table

    def open_member(self, spec: str, flags: TableFlags) -> Table:
        """Open a table for one that is made of tables; until 3.10 Postfix registers it without its flags."""
        key = (spec, None if self.settings.version < _ALIKE else flags)
        table = self._open.get(key)
        if table is None:
            table = self._open[key] = self._open_layered(
                spec, flags, spec if key[1] is None else _registered(spec, flags)
            )
        return table

    def shared(self, key: str, make: Callable[[], T]) -> T:
        """What several tables use together, such as a connection; made for the first of them."""
        if key not in self._shared:
            self._shared[key] = make()
        shared: T = self._shared[key]
        return shared

    def open_maps(self, title: str, value: str, flags: TableFlags) -> Maps | None:
        """Open a list of tables; None if the list is empty."""
        specs = split_tables(value)
        if not specs:
            return None
        return Maps(title, [self.open(spec, flags) for spec in specs])

    def changed(self) -> str | None:
        """The registered name of a watched table whose file was changed, or None."""
        for name, table in self._watched:
            if table.changed():
                return name
        return None

    def close(self) -> None:
        """Close all tables."""
        for table in self._open.values():
            table.close()
        self._open.clear()
        self._watched.clear()

    def _open_layered(self, spec: str, flags: TableFlags, registered: str | None) -> Table:
        inner = self._open_one(spec, flags)
        if not inner.local:
            # asyncio imports it when the first thread is made, which is too late in the jail.
            importlib.import_module("concurrent.futures.thread")
        if registered is not None and type(inner).changed is not Table.changed:
            self._watched.append((registered, inner))
        folding = bool(flags & TableFlags.FOLD_FIX) and not inner.folds
        if flags & TableFlags.UTF8_REQUEST and self.settings.utf8:
            return inner if inner.checks_utf8 else Utf8Table(inner, folding=folding)
        if folding and not inner.pattern:
            return FoldingTable(inner)
        return inner

    def _open_one(self, spec: str, flags: TableFlags) -> Table:
        kind, colon, name = spec.partition(":")
        if not kind or not colon or not name:
            raise FatalError(f'open dictionary: expecting "type:name" form instead of "{spec}"')
        try:
            if kind in _REDIRECTED and self.settings.version >= _ALIKE:
                from postfix_smtp.tables.redirection import redirected

                kind = redirected(kind, name, self)
            return self._type(kind)(name, flags, self)
        except OpenError as error:
            if self.settings.open_error_is_fatal:
                raise FatalError(str(error)) from None
            log.error(str(error))
            return UnavailableTable(spec, str(error))

    def _type(self, kind: str) -> TypeOpener:
        known = kind in _TYPES and self.settings.version >= _SINCE.get(kind, ())
        if not (known and kind in _ALWAYS_THERE) and self.parameters is not None:
            from postfix_smtp.tables.plugins import Plugins

            parameters = self.parameters
            known = not self.shared("plugins", lambda: Plugins(parameters)).refused(kind, known=known)
        if not known:
            raise OpenError(f"unsupported dictionary type: {kind}")
        module, function = _TYPES[kind]
        opener: TypeOpener = getattr(importlib.import_module(f"{_ROOM}.{module}"), function)
        return opener


def _registered(spec: str, flags: TableFlags) -> str:
    """Name of a table with its open mode (read-only) and flags."""
    return f"{spec}(0,{flags.spelled()})"


def known_type(kind: str) -> bool:
    """Whether there are tables of this type."""
    return kind in _TYPES
