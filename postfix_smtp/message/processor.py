"""The slow way of the content: MIME processor, checks, address mapping (message chapter 1).

Stretches of the body that nobody needs to look at still take the fast way, see
:meth:`postfix_smtp.queue.records.RecordReader.plain_lines`.
"""

import asyncio
from collections.abc import Awaitable, Generator, Sequence
from typing import TYPE_CHECKING, Any

from postfix_smtp.ipc.request import DeliveryRequest
from postfix_smtp.message.content import damaged
from postfix_smtp.message.headers import ADDRESS_HEADERS, header_name
from postfix_smtp.message.lines import LineOutput
from postfix_smtp.message.mime import GENERATED, Event, MimeProcessor, Section
from postfix_smtp.message.settings import MessageSettings
from postfix_smtp.queue.file import QueueFile
from postfix_smtp.queue.records import END_OF_CONTENT, LINE, PAUSE, PIECE
from postfix_smtp.smtp.failure import BodyError, LocalDataError, local_failure

if TYPE_CHECKING:
    from postfix_smtp.message.checks import Checks
    from postfix_smtp.message.generic import GenericMapper

_CHUNK_SIZE = 32 * 1024
#: Octets encoded in one go.
_ENCODED_SIZE = 64 * 1024
#: Octets of a body checked in one go.
_CHECKED_SIZE = 16 * 1024
#: What a record costs beside its octets: bounds the time between two chunks if lines are short.
_RECORD_COST = 64
#: Octets of an address list that take so long that a thread reads them, in turn with the event loop.
_LARGE_HEADER = 16 * 1024
_NODES_AT_ONCE = 200


def processed(
    queue_file: QueueFile,
    request: DeliveryRequest,
    settings: MessageSettings,
    lines: LineOutput,
    *,
    converting: bool,
    checks: "Checks | None",
    generic: "GenericMapper | None",
    added: Sequence[bytes],
) -> Generator[bytes | Awaitable[Any], Any, bytes]:
    """The pipeline with a MIME processor; see :mod:`postfix_smtp.message.content` for what it yields and raises."""
    mime = MimeProcessor(settings, parsing=bool(checks), converting=converting)
    sink = _Sink(request.queue_id, settings, lines, checks, generic)
    plain_limit = lines.plain_limit
    if checks and checks.body and not checks.body.local:
        plain_limit = 0
    for header in added:
        yield from _take(mime, sink, lines, mime.feed(LINE, header))
    reader = queue_file.records(request.data_offset, request.size)
    whole_size = _CHECKED_SIZE if sink.checks_body else _ENCODED_SIZE
    size = 0
    while True:
        if (
            plain_limit
            and not sink.checks_body
            and mime.is_transparent
            and lines.at_start
            and (octets := reader.plain_lines(plain_limit, mime.expects_boundary))
        ):
            lines.pieces.append(octets)
            mime.skipped()
            size += len(octets)
        elif (
            plain_limit
            and (mime.is_encoding or (sink.checks_body and mime.is_transparent))
            and lines.at_start
            and (texts := reader.whole_lines(whole_size, mime.expects_boundary))
        ):
            if mime.is_encoding:
                texts = mime.encoded(texts)
            else:
                mime.skipped()
            if sink.checks_body:
                yield from sink.body_lines(texts)
            else:
                lines.whole(texts)
            size += _CHUNK_SIZE
        else:
            kind = reader.next()
            if kind in (LINE, PIECE):
                events = mime.feed(kind, reader.text)
                size += len(reader.text) + _RECORD_COST
                if events:
                    yield from _take(mime, sink, lines, events)
            elif kind == PAUSE:
                yield b""
            else:
                break
        if size >= _CHUNK_SIZE:
            yield lines.take()
            size = 0
    yield from _take(mime, sink, lines, mime.finish())
    if kind != END_OF_CONTENT:
        raise damaged(request.queue_id, kind)
    return lines.take()


def _take(
    mime: MimeProcessor, sink: "_Sink", lines: LineOutput, events: list[Event]
) -> Generator[bytes | Awaitable[Any], Any, None]:
    """Give events to the sink; on failure what is ready is sent before."""
    try:
        for section, kind, text in events:
            if section is not Section.BODY:
                yield from sink.header(section, kind == GENERATED, text)
            elif sink.checks_body and text:
                yield from sink.body(kind, text)
            else:
                lines.put(kind, text)
    except LocalDataError:
        yield lines.take()
        raise
    if mime.nesting_exceeded:
        yield lines.take()
        raise BodyError(local_failure("5.6.0", "MIME nesting exceeds safety limit"))


class _Sink:
    """What becomes of the MIME processor's events."""

    __slots__ = ("_checker", "_checks", "_generic", "_lines", "checks_body")

    def __init__(
        self,
        queue_id: str,
        settings: MessageSettings,
        lines: LineOutput,
        checks: "Checks | None",
        generic: "GenericMapper | None",
    ) -> None:
        self._lines = lines
        self._checks = checks
        self._generic = generic
        self.checks_body = bool(checks and checks.body)
        if checks:
            from postfix_smtp.message.checks import Checker

            self._checker = Checker(queue_id, lines, settings.log_length)

    def header(self, section: Section, generated: bool, header: bytes) -> Generator[bytes | Awaitable[Any], Any, None]:
        """Check and map a header, and send what is left of it."""
        text: bytes | None = header
        name = header_name(header)
        folded = name.lower()
        if self._checks and (tables := self._checks.for_header(section, folded, generated)):
            text = yield from self._checker.header(tables, header)
        if text is None:
            return
        if self._generic and section is Section.PRIMARY and folded in ADDRESS_HEADERS:
            text = yield from self._mapped(text, len(name))
        self._lines.lines(text)

    def _mapped(self, header: bytes, name_length: int) -> Generator[bytes | Awaitable[Any], Any, bytes]:
        """A header with its addresses mapped; unchanged if no table knows any of them."""
        assert self._generic
        from postfix_smtp.message.addresses import Kind, parse, write_header
        from postfix_smtp.text import to_octets, to_text

        name, value = header[:name_length], header[name_length + 1 :]
        is_large = len(value) > _LARGE_HEADER
        nodes = (yield asyncio.to_thread(parse, value)) if is_large else parse(value)
        matched = False
        for index, (kind, address) in enumerate(nodes):
            if index % _NODES_AT_ONCE == _NODES_AT_ONCE - 1:
                yield b""
            if kind is Kind.ADDRESS:
                mapped = yield self._generic.find(to_text(address))
                if mapped is not None:
                    matched = True
                    nodes[index] = kind, to_octets(mapped)
        if not matched:
            return header
        return (yield asyncio.to_thread(write_header, name, nodes)) if is_large else write_header(name, nodes)

    def body_lines(self, texts: list[bytes]) -> Generator[bytes, Any, None]:
        """Check whole body lines, and send what is left of them; on failure what is ready is sent before."""
        assert self._checks
        assert self._checks.body
        try:
            self._checker.body_lines(self._checks.body, texts)
        except LocalDataError:
            yield self._lines.take()
            raise

    def body(self, kind: int, text: bytes) -> Generator[Awaitable[Any], Any, None]:
        """Check a body line, and send what is left of it."""
        assert self._checks
        assert self._checks.body
        checked = yield from self._checker.body(self._checks.body, text)
        if checked is not None:
            self._lines.put(kind, checked)
