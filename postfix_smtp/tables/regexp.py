"""regexp: POSIX regular expressions, matched by the C library as Postfix has it done (tables chapter 8).

Python's own engine takes the first alternative that fits where POSIX takes the longest match, and has other character
classes: so it cannot answer for Postfix. Patterns and subjects are octets in the C locale.
"""

import ctypes
from collections.abc import Sequence

from postfix_smtp.tables.base import Table, TableFlags
from postfix_smtp.tables.opening import Opener
from postfix_smtp.tables.pattern_rules import Dialect, RuleReader
from postfix_smtp.tables.pattern_table import PatternError
from postfix_smtp.tables.prefilter import NOTHING, POSIX, Need, need
from postfix_smtp.tables.rules import rule_lines
from postfix_smtp.text import to_text

_EXTENDED, _IGNORE_CASE, _NEWLINE, _NO_SUBMATCHES = 1, 2, 4, 8
_NO_MATCH = 1
_LC_CTYPE_MASK = 1
#: Room for a regex_t: 64 bytes with glibc on 64-bit machines.
_COMPILED_SIZE = 256

# PyDLL keeps the interpreter locked: no other thread can get between a match and its result, and a call costs less.
_libc = ctypes.PyDLL(None)
_libc.newlocale.restype = ctypes.c_void_p
_libc.newlocale.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
_libc.uselocale.restype = ctypes.c_void_p
_libc.uselocale.argtypes = (ctypes.c_void_p,)
_libc.regerror.restype = ctypes.c_size_t
_libc.regerror.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)
_libc.regcomp.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)
# Without declared types a call takes half the time; it must be given C objects where it does not want an int.
_regexec = _libc.regexec
_NOTHING = ctypes.c_size_t(0)
_C_LOCALE = _libc.newlocale(_LC_CTYPE_MASK, b"C", None)


def _regcomp(text: bytes, options: int) -> ctypes.Array[ctypes.c_char]:
    compiled = ctypes.create_string_buffer(_COMPILED_SIZE)
    # Python has set the locale of the environment, in which letters may take several octets.
    before = _libc.uselocale(_C_LOCALE)
    try:
        error = _libc.regcomp(compiled, text, options)
    finally:
        _libc.uselocale(before)
    if error:
        raise PatternError(_error_text(error, compiled))
    return compiled


def _error_text(error: int, compiled: "ctypes.Array[ctypes.c_char]") -> str:
    text = ctypes.create_string_buffer(_COMPILED_SIZE)
    _libc.regerror(error, compiled, text, _COMPILED_SIZE)
    return to_text(text.value)


def _group_count_offset() -> int:
    """Where a compiled pattern has its number of groups, which POSIX names but does not place."""
    few, many = ((ctypes.c_size_t * (_COMPILED_SIZE // 8)).from_buffer(_regcomp(b"()" * n, _EXTENDED)) for n in (3, 7))
    for position, (low, high) in enumerate(zip(few, many, strict=True)):
        if (low, high) == (3, 7):
            return position * ctypes.sizeof(ctypes.c_size_t)
    raise AssertionError("the C library hides the number of groups")


def _offset_type() -> "type[ctypes.c_int] | type[ctypes.c_long]":
    """The integer type of match offsets: int with glibc, long with musl."""
    found = (ctypes.c_int * 8)()
    _regexec(_regcomp(b"b", _EXTENDED), b"ab", ctypes.c_size_t(1), found, 0)
    return ctypes.c_int if found[1] == 2 else ctypes.c_long


_GROUPS_AT = _group_count_offset()
_OFFSET = _offset_type()


class RegexpPattern:
    """A compiled pattern. Its memory is kept as long as the process lives, as tables are."""

    __slots__ = ("_address", "_compiled", "groups")

    def __init__(self, text: bytes, options: int, groups_wanted: bool) -> None:
        # The library is much faster if it need not find out where things match.
        self._compiled = _regcomp(text, options if groups_wanted else options | _NO_SUBMATCHES)
        self._address = ctypes.c_void_p(ctypes.addressof(self._compiled))
        self.groups = ctypes.c_size_t.from_buffer(self._compiled, _GROUPS_AT).value

    def matches(self, subject: bytes) -> bool:
        """Whether the pattern is found."""
        result: int = _regexec(self._address, subject, _NOTHING, None, 0)
        if result > _NO_MATCH:
            raise PatternError(_error_text(result, self._compiled))
        return result == 0

    def spans(self, subject: bytes, groups: int) -> Sequence[tuple[int, int]] | None:
        """Where the match and its groups are."""
        found = (_OFFSET * (2 * groups + 2))()
        result = _regexec(self._address, subject, ctypes.c_size_t(groups + 1), found, 0)
        if result > _NO_MATCH:
            raise PatternError(_error_text(result, self._compiled))
        if result:
            return None
        return [(found[2 * group], found[2 * group + 1]) for group in range(groups + 1)]


def _need(text: bytes, options: int) -> Need:
    return need(text, POSIX, multiline=bool(options & _NEWLINE)) if options & _EXTENDED else NOTHING


_DIALECT = Dialect(
    kind="regexp",
    options={b"i": _IGNORE_CASE, b"m": _NEWLINE, b"x": _EXTENDED},
    obsolete=b"",
    default=_EXTENDED | _IGNORE_CASE,
    second_pattern=True,
    unclosed="skipping",
    index_range="out-of-range",
    compile=RegexpPattern,
    need=_need,
)


def open_regexp(name: str, flags: TableFlags, opener: Opener) -> Table:
    """Read the rules; malformed ones are skipped with a warning."""
    reader = RuleReader(_DIALECT)
    for where, line in rule_lines("regexp", name, opener):
        reader.add(where, line)
    return reader.table(f"regexp:{name}")
