"""The command line that master(8) gives (process chapter 2.1): short options, and parsing ends at the first word."""

from collections.abc import Iterator, Sequence
from typing import Final

from postfix_smtp.config.values import leading_number
from postfix_smtp.errors import FatalError
from postfix_smtp.text import to_octets, to_text

_LARGEST_LONG: Final = (1 << 63) - 1
_FLAGS: Final = frozenset("cdDlSuvVz")
_WITH_VALUE: Final = frozenset("imnorst")


def options(arguments: Sequence[str], words: list[str]) -> Iterator[tuple[str, str]]:
    """The options, left to right, as (letter, value).

    Args:
        arguments: without the program's name.
        words: is filled with what follows the options.

    Raises:
        FatalError: unknown option, or a value is missing; raised when its turn comes, because earlier options have
            taken effect by then.
    """
    rest = list(arguments)
    while rest:
        argument = rest[0]
        if argument == "--":
            del rest[0]
            break
        if len(argument) < 2 or argument[0] != "-":
            break
        del rest[0]
        letters = argument[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in _FLAGS:
                yield letter, ""
                continue
            if letter not in _WITH_VALUE or not (letters or rest):
                raise FatalError(f"invalid option: {to_text(to_octets(letter)[:1])}")
            yield letter, letters or rest.pop(0)
            break
    words += rest


def positive(value: str, what: str) -> int:
    """The number at the start of `value`, as C's atoi() has it, which must be positive: ``invalid WHAT: VALUE``.

    Raises:
        FatalError: it is not.
    """
    number = max(-_LARGEST_LONG - 1, min(leading_number(value)[0], _LARGEST_LONG))
    number = (number + (1 << 31)) % (1 << 32) - (1 << 31)
    if number < 1:
        raise FatalError(f"invalid {what}: {value}")
    return number
