"""unix: the system's users and groups (tables chapter 1)."""

import grp
import pwd
from collections.abc import Callable

from postfix_smtp.tables.base import OpenError, Table, TableFlags
from postfix_smtp.tables.opening import Opener


def _user(name: str) -> str | None:
    try:
        user = pwd.getpwnam(name)
    except (KeyError, ValueError):
        return None
    return ":".join((user[0], user[1], str(user[2]), str(user[3]), *user[4:7]))


def _group(name: str) -> str | None:
    try:
        group = grp.getgrnam(name)
    except (KeyError, ValueError):
        return None
    return f"{group[0]}:{group[1]}:{group[2]}:{','.join(group[3])}"


_SOURCES: dict[str, Callable[[str], str | None]] = {"passwd.byname": _user, "group.byname": _group}


class UnixTable(Table):
    """Users or groups. The system may ask the network for them."""

    local = False

    def __init__(self, name: str, find: Callable[[str], str | None]) -> None:
        super().__init__(name)
        self._find = find

    def lookup(self, key: str) -> str | None:
        """The entry, its fields separated by colons."""
        return self._find(key)


def open_unix(name: str, flags: TableFlags, opener: Opener) -> Table:
    """``unix:passwd.byname`` or ``unix:group.byname``."""
    if name not in _SOURCES:
        raise OpenError(f"unknown table: unix:{name}")
    return UnixTable(f"unix:{name}", _SOURCES[name])
