"""The types of parameter values (config chapter 6).

Each function converts expanded text. Bounds that are None or 0 are not checked: a bound of 0 cannot be enforced.
"""

from postfix_smtp.config.lines import WHITE
from postfix_smtp.errors import FatalError
from postfix_smtp.text import to_octets

_LARGEST_INT = (1 << 31) - 1
_LARGEST_LONG = (1 << 63) - 1
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def checked_text(name: str, text: str, minimum: int | None = None, maximum: int | None = None) -> str:
    """A string whose length in octets is within bounds.

    Raises:
        FatalError: too short or too long.
    """
    if minimum and len(text) < minimum and (length := len(to_octets(text))) < minimum:
        raise FatalError(f"bad string length {length} < {minimum}: {name} = {text}")
    if maximum and (length := len(to_octets(text))) > maximum:
        raise FatalError(f"bad string length {length} > {maximum}: {name} = {text}")
    return text


def number(
    name: str, text: str, minimum: int | None = None, maximum: int | None = None, *, largest: int = _LARGEST_INT
) -> int:
    """A decimal integer with an optional sign.

    Args:
        largest: of the C type; the smallest is ``-largest - 1``.

    Raises:
        FatalError: not a number, or out of bounds.
    """
    value, end = leading_number(text)
    if end < len(text) or not end or not -largest - 1 <= value <= largest:
        raise FatalError(f"bad numerical configuration: {name} = {text}")
    if minimum and value < minimum:
        raise FatalError(f"invalid {name} parameter value {value} < {minimum}")
    if maximum and value > maximum:
        raise FatalError(f"invalid {name} parameter value {value} > {maximum}")
    return value


def long_number(name: str, text: str, minimum: int | None = None, maximum: int | None = None) -> int:
    """As :func:`number`, of 64 bits."""
    return number(name, text, minimum, maximum, largest=_LARGEST_LONG)


def flag(name: str, text: str) -> bool:
    """``yes`` or ``no``, in any case.

    Raises:
        FatalError: anything else.
    """
    match text.lower():
        case "yes":
            return True
        case "no":
            return False
    raise FatalError(f"bad boolean configuration: {name} = {text}")


def seconds(name: str, text: str, unit: str = "s", minimum: int | None = None, maximum: int | None = None) -> int:
    """A time: a number and the letter of a unit. What follows the letter is ignored; no digits count as 0.

    Args:
        unit: of a number without letter.

    Returns:
        Seconds.

    Raises:
        FatalError: no time, or out of bounds.
    """
    value, end = leading_number(text)
    factor = _UNITS.get(text[end : end + 1] or unit)
    too_large = value > _LARGEST_INT or ((factor or 0) > 1 and value >= _LARGEST_INT // (factor or 1))
    if not text or factor is None or value < 0 or too_large:
        raise FatalError(f"parameter {name}: bad time value or unit: {text}")
    value *= factor
    if minimum and value < minimum:
        raise FatalError(f"invalid {name}: {value} (min {minimum})")
    if maximum and value > maximum:
        raise FatalError(f"invalid {name}: {value} (max {maximum})")
    return value


def leading_number(text: str) -> tuple[int, int]:
    """C's strtol: (number, place after it); (0, 0) if `text` begins with none."""
    start = len(text) - len(text.lstrip(WHITE))
    if text[start : start + 1] in ("+", "-"):
        start += 1
    end = start
    while end < len(text) and text[end] in "0123456789":
        end += 1
    if end == start:
        return 0, 0
    # No parameter needs more digits; int() itself refuses absurd lengths.
    digits = text[start:end].lstrip("0")[:30] or "0"
    return (-int(digits) if text[start - 1 : start] == "-" else int(digits)), end
