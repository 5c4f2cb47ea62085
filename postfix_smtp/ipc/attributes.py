"""Codec of Postfix's internal attribute protocol (ipc chapter 1). No I/O: octets in, values out, and back.

A message is a list of ``name NUL value NUL`` pairs that an empty name ends. Receivers know which attributes come in
which order: a :class:`Layout` says so, a :class:`Decoder` reads lists by it from what has arrived so far. A name may
occur twice in one list with different meanings, so a list is a sequence here and never a mapping.
"""

import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from postfix_smtp import log
from postfix_smtp.text import to_octets

LIST_END = b"\0"
MAX_GROUP = 1024  #: entries of a HASH, and words of an ARGV
_NUMBER = re.compile(rb"[ \t\n\v\f\r]*[+-]?[0-9]+")
_LARGEST = (1 << 64) - 1
_SURE_DIGITS = 19  # so many are always less


class Kind(Enum):
    """How the value of a wanted attribute is read."""

    INT = "int"  #: 32 bits, signed
    LONG = "long"  #: 64 bits, signed
    STR = "str"
    DATA = "data"  #: octets, base64 on the wire
    FIXED = "fixed"  #: must have one value; gives no result (announcements)
    ARGV = "argv"  #: ``argv_size`` and that many ``argv_value``: a list of text
    HASH = "hash"  #: a group ``{`` ... ``}``: a dict of text
    REST = "rest"  #: all remaining attributes of the list: a dict of text


def int32(number: int) -> str:
    """An INT as it is sent: -1 is 4294967295."""
    return str(number & 0xFFFFFFFF)


def int64(number: int) -> str:
    """A LONG as it is sent: -1 is 18446744073709551615."""
    return str(number & 0xFFFFFFFFFFFFFFFF)


def data(octets: bytes) -> str:
    """DATA as it is sent."""
    return binascii.b2a_base64(octets, newline=False).decode("ascii")


def encode(attributes: Iterable[tuple[str, str]], *, end: bool = True) -> bytes:
    """One list. Values are text; see :func:`int32`, :func:`int64` and :func:`data`. A value is cut at a NUL.

    Args:
        end: False leaves the list open, for receivers that read it in parts.
    """
    fields: list[str] = []
    for name, value in attributes:
        fields.append(name)
        fields.append(value)
    if log.verbose():
        for name, value in attributes:
            log.info(f"send attr {name} = {value}")
    fields.append("")
    text = "\0".join(fields)
    if text.count("\0") != len(fields) - 1:
        text = "\0".join([field.partition("\0")[0] for field in fields])
    return to_octets(text + "\0" if end else text)


class Layout:
    """The attributes that a receiver wants, in order, and how it treats others.

    Attributes:
        strict: an attribute that is not the wanted one is an error; else it is skipped.
        missing: a list that ends early is worth a warning.
        more: stop after the last wanted attribute, the rest of the list is read by another layout.
        alias: second names for wanted attributes.
    """

    __slots__ = (
        "_aliases",
        "_converters",
        "_literal",
        "_names",
        "_plain_count",
        "alias",
        "missing",
        "more",
        "strict",
        "wanted",
    )

    def __init__(
        self,
        *wanted: tuple[str, Kind] | tuple[str, Kind, str],
        strict: bool = True,
        missing: bool = True,
        more: bool = False,
        alias: Mapping[str, str] | None = None,
    ) -> None:
        self.wanted: Final = tuple((entry[0], entry[1], entry[2] if len(entry) == 3 else "") for entry in wanted)
        self.strict: Final = strict
        self.missing: Final = missing
        self.more: Final = more
        self.alias: Final = alias or {}
        self._names = [to_octets(name) for name, _, _ in self.wanted]
        self._aliases = [to_octets(self.alias.get(name, name)) for name, _, _ in self.wanted]
        self._converters = [_CONVERTERS.get(kind) for _, kind, _ in self.wanted]
        # Zero: this layout has attributes whose number is not known beforehand, no short cut for it.
        self._plain_count = 0 if None in self._converters or more else 2 * len(self.wanted) + 1
        self._literal = b""
        if all(kind is Kind.FIXED for _, kind, _ in self.wanted):
            self._literal = to_octets("\0".join([f"{name}\0{value}" for name, _, value in self.wanted]) + "\0\0")

    def plain(self, octets: bytes | bytearray, start: int) -> tuple[list[Any], int] | None:
        """The usual case at once: a complete list at `start` with exactly the wanted attributes, all well-formed."""
        count = self._plain_count
        if not count:
            if self._literal and octets.startswith(self._literal, start):
                return [], start + len(self._literal)
            return None
        fields = octets[start:].split(b"\0", count)
        if len(fields) <= count or fields[count - 1]:
            return None
        names = fields[0 : count - 1 : 2]
        if names != self._names and names != self._aliases:
            return None
        try:
            values = [
                convert(field)  # type: ignore[arg-type,misc]
                for convert, field in zip(self._converters, fields[1:count:2], strict=True)
            ]
        except ValueError:
            return None
        return values, len(octets) - len(fields[count])


class ListError(Exception):
    """A list could not be read; what there is to say has been logged.

    Attributes:
        empty: the stream ended before the first octet, which is not worth a warning, and no error where nothing was
            wanted but an announcement.
        stopped: another attribute, or the end of the list, came where a wanted one was due; likewise no error there.
    """

    def __init__(self, empty: bool = False, stopped: bool = False) -> None:
        super().__init__()
        self.empty = empty
        self.stopped = stopped


class _NeedMore(Exception):
    """The list is not complete yet."""


class _Broken(Exception):
    """The list cannot be read; the argument is the warning, or None at end of file before the first octet."""


def _signed(number: int, bits: int) -> int:
    number &= (1 << bits) - 1
    return number - (1 << bits) if number >> (bits - 1) else number


def _number(octets: bytes | bytearray) -> int:
    # int() would take underscores and trailing white space as well
    if not octets.isdigit() and not _NUMBER.fullmatch(octets):
        raise ValueError
    if len(octets) > _SURE_DIGITS:
        # As strtoul() does it; int() has its own idea of too many digits
        digits = octets.lstrip(b" \t\n\v\f\r")
        sign = -1 if digits[:1] == b"-" else 1
        digits = digits.lstrip(b"+-").lstrip(b"0")
        if len(digits) > _SURE_DIGITS + 1 or int(digits or b"0") > _LARGEST:
            return _LARGEST
        return sign * int(digits or b"0")
    return int(octets)


def _int(octets: bytes | bytearray) -> int:
    return _signed(_number(octets), 32)


def _long(octets: bytes | bytearray) -> int:
    return _signed(_number(octets), 64)


def _str(octets: bytes | bytearray) -> str:
    return octets.decode("utf-8", "surrogateescape")


def _data(octets: bytes | bytearray) -> bytes:
    if len(octets) % 4:
        raise ValueError
    return binascii.a2b_base64(octets, strict_mode=True)


_CONVERTERS: dict[Kind, Callable[[bytes | bytearray], Any]] = {
    Kind.INT: _int,
    Kind.LONG: _long,
    Kind.STR: _str,
    Kind.DATA: _data,
}


class Decoder:
    """Reads lists from one stream, incrementally.

    Args:
        name: what warnings call the stream, ``private/bounce socket``.
    """

    __slots__ = ("_buffer", "_ended", "_start", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._buffer = bytearray()
        self._start = 0
        self._ended: str | None = None

    @property
    def pending(self) -> bool:
        """Octets have arrived that no list has used yet."""
        return self._start < len(self._buffer)

    def feed(self, octets: bytes) -> None:
        """Add octets that arrived."""
        if self._start == len(self._buffer):
            self._buffer.clear()
            self._start = 0
        self._buffer += octets

    def end(self, timeout: bool = False) -> None:
        """Nothing more will arrive: end of file, an error, or (`timeout`) nobody waits any longer."""
        self._ended = "timeout" if timeout else "premature end-of-input"

    def read(self, layout: Layout) -> list[Any] | None:
        """The values of the next list (FIXED attributes give none), or None as long as it is not complete.

        Raises:
            ListError: the list is not the wanted one, or the stream ended. The warning has been logged.
        """
        if not log.verbose():
            found = layout.plain(self._buffer, self._start)
            if found is not None:
                values, self._start = found
                return values
        scan = _Scan(self, layout)
        try:
            values = scan.run()
        except _NeedMore:
            return None
        except _Broken as broken:
            self._start = scan.position
            scan.report()
            if broken.args[0]:
                log.warning(broken.args[0])
            raise ListError(empty=not broken.args[0]) from None
        self._start = scan.position
        scan.report()
        if scan.found < len(layout.wanted):
            raise ListError(stopped=True)
        return values

    def take_pending(self) -> bytes:
        """What has arrived and no list has used, for whoever reads something else than lists next."""
        octets = bytes(self._buffer[self._start :])
        self._start = len(self._buffer)
        return octets

    def octets(self) -> tuple[bytearray, int, str | None]:
        """For the scan of one list: buffer, position of the list in it, and how the stream ended if it did."""
        return self._buffer, self._start, self._ended


class _Scan:
    """One attempt to read one list from its start, by the rules for what is not as wanted (ipc chapter 1.2).

    An attempt that needs more octets is thrown away, its log lines too; so each line is logged once.
    """

    def __init__(self, decoder: Decoder, layout: Layout) -> None:
        self.name = decoder.name
        self.layout = layout
        self.buffer, self.position, self.ended = decoder.octets()
        self.start = self.position
        self.found = 0
        self.lines: list[Callable[[], None]] = []
        self.verbose = log.verbose()

    def report(self) -> None:
        for line in self.lines:
            line()

    def info(self, text: str) -> None:
        if self.verbose:
            self.lines.append(lambda: log.info(text))

    def warning(self, text: str) -> None:
        self.lines.append(lambda: log.warning(text))

    def string(self, what: str) -> bytearray:
        """The octets up to the next NUL."""
        end = self.buffer.find(0, self.position)
        if end < 0:
            if self.ended is None:
                raise _NeedMore
            if self.position < len(self.buffer):
                self.position = len(self.buffer)
                raise _Broken(f"unexpected end-of-input from {self.name} while reading {what}")
            if self.position == self.start:
                raise _Broken(None)
            raise _Broken(f"{self.ended} on {self.name} while reading {what}")
        octets = self.buffer[self.position : end]
        self.position = end + 1
        return octets

    def wanted_name(self, wanted: str) -> bool:
        """Advance to the attribute `wanted`; False at the end of the list, or at another one when that is an error."""
        self.info(f"{self.name}: wanted attribute: {wanted or '(list terminator)'}")
        while True:
            name = _str(self.string("input attribute name"))
            self.info(f"input attribute name: {name or '(end)'}")
            if name == wanted or name == self.layout.alias.get(wanted):
                return True
            if not name:
                if self.layout.missing:
                    self.warning(f"missing attribute {wanted} in input from {self.name}")
                return False
            if self.layout.strict:
                self.warning(
                    f"unexpected attribute {name} from {self.name} (expecting: {wanted or '(list terminator)'})"
                )
                return False
            if name == "{":
                self.group(lambda _name, _value: None)
            else:
                self.string("input attribute value")

    def value(self) -> bytearray:
        value = self.string("input attribute value")
        self.info(f"input attribute value: {_str(value) or '(end)'}")
        return value

    def group(self, add: Callable[[str, str], None], closing: str = "}") -> None:
        while True:
            name = _str(self.string("input attribute name"))
            if name == closing:
                return
            add(name, _str(self.string("input attribute value")))

    def table(self, closing: str) -> dict[str, str]:
        entries: dict[str, str] = {}

        def add(name: str, value: str) -> None:
            if len(entries) >= MAX_GROUP:
                raise _Broken(f"attribute count exceeds limit {MAX_GROUP} in input from {self.name}")
            if name in entries:
                self.warning(f"duplicate attribute {name} in input from {self.name}")
            else:
                entries[name] = value

        self.group(add, closing)
        return entries

    def converted(self, kind: Kind, value: bytearray) -> Any:
        try:
            return _CONVERTERS[kind](value)
        except ValueError:
            what = "base64" if kind is Kind.DATA else "numerical"
            raise _Broken(
                f"malformed {what} data from {self.name} while reading input attribute value: {_str(value[:100])}"
            ) from None

    def argv(self) -> list[str] | None:
        if not self.wanted_name("argv_size"):
            return None
        size = self.converted(Kind.INT, self.value())
        if not 0 <= size <= MAX_GROUP:
            raise _Broken(f"attribute count exceeds limit {MAX_GROUP} in input from {self.name}")
        words: list[str] = []
        while len(words) < size:
            if not self.wanted_name("argv_value"):
                return None
            words.append(_str(self.value()))
        return words

    def run(self) -> list[Any]:
        values: list[Any] = []
        for name, kind, expected in self.layout.wanted:
            if kind is Kind.REST:
                values.append(self.table(""))
                self.found += 1
                return values
            if kind is Kind.ARGV:
                words = self.argv()
                if words is None:
                    return values
                values.append(words)
            elif kind is Kind.HASH:
                if not self.wanted_name("{"):
                    return values
                values.append(self.table("}"))
            elif not self.wanted_name(name):
                return values
            elif kind is Kind.FIXED:
                value = _str(self.value())
                if value != expected:
                    raise _Broken(f"unexpected {name} {value} from {self.name} (expected: {expected})")
            else:
                values.append(self.converted(kind, self.value()))
            self.found += 1
        if not self.layout.more:
            self.wanted_name("")
        return values


#: The reply of most services. Class S and the cache server are read strictly.
STATUS: Final = Layout(("status", Kind.INT))


def announcement(protocol: str) -> Layout:
    """The list that every service sends first (ipc chapter 2)."""
    return Layout(("protocol", Kind.FIXED, protocol))


def plain_text(attributes: Sequence[tuple[str, str]]) -> str:
    """A list in plain form, the one used inside cached session properties: ``name=value`` lines and an empty line."""
    return "".join([f"{name}={value}\n" for name, value in attributes]) + "\n"


__all__ = [
    "LIST_END",
    "STATUS",
    "Decoder",
    "Kind",
    "Layout",
    "ListError",
    "announcement",
    "data",
    "encode",
    "int32",
    "int64",
    "plain_text",
]
