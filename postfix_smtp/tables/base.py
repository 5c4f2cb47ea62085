"""What every lookup table looks like from outside."""

from abc import ABC, abstractmethod
from typing import ClassVar


class Table(ABC):
    """One open lookup table.

    Attributes:
        name: ``type:name`` as log lines show it.
        local: a look-up neither waits for another process nor for the network, so it may be made on the event loop;
            others are made in a thread (:meth:`postfix_smtp.tables.maps.Maps.alookup`) and must be safe there.
        pattern: keys are matched by patterns (regexp, pcre, cidr...): partial keys of an address are not tried.
    """

    local: ClassVar[bool] = True
    pattern: ClassVar[bool] = False

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
