"""ldap: directory servers, through python-ldap (tables chapter 14)."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from postfix_smtp import log
from postfix_smtp.errors import TableError
from postfix_smtp.tables.base import OpenError, Table, TableFlags
from postfix_smtp.tables.database import Expansion, Template
from postfix_smtp.tables.layers import is_utf8
from postfix_smtp.tables.ldap_settings import LdapSettings, read_settings
from postfix_smtp.tables.network import c_string
from postfix_smtp.tables.opening import Opener
from postfix_smtp.tables.parameter_file import TableParameters

#: Name, and values by attribute.
_Entry = tuple[str, dict[str, list[bytes]]]

_END = ("", None, False)


class _NoEntry(Exception):
    """There is no entry of that name."""


@dataclass(slots=True)
class _Search:
    """One look-up in progress.

    Attributes:
        values: found so far.
        trouble: a name that an entry refers to does not exist, and nothing was found after it.
    """

    key: str
    values: list[str]
    trouble: bool = False


class _Connection:
    """A connection that is opened when needed.

    Args:
        library: the ``ldap`` module, imported where it is configured.
    """

    def __init__(self, library: Any, settings: LdapSettings) -> None:
        self._library = library
        self._settings = settings
        self._handle: Any = None

    def search(self, base: str, scope: int, query: str, attributes: list[str]) -> list[_Entry]:
        """The entries that match; a connection found dead is made anew once.

        Raises:
            _NoEntry: no such base.
            TableError: anything else; logged.
        """
        library = self._library
        for attempt in (1, 2):
            handle = self._open()
            try:
                found = handle.search_ext_s(
                    base, scope, query, attributes, timeout=self._settings.timeout, sizelimit=self._settings.size_limit
                )
            except library.NO_SUCH_OBJECT:
                raise _NoEntry from None
            except library.SERVER_DOWN as error:
                self.close()
                if attempt == 2:
                    raise self._failed(error) from None
            except library.LDAPError as error:
                self.close()
                raise self._failed(error) from None
            else:
                # What has no name is a reference to another server.
                return [(name, entry) for name, entry in found if name is not None]
        raise TableError

    def _failed(self, error: Exception) -> TableError:
        code, text = self._explained(error)
        log.warning(f"dict_ldap_lookup: Search error {code}: {text} ")
        return TableError()

    def _explained(self, error: Exception) -> tuple[int, str]:
        details = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
        return details.get("result", getattr(error, "errnum", -1)), details.get("desc", str(error))

    def _open(self) -> Any:
        if self._handle is None:
            self._handle = self._connect()
        return self._handle

    def _connect(self) -> Any:
        library, settings = self._library, self._settings
        try:
            handle = library.initialize(settings.servers)
            handle.set_option(library.OPT_PROTOCOL_VERSION, settings.version)
            handle.set_option(library.OPT_NETWORK_TIMEOUT, settings.timeout)
            handle.set_option(library.OPT_TIMELIMIT, settings.timeout)
            handle.set_option(library.OPT_DEREF, settings.dereference)
            handle.set_option(library.OPT_REFERRALS, int(settings.chase_referrals))
            self._prepare_tls(handle)
        except (library.LDAPError, ValueError) as error:
            log.warning(
                f"dict_ldap_connect: Unable to init LDAP server {settings.servers}: {self._explained(error)[1]}"
            )
            raise TableError from None
        if settings.start_tls:
            try:
                handle.start_tls_s()
            except library.LDAPError as error:
                code, text = self._explained(error)
                log.warning(f"dict_ldap_connect: Unable to set STARTTLS: {code}: {text}")
                raise TableError from None
        self._bind(handle)
        return handle

    def _prepare_tls(self, handle: Any) -> None:
        library, settings = self._library, self._settings
        if not settings.tls:
            return
        for option, value in settings.tls.items():
            handle.set_option(getattr(library, option), value)
        demand = library.OPT_X_TLS_DEMAND if settings.tls_require_certificate else library.OPT_X_TLS_NEVER
        handle.set_option(library.OPT_X_TLS_REQUIRE_CERT, demand)
        handle.set_option(library.OPT_X_TLS_NEWCTX, 0)

    def _bind(self, handle: Any) -> None:
        library, settings = self._library, self._settings
        if settings.bind == "none":
            return
        try:
            if settings.bind == "sasl":
                self._bind_by_sasl(handle)
            else:
                handle.simple_bind_s(settings.bind_dn, settings.bind_password)
        except library.LDAPError as error:
            code, text = self._explained(error)
            name = settings.bind_dn or "empty or implicit"
            log.warning(
                f"dict_ldap_connect: Unable to bind to server {settings.servers} with dn {name}: {code} ({text})"
            )
            raise TableError from None

    def _bind_by_sasl(self, handle: Any) -> None:
        import ldap.sasl

        settings = self._settings
        if settings.sasl_min_ssf:
            handle.set_option(self._library.OPT_X_SASL_SSF_MIN, settings.sasl_min_ssf)
        answers = {
            ldap.sasl.CB_USER: settings.sasl_authorization,
            ldap.sasl.CB_AUTHNAME: settings.bind_dn,
            ldap.sasl.CB_PASS: settings.bind_password,
            ldap.sasl.CB_GETREALM: settings.sasl_realm,
        }
        handle.sasl_interactive_bind_s("", ldap.sasl.sasl(answers, settings.sasl_mechanisms))

    def close(self) -> None:
        """Close the connection."""
        if self._handle is not None:
            with contextlib.suppress(self._library.LDAPError):
                self._handle.unbind_s()
            self._handle = None


class LdapTable(Table):
    """One search, and the entries that what it finds refers to.

    Args:
        library: the ``ldap`` module.
        url: the ``ldapurl`` module.
    """

    local = False

    def __init__(
        self,
        name: str,
        library: Any,
        url: Any,
        settings: LdapSettings,
        base: Template,
        query: Template,
        expansion: Expansion,
    ) -> None:
        super().__init__(f"ldap:{name}")
        self._source = name
        self._library = library
        self._url = url
        self._settings = settings
        self._base = base
        self._query = query
        self._expansion = expansion
        self._connection = _Connection(library, settings)
        self._lock = threading.Lock()

    def lookup(self, key: str) -> str | None:
        """Search; the values of all entries, in their order. A key that is no UTF-8 is not found."""
        if not is_utf8(key) or not self._expansion.wants(key):
            return None
        base = self._base.filled(key, key, self._library.dn.escape_dn_chars)
        query = self._query.filled(key, key, self._library.filter.escape_filter_chars)
        if base is None or query is None:
            return None
        with self._lock:
            search = _Search(key, [])
            try:
                entries = self._connection.search(base, self._settings.scope, query, self._settings.attributes)
            except _NoEntry:
                if not self._base.constant:
                    return None
                log.warning(f"dict_ldap_lookup: {self._source}: Search base '{base}' not found: 32: No such object")
                raise TableError from None
            self._collect(search, entries)
            if search.trouble:
                log.warning("dict_ldap_lookup: Had some trouble with entries returned by search: No such object")
        return ",".join(search.values) if search.values else None

    def _collect(self, search: _Search, entries: list[_Entry]) -> None:
        """Add the values of entries and of what they refer to, each where it is referred to.

        A pile of iterators, not recursion: references may be deeper than the interpreter's stack.
        """
        pile = [self._wanted(entries)]
        while pile:
            attribute, value, refers = next(pile[-1], _END)
            if value is None:
                pile.pop()
            elif refers:
                pile.append(self._wanted(self._follow(search, attribute, c_string(value), len(pile))))
            else:
                self._add(search, c_string(value), len(pile))

    def _wanted(self, entries: list[_Entry]) -> Iterator[tuple[str, bytes | None, bool]]:
        """Yield (attribute, value, whether it refers to other entries)."""
        settings = self._settings
        for _, entry in entries:
            named = [(attribute, attribute.partition(";")[0].lower(), values) for attribute, values in entry.items()]
            terminal = any(plain in settings.terminal for _, plain, _ in named)
            results = settings.terminal if terminal else settings.ordinary
            if not terminal and not any(plain in settings.special for _, plain, _ in named):
                results = results | settings.leaf
            for attribute, plain, values in named:
                refers = plain not in results
                if not refers or (plain in settings.special and not terminal):
                    for value in values:
                        yield attribute, value, refers

    def _add(self, search: _Search, value: str, depth: int) -> None:
        text = self._expansion.joined(search.key, [value], "")
        if text is None:
            return
        search.values.append(text)
        if 0 < self._expansion.limit < len(search.values):
            name = self._source
            log.warning(f"dict_ldap_get_values[{depth}]: {name}: Expansion limit exceeded for key: '{search.key}'")
            raise TableError

    def _follow(self, search: _Search, attribute: str, value: str, depth: int) -> list[_Entry]:
        """What a special attribute refers to: an entry, or the entries that an LDAP URL finds."""
        where = f"dict_ldap_get_values[{depth}]:"
        if depth >= self._settings.recursion_limit:
            name = self._source
            log.warning(f"{where} {name}: Recursion limit exceeded for special attribute {attribute}={value}")
            raise TableError
        attributes = self._settings.attributes
        base, scope, query = value, self._library.SCOPE_BASE, ""
        if self._url.isLDAPUrl(value):
            url = self._url.LDAPUrl(value)
            base, scope, query = url.dn, url.scope or self._library.SCOPE_BASE, url.filterstr or ""
            if url.attrs:
                known = {name.lower() for name in attributes}
                attributes = [name for name in url.attrs if name.lower() in known]
                if not attributes:
                    return []
        try:
            entries = self._connection.search(base, scope, query or "(objectclass=*)", attributes)
        except _NoEntry:
            log.warning(f"{where} DN {value} not found, skipping ")
            search.trouble = True
            return []
        search.trouble = False
        return entries

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def open_ldap(name: str, flags: TableFlags, opener: Opener) -> Table:
    """Read the parameters; the server is asked at look-ups.

    Raises:
        FatalError: a parameter is wrong.
        OpenError: python-ldap is not installed.
    """
    try:
        import ldap
        import ldap.dn
        import ldap.filter
        import ldapurl
    except ImportError:
        log.warning("unsupported dictionary type: ldap. Is the extra postfix-smtp[ldap] (python-ldap) installed?")
        raise OpenError("unsupported dictionary type: ldap") from None
    parameters = TableParameters(name, opener)
    settings = read_settings(parameters)
    if settings.bind == "sasl":
        import ldap.sasl
    base = Template(parameters.text("search_base"), name, "query")
    query = Template(parameters.text("query_filter", "(mailacceptinggeneralid=%s)", 1), name, "query")
    if query.constant:
        log.warning(f"dict_ldap_open: {name}: Fixed query_filter {query.text} is probably useless")
    expansion = Expansion(f"ldap:{name}", parameters, opener, result="result_filter")
    return LdapTable(name, ldap, ldapurl, settings, base, query, expansion)
