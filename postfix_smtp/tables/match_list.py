"""Match lists: patterns, files and tables in one list, the first that matches decides (config chapter 7)."""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from enum import Enum, auto

from postfix_smtp import log
from postfix_smtp.config.lines import logical_lines
from postfix_smtp.config.lists import split_tables
from postfix_smtp.errors import FatalError, TableError
from postfix_smtp.tables import networks
from postfix_smtp.tables.base import Table, TableFlags
from postfix_smtp.tables.layers import UnavailableTable
from postfix_smtp.tables.opening import Opener
from postfix_smtp.text import fold, to_text

TABLE_FLAGS = TableFlags.LOCK | TableFlags.UTF8_REQUEST
_ADDRESS = re.compile(r"[0-9a-fA-F.:]+\Z")
_LOGICAL_FILE_LINES = (3, 8)
_COMMENT_SHOWN = 20


class Style(Enum):
    """How names match."""

    STRING = auto()  #: whole strings
    PARENT = auto()  #: ``example.com`` matches its subdomains too
    DOT = auto()  #: ``.example.com`` matches subdomains


class MatchList:
    """A list of patterns.

    Args:
        title: parameter name, for log lines.
        addresses: the list also has address patterns; :meth:`match` is given a name and an address.
        error_is_fatal: a table that cannot answer is fatal, not an error of the look-up.

    Raises:
        FatalError: malformed.
    """

    def __init__(
        self,
        title: str,
        value: str,
        opener: Opener,
        style: Style,
        *,
        addresses: bool = False,
        error_is_fatal: bool = False,
    ) -> None:
        self._title = title
        self._opener = opener
        self._style = style
        self._addresses = addresses
        self._error_is_fatal = error_is_fatal
        self._unicode = opener.settings.utf8
        self._items = list(self._parse(value, negated=False))
        self.local = all(item.local for _, item in self._items if isinstance(item, Table))

    def match(self, name: str, address: str = "") -> bool:
        """Whether the list matches; the first item that does decides.

        Raises:
            TableError: an item could not be judged; logged.
        """
        name = fold(name, unicode=self._unicode)
        for wanted, item in self._items:
            if isinstance(item, Table):
                found = self._ask(item, name, address)
            else:
                found = self._name_matches(name, item) or (self._addresses and self._address_matches(address, item))
            if found:
                return wanted
        return False

    async def amatch(self, name: str, address: str = "") -> bool:
        """Like :meth:`match`, from the event loop."""
        if self.local:
            return self.match(name, address)
        return await asyncio.to_thread(self.match, name, address)

    # Parsing

    def _parse(self, value: str, *, negated: bool) -> Iterator[tuple[bool, str | Table]]:
        """Yield (result if it matches, pattern or table)."""
        items = split_tables(value)
        for position, original in enumerate(items):
            if original.startswith("#"):
                self._comment(items[position:])
                return
            item = original.lstrip("!")
            inverted = negated ^ bool((len(original) - len(item)) % 2)
            if not item:
                raise FatalError(f"{self._title}: no pattern after '!'")
            if item.startswith("/"):
                yield from self._file(item, negated=inverted)
            elif not item.startswith("[") and ":" in item:
                yield not inverted, self._opener.open(item, TABLE_FLAGS)
            else:
                yield not inverted, fold(item, unicode=self._unicode)

    def _file(self, path: str, *, negated: bool) -> Iterator[tuple[bool, str | Table]]:
        try:
            with open(path, "rb") as source:
                text = to_text(source.read())
        except OSError as error:
            reason = f"open file {path}: {error.strerror}"
            log.error(reason)
            yield not negated, UnavailableTable(f"non-existent:{path}", reason)
            return
        version = self._opener.settings.version
        if version >= _LOGICAL_FILE_LINES:
            lines = [line for _, line in logical_lines(text, path, version)]
        else:
            lines = [line for line in text.split("\n") if not line.startswith("#")]
        for line in lines:
            yield from self._parse(line, negated=negated)

    def _comment(self, items: Sequence[str]) -> None:
        rest = " ".join(items[1:])
        if self._opener.settings.version >= _LOGICAL_FILE_LINES:
            log.warning(
                f"{self._title}: #comment after other text is not allowed: {items[0]} {rest[:_COMMENT_SHOWN]}..."
            )
        else:
            log.warning(f"{self._title}: comment at end of line is not supported: {items[0]} {rest}")

    # Matching

    def _ask(self, table: Table, name: str, address: str) -> bool:
        try:
            if self._name_in_table(name, table):
                return True
            return self._addresses and bool(address) and table.lookup(address) is not None
        except TableError:
            text = f"{self._title}: {table.name}: table lookup problem"
            if self._error_is_fatal:
                raise FatalError(text) from None
            log.warning(text)
            raise

    def _name_in_table(self, name: str, table: Table) -> bool:
        if not name:
            return False
        if table.lookup(name) is not None:
            return True
        if self._style is Style.STRING or table.pattern:
            return False
        lead = "." if self._style is Style.DOT else ""
        dot = name.find(".", 1)
        while dot >= 0 and dot + 1 < len(name):
            if table.lookup(lead + name[dot + 1 :]) is not None:
                return True
            dot = name.find(".", dot + 1)
        return False

    def _name_matches(self, name: str, pattern: str) -> bool:
        if name == pattern:
            return True
        if self._style is Style.PARENT:
            return not pattern.startswith(".") and name.endswith("." + pattern)
        return self._style is Style.DOT and pattern.startswith(".") and len(pattern) > 1 and name.endswith(pattern)

    def _address_matches(self, address: str, pattern: str) -> bool:
        if not address or not _ADDRESS.match(address):
            return False
        if pattern in (address, f"[{address}]"):
            return True
        if ":" not in pattern and "/" not in pattern:
            return False
        if (":" in address) != (":" in pattern):
            return False
        packed = networks.pack(address)
        try:
            network = networks.parse_network(pattern)
        except networks.NetworkError as error:
            log.warning(f"{self._title}: {error}")
            raise TableError from None
        return packed is not None and packed in network


def domain_style(name: str, is_parent_style: Callable[[str], bool]) -> Style:
    """How a domain list matches, by its parameter name and ``parent_domain_matches_subdomains``."""
    return Style.PARENT if is_parent_style(name) else Style.DOT
