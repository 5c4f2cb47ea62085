"""The source format of indexed tables and texthash (tables chapter 6.5)."""

from collections.abc import Iterator

from postfix_smtp import log
from postfix_smtp.config.lines import WHITE, logical_lines
from postfix_smtp.tables.layers import is_utf8


def entries(text: str, path: str, version: tuple[int, ...], *, utf8: bool) -> Iterator[tuple[int, str, str]]:
    """Yield (line number, key, value); bad lines are warned about and skipped.

    Quotes and backslashes stay in the key.
    """
    for number, line in logical_lines(text, path, version):
        where = f"{path}, line {number}"
        if utf8 and not is_utf8(line):
            log.warning(f'{where}: non-UTF-8 input "{line}" -- ignoring this line')
            continue
        end, quoted = _key_end(line)
        if quoted:
            log.warning(f"{where}: unbalanced '\"' in '{line}' -- ignoring this line")
            continue
        key, value = line[:end], line[end:].strip(WHITE)
        if not key or not value:
            log.warning(f"{where}: expected format: key whitespace value -- ignoring this line")
            continue
        if key.endswith(":"):
            log.warning(f'{where}: record is in "key: value" format; is this an alias file?')
        yield number, key, value


def _key_end(line: str) -> tuple[int, bool]:
    """Where the key ends, and whether a quote is still open there."""
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
