"""Logical lines: what main.cf, master.cf and other Postfix files consist of (config chapter 2)."""

from collections.abc import Iterator

from postfix_smtp import log
from postfix_smtp.text import to_octets, to_text

# C's isspace(), and what separates the items of a list. Python's own idea of white space is wider.
WHITE = " \t\n\v\f\r"
BLANK = " \t\r\n"
SEPARATORS = BLANK + ","

_NULL_BYTE_WARNING = (3, 9)  # the first release that says so


def logical_lines(text: str, path: str, version: tuple[int, ...]) -> Iterator[tuple[int, str]]:
    """Yield (number of the first physical line, logical line) for each logical line of `text`.

    Comments and empty lines are dropped wherever they stand; a line that starts with white space continues the one
    before. Text that continues nothing is dropped with a warning.

    Args:
        text: the whole file.
        path: for warnings.
        version: the Postfix release whose warnings are given.
    """
    pieces: list[str] = []
    first = 0
    null = False
    told = version >= _NULL_BYTE_WARNING and "\0" in text
    lines = text.split("\n")
    if not lines[-1]:
        del lines[-1]
    for number, line in enumerate(lines, 1):
        stripped = line.lstrip(WHITE)
        if not stripped or stripped[0] == "#":
            null |= told and "\0" in line
            continue
        if line[0] in WHITE and pieces:
            pieces.append(line)
        else:
            if pieces:
                if null:
                    _warn_of_null_byte(first, number - 1, path)
                yield from _complete(pieces, first, path)
                null = False
            pieces = [line]
            first = number
        null |= told and "\0" in line
    if null:
        _warn_of_null_byte(first or len(lines), len(lines), path)
    if pieces:
        yield from _complete(pieces, first, path)


def _warn_of_null_byte(first: int, last: int, path: str) -> None:
    """Comments between and after the pieces of a logical line, and before the first one, count as well."""
    where = f"line {first}" if first == last else f"line {first}-{last}"
    log.warning(f"{path}, {where}: text after null byte may be ignored")


def _complete(pieces: list[str], first: int, path: str) -> Iterator[tuple[int, str]]:
    line = pieces[0] if len(pieces) == 1 else "".join(pieces)
    line = line.partition("\0")[0]
    if line.startswith(tuple(WHITE)):
        octets = to_octets(line)
        start = to_text(octets[:30]) + ("..." if len(octets) > 30 else "")
        log.warning(f'{path}: logical line must not start with whitespace: "{start}"')
        return
    yield first, line


def split_assignment(line: str) -> tuple[str, str] | str:
    """Split ``name = value``; the error text if `line` has another form. White space around both is dropped."""
    line = line.strip(WHITE)
    if not line:
        return "missing attribute name"
    end = 0
    for end, octet in enumerate(line):  # noqa: B007 - used after the loop
        if octet == "=" or octet in WHITE:
            break
    else:
        return "missing '=' after attribute name"
    name, rest = line[:end], line[end:].lstrip(WHITE)
    if rest[:1] != "=":
        return "missing '=' after attribute name"
    if not name:
        return "missing attribute name"
    return name, rest[1:].lstrip(WHITE)
