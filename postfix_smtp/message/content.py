"""The content of one delivery request as it goes on the wire.

Records of the queue file pass through a pipeline of plain generators (records, MIME processor, checks and address
mapping, lines), which works on whole buffers and never waits. When it needs something that may have to be waited for,
such as a table behind a network or the address rewriting service, it yields an awaitable and is sent the result. What
it yields else are octets for the wire, and others may run after each; the last octets it returns.
:meth:`Content.chunks` drives it.

Nearly all messages need no MIME processor: then records become lines in :mod:`postfix_smtp.queue.records` and nothing
below is even imported.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

from postfix_smtp import log
from postfix_smtp.ipc.request import DeliveryRequest
from postfix_smtp.message.lines import LineOutput
from postfix_smtp.message.settings import MessageSettings
from postfix_smtp.queue.file import QueueFile
from postfix_smtp.queue.records import END_OF_CONTENT, LINE, PAUSE, PIECE
from postfix_smtp.smtp.failure import BodyError, Failure, local_failure

if TYPE_CHECKING:
    from postfix_smtp.message.checks import Checks
    from postfix_smtp.message.generic import GenericMapper

Pipeline = Generator[bytes | Awaitable[Any], Any, bytes]

_CHUNK_SIZE = 128 * 1024
#: What taking a single record costs beside its octets, in octets of the fast path.
_RECORD_COST = 24


class Content:
    """Message content, to be sent as often as there are sessions to try."""

    __slots__ = ("_added", "_break_reported", "_checks", "_generic", "_queue_file", "_request", "_settings")

    def __init__(
        self,
        queue_file: QueueFile,
        request: DeliveryRequest,
        settings: MessageSettings,
        *,
        checks: "Checks | None" = None,
        generic: "GenericMapper | None" = None,
        added: Sequence[bytes] = (),
    ) -> None:
        """
        Args:
            queue_file: open and locked until this object is no longer used.
            checks: header and body checks, None if none is configured.
            generic: address mapping for headers, None if ``smtp_generic_maps`` is empty.
            added: header lines to go before the content (``flags=``), see :mod:`postfix_smtp.message.added`.
        """
        self._queue_file = queue_file
        self._request = request
        self._settings = settings
        self._checks = checks
        self._generic = generic
        self._added = added
        self._break_reported = False

    async def chunks(self, converting: bool) -> AsyncIterator[bytes]:
        """The content for one DATA transaction: dot-stuffed lines with CR LF, without the final dot.

        Args:
            converting: 8bit content is converted to quoted-printable, see :meth:`MessageSettings.converts`.

        Raises:
            BodyError: the content must not be sent: damaged queue file, MIME nesting.
            LocalDataError: a table of the checks does not answer.
            FatalError: the queue file cannot be read, or ``smtp_generic_maps`` does not answer.
        """
        pipeline = self._pipeline(converting)
        resume: Callable[[Any], bytes | Awaitable[Any]] = pipeline.send
        argument: Any = None
        while True:
            try:
                item = resume(argument)
            except StopIteration as end:
                if end.value:
                    yield end.value
                return
            resume, argument = pipeline.send, None
            if isinstance(item, bytes):
                if item:
                    yield item
                await asyncio.sleep(0)  # the consumer does not wait if the socket takes everything at once
                continue
            try:
                argument = await item
            except Exception as error:
                resume, argument = pipeline.throw, error

    def _pipeline(self, converting: bool) -> Pipeline:
        if not (converting or self._checks or self._generic):
            return self._plain()
        from postfix_smtp.message.processor import processed

        return processed(
            self._queue_file,
            self._request,
            self._settings,
            self._line_output(),
            converting=converting,
            checks=self._checks,
            generic=self._generic,
            added=self._added,
        )

    def _line_output(self) -> LineOutput:
        return LineOutput(self._settings.line_length_limit, self._report_break)

    def _plain(self) -> Pipeline:
        """Records as they are."""
        lines = self._line_output()
        pieces, plain_limit = lines.pieces, lines.plain_limit
        for header in self._added:
            lines.put(LINE, header)
        last = LINE
        size = 0
        reader = self._queue_file.records(self._request.data_offset, self._request.size)
        while True:
            if plain_limit and last == LINE and (octets := reader.plain_lines(plain_limit)):
                pieces.append(octets)
                size += len(octets)
                kind = LINE
            else:
                kind = reader.next()
                if kind in (LINE, PIECE):
                    lines.put(kind, reader.text)
                    last = kind
                    size += len(reader.text) + _RECORD_COST
                elif kind == PAUSE:
                    yield b""
                else:
                    break
            if size >= _CHUNK_SIZE:
                yield lines.take()
                size = 0
        if last == PIECE:
            lines.end()
        if kind != END_OF_CONTENT:
            raise damaged(self._request.queue_id, kind)
        return lines.take()

    def _report_break(self) -> None:
        """Once for all transactions of a delivery request."""
        if not self._break_reported:
            self._break_reported = True
            limit = self._settings.line_length_limit
            log.info(f"{self._request.queue_id}: breaking line > {limit} bytes with <CR><LF>SPACE")


def damaged(queue_id: str, kind: int) -> BodyError:
    """Log that the content ends with record type `kind`; the failure of all recipients (queue-file chapter 9.2)."""
    log.warning(f"{queue_id}: bad record type: {kind} in message content")
    dsn = local_failure("5.3.0", "unreadable mail queue entry").dsn
    return BodyError(Failure(dsn, corrupt_queue_file=True))
