"""What every lookup table looks like from outside, and how it is opened."""

from abc import ABC, abstractmethod
from enum import IntFlag


class TableFlags(IntFlag):
    """How a table is used; the bits are those of the proxymap protocol (tables chapter 11)."""

    WARN_DUP = 1
    IGNORE_DUP = 2
    TRY0NULL = 4
    TRY1NULL = 8
    FIXED = 16
    PATTERN = 32
    LOCK = 64
    DUP_REPLACE = 128
    SYNC_UPDATE = 256
    DEBUG = 512
    NO_REGSUB = 2048
    NO_PROXY = 4096
    NO_UNAUTH = 8192
    FOLD_FIX = 16384
    FOLD_MUL = 32768
    OPEN_LOCK = 65536
    BULK_UPDATE = 131072
    MULTI_WRITER = 262144
    UTF8_REQUEST = 524288
    UTF8_ACTIVE = 1048576
    SRC_RHS_IS_FILE = 2097152

    def spelled(self) -> str:
        """The names of the flags that a table was opened with, as the log shows them (tables chapter 4)."""
        return "|".join(flag.name.lower() for flag in TableFlags if self & flag and flag.name)


class OpenError(Exception):
    """A table cannot be opened. The text is the REASON of the tables chapter, section 3."""


class Table(ABC):
    """One open lookup table.

    Attributes:
        name: ``type:name`` as log lines about look-ups show it.
        local: a look-up neither waits for another process nor for the network, so it may be made on the event loop;
            others are made in a thread (:meth:`postfix_smtp.tables.maps.Maps.alookup`) and must be safe there.
        pattern: keys are matched by patterns: partial keys of an address are not tried, keys are not folded.
        folds: folds keys itself where it was asked to, so nobody must do so before.
        checks_utf8: checks keys and values itself.
    """

    local: bool = True
    pattern: bool = False
    folds: bool = False
    checks_utf8: bool = False

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def lookup(self, key: str) -> str | None:
        """The value for `key`, None if there is none.

        Raises:
            TableError: the table cannot answer now; the warning has been logged.
        """

    def changed(self) -> bool:
        """The file behind the table was replaced since it was opened: the process should restart (tables chapter)."""
        return False

    def close(self) -> None:  # noqa: B027 - most tables hold nothing open
        """Give back descriptors."""
