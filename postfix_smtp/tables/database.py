"""What the database tables have in common: templates, the filter of domains, joining of results (tables chapter 14)."""

import re
from collections.abc import Callable, Iterable

from postfix_smtp import log
from postfix_smtp.errors import FatalError, TableError
from postfix_smtp.tables.match_list import MatchList, Style
from postfix_smtp.tables.opening import Opener
from postfix_smtp.tables.parameter_file import TableParameters

_TOKEN = re.compile(r"[^%]+|%([%sudSUD1-9])")
Quote = Callable[[str], str]


class _Unsatisfied(Exception):
    """A part of an address that a template names is missing."""


class Template:
    """A text with parts of the key, and of a value.

    ``%s %u %d`` are the value, its localpart and its domain; ``%S %U %D`` the same of the key, ``%1`` to ``%9`` the
    labels of the key's domain from the right. In a query the key is the value.

    Args:
        name: of the table's parameters, for the error.
        what: ``query`` or ``result``.

    Raises:
        FatalError: malformed.
    """

    def __init__(self, text: str, name: str, what: str) -> None:
        self.text = text
        self._tokens: list[tuple[str, str]] = []
        position = 0
        while position < len(text):
            token = _TOKEN.match(text, position)
            if token is None:
                raise FatalError(f"db_common_parse: {name}: Invalid {what} template: {text}")
            letter = token[1] or ""
            self._tokens.append(("", "%") if letter == "%" else (letter, token[0]))
            position = token.end()

    @property
    def constant(self) -> bool:
        """It is the same for all keys."""
        return all(not letter for letter, _ in self._tokens)

    def filled(self, key: str, value: str, quote: Quote | None = None) -> str | None:
        """The text; None if something that it names is missing.

        Args:
            quote: makes inserted text harmless.
        """
        try:
            pieces = []
            for letter, text in self._tokens:
                if letter:
                    part = _part(letter, key, value)
                    pieces.append(part if quote is None else quote(part))
                else:
                    pieces.append(text)
        except _Unsatisfied:
            return None
        return "".join(pieces)


def _part(letter: str, key: str, value: str) -> str:
    if letter.isdigit():
        labels = [label for label in key.rpartition("@")[2].split(".") if label] if "@" in key else []
        if int(letter) > len(labels):
            raise _Unsatisfied
        return labels[-int(letter)]
    source = key if letter.isupper() else value
    if letter in "sS":
        return source
    local, at, domain = source.rpartition("@")
    part = domain if letter in "dD" else (local if at else source)
    if not part or (letter in "dD" and not at):
        raise _Unsatisfied
    return part


class Expansion:
    """The common parameters of a table: which keys are looked up, and what becomes of the values found.

    Args:
        spec: ``type:name``, for warnings.
        limit: default of ``expansion_limit``.
        result: another name of ``result_format``, which takes its place if it is set.
    """

    def __init__(
        self, spec: str, parameters: TableParameters, opener: Opener, limit: int = 0, result: str = "result_format"
    ) -> None:
        self._spec = spec
        self._name = parameters.name
        template = parameters.text(result, parameters.text("result_format", "%s", 1), 1)
        self._result = Template(template, parameters.name, "result")
        domains = parameters.text("domain")
        self.limit = parameters.number("expansion_limit", limit)
        self._domains = MatchList(spec, domains, opener, Style.STRING) if domains.strip() else None

    def wants(self, key: str) -> bool:
        """Whether the key may be in the table: its domain is in the list.

        Raises:
            TableError: the list cannot tell.
        """
        if not key:
            log.warning(f'table "{self._spec}": empty query string -- ignored')
            return False
        if self._domains is None:
            return True
        local, _, domain = key.rpartition("@")
        return bool(local) and bool(domain) and self._domains.match(domain)

    def joined(self, key: str, found: Iterable[str | None], limit_text: str) -> str | None:
        """The values as one, None if nothing is left of them. None among them is a database's NULL.

        Args:
            limit_text: warning if they are too many.

        Raises:
            TableError: too many.
        """
        results: list[str] = []
        for value in found:
            if value is None:
                continue
            if not value:
                log.warning(f'table "{self._spec}": empty lookup result for: "{key}" -- ignored')
                continue
            result = self._result.filled(key, value)
            if result is None:
                continue
            results.append(result)
            if 0 < self.limit < len(results):
                log.warning(limit_text)
                raise TableError
        return ",".join(results) if results else None


def sql_query(parameters: TableParameters, function: str = "") -> Template:
    """The template of an SQL table; without ``query`` it is made of the older parameters.

    Args:
        function: value of ``select_function`` (PostgreSQL).
    """
    query = parameters.text("query")
    if not query and function:
        query = f"SELECT {function}('%s')"
    elif not query:
        table = parameters.text("table", "", 1)
        column = parameters.text("select_field", "", 1)
        where = parameters.text("where_field", "", 1)
        conditions = parameters.text("additional_conditions")
        query = f"SELECT {column} FROM {table} WHERE {where}='%s' {conditions}"
    return Template(query, parameters.name, "query")
