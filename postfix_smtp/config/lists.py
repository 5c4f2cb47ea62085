"""Lists and names inside parameter values (config chapters 6 and 7)."""

import functools
from collections.abc import Mapping
from typing import TypeVar

from postfix_smtp.config.lines import SEPARATORS
from postfix_smtp.errors import FatalError

T = TypeVar("T")
_TO_BLANK = str.maketrans(dict.fromkeys(SEPARATORS, " "))


def split(text: str, separators: str = SEPARATORS) -> list[str]:
    """The items of a plain list; there are no empty ones."""
    table = _TO_BLANK if separators == SEPARATORS else str.maketrans(dict.fromkeys(separators, " "))
    return [item for item in text.translate(table).split(" ") if item]


def split_tables(text: str, separators: str = SEPARATORS) -> list[str]:
    """The items of a list of tables or match patterns: separators inside balanced braces do not count.

    A brace that is never closed holds the rest of the text.
    """
    if "{" not in text:
        return split(text, separators)
    items: list[str] = []
    position, end = 0, len(text)
    while True:
        while position < end and text[position] in separators:
            position += 1
        if position == end:
            return items
        start, depth = position, 0
        while position < end and (depth > 0 or text[position] not in separators):
            if text[position] == "{":
                depth += 1
            elif text[position] == "}":
                depth -= 1
            position += 1
        items.append(text[start:position])


def choice(value: str, choices: Mapping[str, T], error: str) -> T:
    """What one name, in any case, stands for.

    Args:
        choices: by lower-case name.
        error: text of the error; each parameter has its own.

    Raises:
        FatalError: unknown name.
    """
    try:
        return choices[value.lower()]
    except KeyError:
        raise FatalError(error) from None


@functools.lru_cache(maxsize=16)  # the same few parameters for each delivery
def mask(name: str, text: str, choices: frozenset[str]) -> frozenset[str]:
    """The names in a list whose items are spelled exactly as in `choices`.

    Args:
        name: of the parameter, for the error.

    Raises:
        FatalError: an unknown item.
    """
    items = split(text)
    for item in items:
        if item not in choices:
            raise FatalError(f'unknown {name} value "{item}" in "{text}"')
    return frozenset(items)


def known_in_any_case(text: str, choices: frozenset[str]) -> frozenset[str]:
    """The names in a list, in any case, that are among the lower-case `choices`; others are ignored."""
    return choices.intersection(split(text.lower()))
