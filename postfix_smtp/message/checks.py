"""Header and body checks (message chapter 5): what a table says about a line, and what comes of it."""

from collections.abc import Awaitable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from postfix_smtp import log
from postfix_smtp.errors import TableError
from postfix_smtp.message.headers import MIME_HEADERS, header_name
from postfix_smtp.message.lines import LineOutput
from postfix_smtp.message.mime import Section
from postfix_smtp.queue.records import LINE
from postfix_smtp.smtp.failure import LocalDataError
from postfix_smtp.text import to_octets, to_text

if TYPE_CHECKING:
    from postfix_smtp.tables.maps import Maps

_KEEP = frozenset({"DUNNO", "OK"})
_DROP = frozenset({"IGNORE", "STRIP"})
_WITH_TEXT = frozenset({"REPLACE", "PREPEND"})
#: Commands that are logged, with the word for it.
_LOGGED = {"STRIP": "strip", "INFO": "info", "WARN": "warning", "REPLACE": "replace", "PREPEND": "prepend"}


@dataclass(frozen=True, slots=True)
class Checks:
    """The tables; None where a parameter is empty."""

    header: "Maps | None" = None
    mime_header: "Maps | None" = None
    nested_header: "Maps | None" = None
    body: "Maps | None" = None

    def __bool__(self) -> bool:
        return any((self.header, self.mime_header, self.nested_header, self.body))

    def for_header(self, section: Section, name: bytes, is_generated: bool) -> "Maps | None":
        """The tables for a header.

        Args:
            name: lower case.
            is_generated: made by the MIME processor, not a MIME header in this sense.
        """
        if section is Section.PART or (name in MIME_HEADERS and not is_generated):
            return self.mime_header
        return self.nested_header if section is Section.NESTED else self.header


class Checker:
    """Checks in one pass through a message."""

    __slots__ = ("_lines", "_log_length", "_queue_id")

    def __init__(self, queue_id: str, lines: LineOutput, log_length: int) -> None:
        """
        Args:
            lines: where PREPEND puts its text.
            log_length: octets of the line in the log.
        """
        self._queue_id = queue_id
        self._lines = lines
        self._log_length = log_length

    def header(self, tables: "Maps", text: bytes) -> Generator[Awaitable[Any], Any, bytes | None]:
        """Check a header; what is to be sent in its place, None: nothing.

        Raises:
            LocalDataError: a table does not answer.
        """
        return self._check("header", tables, text, text)

    def body(self, tables: "Maps", text: bytes) -> Generator[Awaitable[Any], Any, bytes | None]:
        """Check a body line, or a piece of one, which is not empty; what is to be sent in its place.

        Raises:
            LocalDataError: a table does not answer.
        """
        return self._check("body", tables, text, text.partition(b"\0")[0])

    def body_lines(self, tables: "Maps", texts: list[bytes]) -> None:
        """Check whole body lines, at the start of one, and send what is left of them; only if `tables` are local.

        Raises:
            LocalDataError: a table does not answer; what came before is sent.
        """
        kept: list[bytes] = []
        try:
            for text in texts:
                if text:
                    key = text if b"\0" not in text else text.partition(b"\0")[0]
                    found = tables.find(to_text(key))
                    if found is not None:
                        self._send(kept)
                        kept = []
                        result = self._act("body", tables.title, text, key, found[0])
                        if result is None:
                            continue
                        text = result
                kept.append(text)
        except TableError:
            self._send(kept)
            raise self._failed("body") from None
        self._send(kept)

    def _send(self, lines: list[bytes]) -> None:
        if lines:
            self._lines.whole(lines)

    def _failed(self, where: str) -> LocalDataError:
        log.warning(f"{self._queue_id}: smtp {where} checks lookup error")
        return LocalDataError()

    def _check(
        self, where: str, tables: "Maps", text: bytes, key: bytes
    ) -> Generator[Awaitable[Any], Any, bytes | None]:
        try:
            if tables.local:
                found = tables.find(to_text(key))
            else:
                found = yield tables.alookup(to_text(key))
        except TableError:
            raise self._failed(where) from None
        if found is None:
            return text
        return self._act(where, tables.title, text, key, found[0])

    def _act(self, where: str, title: str, text: bytes, key: bytes, result: str) -> bytes | None:
        command, _, argument = result.replace("\t", " ").partition(" ")
        argument = result[len(command) :].lstrip()
        command = command.upper()
        if command in _KEEP:
            return text
        if command in _WITH_TEXT:
            if not argument:
                log.warning(f"{command} action without text in {title} map")
                return text
            if where == "header" and not header_name(to_octets(argument)):
                log.warning(f'bad {command} header text "{argument}" in {title} map -- need "headername: headervalue"')
                return text
        elif command not in _LOGGED and command not in _DROP:
            log.warning(f"unsupported command in {title} map: {result}")
            return text
        if command in _LOGGED:
            seen = to_text(key[: self._log_length])
            log.info(f"{self._queue_id}: {_LOGGED[command]}: {where} {seen}{': ' if argument else ''}{argument}")
        if command in _DROP:
            return None
        if command == "REPLACE":
            return to_octets(argument)
        if command == "PREPEND":
            self._lines.put(LINE, to_octets(argument))
        return text
