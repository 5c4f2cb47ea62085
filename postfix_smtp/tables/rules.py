"""Where the rules of regexp, pcre and cidr tables come from: a file, or the table's own name (tables chapter 8)."""

from collections.abc import Iterator

from postfix_smtp.config.lines import WHITE, logical_lines
from postfix_smtp.config.lists import split_tables
from postfix_smtp.tables.base import OpenError
from postfix_smtp.tables.opening import Opener
from postfix_smtp.tables.values import brace_problem, in_braces
from postfix_smtp.text import to_text


def rule_lines(kind: str, name: str, opener: Opener) -> Iterator[tuple[str, str]]:
    """Yield (where it stands, as warnings say it, rule).

    Raises:
        OpenError: the file cannot be read, or the rules in the name are malformed.
    """
    if name.startswith("{"):
        yield from _inline(kind, name)
        return
    try:
        with open(name, "rb") as source:
            text = to_text(source.read())
    except OSError as error:
        raise OpenError(f"open {name}: {error.strerror}") from None
    for number, line in logical_lines(text, name, opener.settings.version):
        yield f"{kind} map {name}, line {number}", line.strip(WHITE)


def _inline(kind: str, name: str) -> Iterator[tuple[str, str]]:
    inside = in_braces(name)
    if inside is None:
        raise OpenError(f"{kind} map: {brace_problem(name)}")
    for number, item in enumerate(split_tables(inside), 1):
        if not item.startswith("{"):
            raise OpenError(f"{kind} map: no '{{' at start of text in \"{item}\"")
        rule = in_braces(item)
        if rule is None:
            raise OpenError(f"{kind} map: {brace_problem(item)}")
        yield f"{kind} map {name}, line {number}", rule
