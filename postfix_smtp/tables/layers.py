"""What happens to a key on its way to a table, whatever its type: UTF-8 checks and folding (tables chapter 2)."""

from postfix_smtp import log
from postfix_smtp.errors import TableError
from postfix_smtp.tables.base import Table
from postfix_smtp.text import ascii_lower, fold

_BAD_UTF8 = "malformed UTF-8 or invalid codepoint"


def is_utf8(text: str) -> bool:
    """Whether the octets behind `text` are well-formed UTF-8."""
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


class FoldingTable(Table):
    """Folds keys: for tables with fixed keys that are opened without the UTF-8 layer."""

    def __init__(self, inner: Table) -> None:
        super().__init__(inner.name)
        self._inner = inner
        self.local = inner.local
        self.pattern = inner.pattern

    def lookup(self, key: str) -> str | None:
        """Look up the folded key."""
        return self._inner.lookup(ascii_lower(key))


class Utf8Table(Table):
    """Checks that keys and values are UTF-8, and folds keys of tables with fixed keys if `folding`."""

    def __init__(self, inner: Table, *, folding: bool) -> None:
        super().__init__(inner.name)
        self._inner = inner
        self._fold = folding and not inner.pattern
        self.local = inner.local
        self.pattern = inner.pattern

    def lookup(self, key: str) -> str | None:
        """Look up; a key that is no UTF-8 is not found, a value that is none is an error."""
        # Nearly all are ASCII.
        if key.isascii():
            value = self._inner.lookup(key.lower() if self._fold else key)
        elif is_utf8(key):
            value = self._inner.lookup(fold(key, unicode=True) if self._fold else key)
        else:
            log.warning(f'{self.name}: non-UTF-8 key "{key}": {_BAD_UTF8}')
            return None
        if value is not None and not value.isascii() and not is_utf8(value):
            log.warning(f'{self.name}: key "{key}": non-UTF-8 value "{value}": {_BAD_UTF8}')
            raise TableError
        return value


class UnavailableTable(Table):
    """Takes the place of a table that could not be opened: every look-up fails (tables chapter 3)."""

    pattern = True

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name)
        self._reason = reason

    def lookup(self, key: str) -> str | None:
        """Warn, and fail."""
        log.warning(f"{self.name} is unavailable. {self._reason}")
        raise TableError
