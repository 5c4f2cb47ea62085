"""texthash: a text file read when it is opened."""

import os
import time

from postfix_smtp.tables.base import OpenError, Table, TableFlags
from postfix_smtp.tables.opening import Opener
from postfix_smtp.tables.source import entries
from postfix_smtp.tables.values import MemoryTable
from postfix_smtp.text import fold, to_text

_HOT_PAUSE = 0.3
_HOT_AGE = 1.0


def read_settled(path: str) -> str:
    """The text of a file; one that was changed within the last second is read again, it may be unfinished.

    Raises:
        OSError: unreadable.
    """
    while True:
        begun = time.time()
        with open(path, "rb") as source:
            text = to_text(source.read())
            changed = os.fstat(source.fileno()).st_mtime
        if changed < begun - _HOT_AGE or changed > time.time():
            return text
        time.sleep(_HOT_PAUSE)


def open_texthash(name: str, flags: TableFlags, opener: Opener) -> Table:
    """Read the file; a duplicate key makes the whole table unavailable."""
    try:
        text = read_settled(name)
    except OSError as error:
        raise OpenError(f"open database {name}: {error.strerror}") from None
    utf8 = bool(flags & TableFlags.UTF8_REQUEST) and opener.settings.utf8
    folding = bool(flags & TableFlags.FOLD_FIX)
    values: dict[str, str] = {}
    for number, original, value in entries(text, name, opener.settings.version, utf8=utf8):
        key = fold(original, unicode=utf8) if folding else original
        if key in values:
            raise OpenError(f'{name}, line {number}: duplicate entry: "{original}"')
        values[key] = value
    return MemoryTable(f"texthash:{name}", values)
