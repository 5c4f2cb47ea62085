"""pcre: Perl's regular expressions, matched by the PCRE2 library as Postfix has it done (tables chapter 8).

The library that Postfix's own pcre plugin is linked with is called directly: so patterns mean the same, limits are the
same, and the error texts too.
"""

import ctypes
import ctypes.util
from collections.abc import Sequence

from postfix_smtp import log
from postfix_smtp.tables.base import OpenError, Table, TableFlags
from postfix_smtp.tables.opening import Opener
from postfix_smtp.tables.pattern_rules import Dialect, RuleReader
from postfix_smtp.tables.pattern_table import Pattern, PatternError
from postfix_smtp.tables.prefilter import NOTHING, PERL, Need, need
from postfix_smtp.tables.rules import rule_lines
from postfix_smtp.text import to_text

_LIBRARY = "libpcre2-8.so.0"
_ANCHORED = 0x80000000
_CASELESS = 0x00000008
_DOLLAR_END_ONLY = 0x00000010
_DOT_ALL = 0x00000020
_EXTENDED = 0x00000080
_MULTILINE = 0x00000400
_UNGREEDY = 0x00040000
_CAPTURE_COUNT = 4
_NO_MATCH = -1
_UNSET = ctypes.c_size_t(-1).value
_TO_NUL = ctypes.c_size_t(_UNSET)
_START = ctypes.c_size_t(0)
_TEXT_SIZE = 256


class _Library:
    """PCRE2 for octets. Keeps the interpreter locked, so that no other thread can use the same block meanwhile."""

    def __init__(self) -> None:
        library = ctypes.PyDLL(_LIBRARY)
        pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32
        self.compile = library.pcre2_compile_8
        self.compile.restype = pointer
        self.compile.argtypes = (ctypes.c_char_p, size, number, pointer, pointer, pointer)
        self.info = library.pcre2_pattern_info_8
        self.info.argtypes = (pointer, number, pointer)
        self.create_data = library.pcre2_match_data_create_from_pattern_8
        self.create_data.restype = pointer
        self.create_data.argtypes = (pointer, pointer)
        self.free_data = library.pcre2_match_data_free_8
        self.free_data.restype = None
        self.free_data.argtypes = (pointer,)
        # Without declared types a call takes half the time; it must be given C objects where it does not want an int.
        self.match = library.pcre2_match_8
        self.spans = library.pcre2_get_ovector_pointer_8
        self.spans.restype = ctypes.POINTER(size)
        self.spans.argtypes = (pointer,)
        self._error = library.pcre2_get_error_message_8
        self._error.argtypes = (ctypes.c_int, ctypes.c_char_p, size)

    def error_text(self, code: int) -> str:
        """What an error number means."""
        text = ctypes.create_string_buffer(_TEXT_SIZE)
        self._error(code, text, _TEXT_SIZE)
        return to_text(text.value)


class PcrePattern:
    """A compiled pattern. Its memory is kept as long as the process lives, as tables are."""

    __slots__ = ("_code", "_data", "_library", "_match", "groups")

    def __init__(self, library: _Library, text: bytes, options: int) -> None:
        error, offset = ctypes.c_int(), ctypes.c_size_t()
        code = library.compile(text, len(text), options, ctypes.byref(error), ctypes.byref(offset), None)
        if not code:
            raise PatternError(f"error in regex at offset {offset.value}: {library.error_text(error.value)}")
        groups = ctypes.c_uint32()
        library.info(code, _CAPTURE_COUNT, ctypes.byref(groups))
        self.groups = groups.value
        self._library = library
        self._match = library.match
        self._code = ctypes.c_void_p(code)
        self._data = ctypes.c_void_p(library.create_data(code, None))

    def matches(self, subject: bytes) -> bool:
        """Whether the pattern is found."""
        result: int = self._match(self._code, subject, _TO_NUL, _START, 0, self._data, None)
        if result < _NO_MATCH:
            raise PatternError(self._library.error_text(result))
        return result >= 0

    def spans(self, subject: bytes, groups: int) -> Sequence[tuple[int, int]] | None:
        """Where the match and its groups are."""
        library = self._library
        # A block of its own: another thread may match between here and the reading of the offsets.
        data = library.create_data(self._code, None)
        try:
            result = self._match(self._code, subject, _TO_NUL, _START, 0, ctypes.c_void_p(data), None)
            if result < _NO_MATCH:
                raise PatternError(library.error_text(result))
            if result < 0:
                return None
            offsets = library.spans(data)[0 : 2 * groups + 2]
        finally:
            library.free_data(data)
        return [
            (-1, -1) if start == _UNSET else (start, end)
            for start, end in zip(offsets[::2], offsets[1::2], strict=True)
        ]


def _need(text: bytes, options: int) -> Need:
    return NOTHING if options & _EXTENDED else need(text, PERL, multiline=bool(options & _MULTILINE))


def _dialect(library: _Library) -> Dialect:
    def compile_pattern(text: bytes, options: int, groups_wanted: bool) -> Pattern:
        return PcrePattern(library, text, options)

    return Dialect(
        kind="pcre",
        options={
            b"i": _CASELESS,
            b"m": _MULTILINE,
            b"s": _DOT_ALL,
            b"x": _EXTENDED,
            b"A": _ANCHORED,
            b"E": _DOLLAR_END_ONLY,
            b"U": _UNGREEDY,
        },
        obsolete=b"X",
        default=_CASELESS | _DOT_ALL,
        second_pattern=False,
        unclosed="ignoring",
        index_range="out of range",
        compile=compile_pattern,
        need=_need,
    )


def open_pcre(name: str, flags: TableFlags, opener: Opener) -> Table:
    """Read the rules; malformed ones are skipped with a warning."""
    try:
        library = _Library()
    except OSError:
        log.warning(f"unsupported dictionary type: pcre. Is the PCRE2 library ({_LIBRARY}) installed?")
        raise OpenError("unsupported dictionary type: pcre") from None
    reader = RuleReader(_dialect(library))
    for where, line in rule_lines("pcre", name, opener):
        reader.add(where, line)
    return reader.table(f"pcre:{name}")
