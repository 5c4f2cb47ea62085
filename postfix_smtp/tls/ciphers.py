"""Cipher lists (TLS chapter 5.5)."""

from collections.abc import Mapping

from postfix_smtp import log
from postfix_smtp.config.lists import split

SEPARATORS = ", \t\r\n:"
_MERGED_SINCE = (3, 8)
GRADES = ("high", "medium", "low", "export", "null")


def base_lists(lists: Mapping[str, str], version: tuple[int, ...]) -> dict[str, str]:
    """The library's list by grade, as the installed version uses them: old grades became ``medium``."""
    if version >= _MERGED_SINCE:
        return {**lists, "low": lists["medium"], "export": lists["medium"]}
    return dict(lists)


def cipher_list(lists: Mapping[str, str], grade: str, exclusions: str, peer: str) -> str | None:
    """The list to give to the library; None, with a warning, if that cannot be made.

    Args:
        lists: of :func:`base_lists`.
        peer: folded name and address for warnings.
    """
    base = lists.get(grade.lower())
    if base is None:
        log.warning(f'{peer}: invalid cipher grade: "{grade}"')
        return None
    parts = [base]
    for element in split(exclusions, SEPARATORS):
        if element[0] in "!+-@":
            log.warning(f"{peer}: invalid unary '!+-@' in cipher exclusion: {element}")
            return None
        parts.append("!" + element)
    return ":".join(parts)
