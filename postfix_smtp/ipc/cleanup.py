"""Submits a notice to the postmaster through cleanup(8) (ipc chapter 12)."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from postfix_smtp import log
from postfix_smtp.errors import FatalError
from postfix_smtp.ipc.attributes import Kind, Layout, ListError, encode, int32
from postfix_smtp.ipc.channel import Channel, error_text
from postfix_smtp.ipc.settings import IpcSettings
from postfix_smtp.text import to_octets

_ANNOUNCEMENT: Final = Layout(("protocol", Kind.FIXED, "cleanup_protocol"), ("queue_id", Kind.STR))
_REPLY: Final = Layout(("status", Kind.INT), ("reason", Kind.STR), strict=False)

FLAG_FILTER: Final = 2  #: header and body checks
FLAG_MAP: Final = 32  #: address mapping
FLAG_MILTER: Final = 64
FLAG_AUTODETECT_SMTPUTF8: Final = 512


def notice_flags(internal_filter: bool, autodetect_smtputf8: bool) -> int:
    """The flags of a notice.

    Args:
        internal_filter: ``internal_mail_filter_classes`` has ``notify``.
        autodetect_smtputf8: ``smtputf8_autodetect_classes`` has ``notify`` or ``all``.
    """
    flags = FLAG_MAP
    if internal_filter:
        flags |= FLAG_FILTER | FLAG_MILTER
    if autodetect_smtputf8:
        flags |= FLAG_AUTODETECT_SMTPUTF8
    return flags


def record(kind: bytes, text: bytes) -> bytes:
    """One queue file record (queue-file chapter 2)."""
    length = len(text)
    header = bytearray(kind)
    while length > 0x7F:
        header.append(length & 0x7F | 0x80)
        length >>= 7
    header.append(length)
    return bytes(header) + text


class CleanupClient:
    """Client of cleanup; class N."""

    def __init__(self, settings: IpcSettings) -> None:
        self._path = f"public/{settings.cleanup}"
        self._timeout = settings.timeout

    async def submit(self, flags: int, sender: str, recipient: str, content: Callable[[str], Sequence[str]]) -> bool:
        """Submit a message. Its fate does not matter to a delivery; what went wrong has been logged.

        Args:
            flags: see :func:`notice_flags`.
            sender: envelope sender, internal form.
            recipient: envelope recipient, internal form.
            content: is given the queue id of the new message; header lines, an empty line, body lines.

        Raises:
            FatalError: there is a service, but it does not speak as it should.
        """
        try:
            channel = await Channel.connect(self._path, f"{self._path} socket", self._timeout)
        except OSError as failure:
            log.warning(f"connect to {self._path}: {error_text(failure.errno)}")
            log.warning(f"postmaster notify: {error_text(failure.errno)}")
            return False
        try:
            try:
                (queue_id,) = await channel.receive(_ANNOUNCEMENT)
            except ListError:
                raise FatalError("unable to contact the cleanup service") from None
            seconds, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
            records = [
                record(b"T", b"%d %d" % (seconds, microseconds)),
                record(b"A", b"log_message_origin=local"),
                record(b"A", b"trace_flags=0"),
                record(b"S", to_octets(sender)),
                record(b"R", to_octets(recipient)),
                record(b"M", b""),
                *(record(b"N", to_octets(line)) for line in content(queue_id)),
                record(b"X", b""),
                record(b"E", b""),
            ]
            try:
                await channel.send(encode((("flags", int32(flags)),)) + b"".join(records))
                status, _ = await channel.receive(_REPLY)
            except (OSError, ListError):
                return False
            return bool(status == 0)
        finally:
            channel.close()
