"""The source format of indexed tables and texthash (tables chapter 6.5)."""

import re
from collections.abc import Iterator

from postfix_smtp import log
from postfix_smtp.config.lines import WHITE, logical_lines
from postfix_smtp.tables.layers import is_utf8

#: A key without quotes and backslashes, which is what nearly all are.
_PLAIN = re.compile(r"""[^"\\ \t\n\v\f\r]*(?=[ \t\n\v\f\r]|\Z)""")


def entries(text: str, path: str, version: tuple[int, ...], *, utf8: bool) -> Iterator[tuple[int, str, str]]:
    """Yield (line number, key, value); bad lines are warned about and skipped.

    Quotes and backslashes stay in the key.
    """
    for number, line in logical_lines(text, path, version):
        if utf8 and not is_utf8(line):
            log.warning(f'{path}, line {number}: non-UTF-8 input "{line}" -- ignoring this line')
            continue
        end, quoted = _key_end(line)
        if quoted:
            log.warning(f"{path}, line {number}: unbalanced '\"' in '{line}' -- ignoring this line")
            continue
        key, value = line[:end], line[end:].strip(WHITE)
        if not key or not value:
            log.warning(f"{path}, line {number}: expected format: key whitespace value -- ignoring this line")
            continue
        if key.endswith(":"):
            log.warning(f'{path}, line {number}: record is in "key: value" format; is this an alias file?')
        yield number, key, value


def _key_end(line: str) -> tuple[int, bool]:
    """Where the key ends, and whether a quote is still open there."""
    plain = _PLAIN.match(line)
    if plain is not None:
        return plain.end(), False
    quoted = False
    position = 0
    while position < len(line):
        char = line[position]
        if char == "\\" and position + 1 < len(line):
            position += 1
        elif char == '"':
            quoted = not quoted
        elif char in WHITE and not quoted:
            break
        position += 1
    return position, quoted
