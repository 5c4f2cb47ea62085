"""Where database tables find their parameters: a file of their own, or main.cf (tables chapter 14)."""

import os
from collections.abc import Callable
from typing import Protocol, TypeVar

from postfix_smtp.config import main_cf, values
from postfix_smtp.errors import FatalError
from postfix_smtp.tables.base import OpenError
from postfix_smtp.tables.opening import Opener

T = TypeVar("T")


class _MainCf(Protocol):
    """What a legacy source needs of the configuration."""

    def raw(self, name: str) -> str | None:
        """A parameter as written, None if it is not set."""

    def expand(self, text: str) -> str:
        """Replace ``$name``."""


class TableParameters:
    """The parameters of one table.

    A name that begins with ``/`` or ``.`` is a file in the syntax of main.cf whose values are taken as they are. Of
    another name N, parameter P is main.cf's parameter ``N_P``, expanded.

    Raises:
        OpenError: the file cannot be opened.
        FatalError: the file is malformed.
    """

    def __init__(self, name: str, opener: Opener) -> None:
        self.name = name
        self._find, self._prefix, self._where = (
            self._from_file(opener) if name.startswith(("/", ".")) else self._from_main_cf(opener)
        )

    def _from_file(self, opener: Opener) -> tuple[Callable[[str], str | None], str, str]:
        try:
            os.close(os.open(self.name, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            raise OpenError(f"open {self.name}: {error.strerror}") from None
        dictionary: dict[str, str] = {}
        main_cf.parse(main_cf.read(self.name), self.name, dictionary, opener.settings.version)
        return dictionary.get, "", f"{self.name}: "

    def _from_main_cf(self, opener: Opener) -> tuple[Callable[[str], str | None], str, str]:
        configuration: _MainCf | None = opener.parameters  # type: ignore[assignment]

        def find(name: str) -> str | None:
            text = None if configuration is None else configuration.raw(name)
            return None if text is None or configuration is None else configuration.expand(text)

        return find, f"{self.name}_", ""

    def text(self, name: str, default: str = "", minimum: int = 0) -> str:
        """A text of at least `minimum` octets.

        Raises:
            FatalError: too short.
        """
        return self._value(name, default, lambda name, text: values.checked_text(name, text, minimum))

    def number(self, name: str, default: int, minimum: int = 0, maximum: int = 0) -> int:
        """A number; limits of 0 are none.

        Raises:
            FatalError: none, or out of range.
        """
        return self._value(name, str(default), lambda name, text: values.number(name, text, minimum, maximum))

    def flag(self, name: str, *, default: bool) -> bool:
        """Yes or no.

        Raises:
            FatalError: something else.
        """
        return self._value(name, "yes" if default else "no", values.flag)

    def _value(self, name: str, default: str, convert: Callable[[str, str], T]) -> T:
        name = self._prefix + name
        text = self._find(name)
        try:
            return convert(name, default if text is None else text)
        except FatalError as error:
            raise FatalError(f"{self._where}{error}") from None
