"""Putting messages into the queue: with sendmail(1), smtpd(8), postdrop(1), or as a file that is there.

A message is a mapping: ``to`` (recipients), ``sender``, ``data`` (content with LF line ends), ``via`` (``sendmail``,
``smtp``, ``postdrop`` or ``queue``). For sendmail ``args``; for smtp ``hello``, ``xforward``, ``mail_args``,
``rcpt_args`` (one list, or one for each recipient), ``raw`` (content as it is), ``show`` (note all replies); for
postdrop ``records`` or ``lines``. For queue, content that cleanup(8) would not write so: ``lines`` (a line, or a
record's type and data; a number as data is an offset in the content, for a pointer), ``octets`` to be put behind them
as they are, ``encoding``, ``attributes`` and ``smtputf8`` of the envelope, ``original``, ``dsn_original`` and
``notify`` of the recipients.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from compat.queue_file import QueueMessage, QueueRecipient, encode_message, encode_record

if TYPE_CHECKING:
    from compat.sidebyside.instance import Instance

CONTENT = (
    "From: sender@origin.test\nTo: user@dest.test\nSubject: test\n"
    "Date: Fri, 01 Jan 2021 00:00:00 +0000\nMessage-ID: <fixed@origin.test>\n\nHello\n"
)
SUBMISSION_PORT = 2500
_TIMEOUT = 25.0


def content(message: Mapping[str, Any]) -> bytes:
    """The content of a message, with LF line ends."""
    data = message.get("data", CONTENT)
    return data if isinstance(data, bytes) else str(data).encode("utf-8", "surrogateescape")


async def inject(instance: "Instance", message: Mapping[str, Any], notes: list[str]) -> None:
    """Put one message into the queue; what is unusual goes to `notes`."""
    via = message.get("via", "sendmail")
    sender = message.get("sender", "sender@origin.test")
    recipients = message.get("to", ["user@dest.test"])
    if isinstance(recipients, str):
        recipients = [recipients]
    match via:
        case "sendmail":
            await _sendmail(instance, message, sender, recipients, notes)
        case "postdrop":
            await _postdrop(instance, message, sender, recipients, notes)
        case "queue":
            instance.enqueue(_queue_file(message, sender, recipients))
        case "smtp":
            await Submission(message, notes).send(sender, recipients)
        case _:
            raise ValueError(via)


async def _picked_up(instance: "Instance", mark: int) -> None:
    await instance.observations.wait_log(lambda tag, text: tag.endswith("/pickup") and "uid=" in text, 20, mark)


async def _sendmail(
    instance: "Instance", message: Mapping[str, Any], sender: str, recipients: list[str], notes: list[str]
) -> None:
    mark = len(instance.observations.logs)
    arguments = message.get("args", [])
    command = ["sendmail", "-f", sender or "<>", "-i", *arguments, "--", *recipients]
    code, output = await instance.command(*command, data=content(message))
    if code or output:
        notes.append(f"sendmail: {code} {output.strip()}")
    if not code and "-bv" not in arguments:
        await _picked_up(instance, mark)


async def _postdrop(
    instance: "Instance", message: Mapping[str, Any], sender: str, recipients: list[str], notes: list[str]
) -> None:
    mark = len(instance.observations.logs)
    records = message.get("records")
    if records is None:
        records = [("A", b"rewrite_context=local"), ("S", sender.encode())]
        records += [("R", recipient.encode()) for recipient in recipients]
        records += [("M", b"")]
        records += [("N", line) if isinstance(line, bytes) else line for line in message["lines"]]
        records += [("X", b""), ("E", b"")]
    data = b"".join(encode_record(kind.encode(), octets) for kind, octets in records)
    code, output = await instance.command("postdrop", "-r", data=data)
    if code:
        shown = re.sub(r"status\0?\S*|queue_id\S*|[\0-\x1f]", "", output)
        notes.append(f"postdrop: {code} {shown}")
    else:
        await _picked_up(instance, mark)


def _queue_file(message: Mapping[str, Any], sender: str, recipients: list[str]) -> bytes:
    queued = QueueMessage(
        sender=_octets(sender),
        recipients=[_queue_recipient(message, _octets(recipient)) for recipient in recipients],
        records=[],
        encoding=_octets(message.get("encoding", "")),
        attributes=message.get("attributes", ()),
        smtputf8=message.get("smtputf8", 0),
        damage=message.get("octets", b""),
        arrival=int(time.time()),  # one length, so that offsets are the same
    )
    begin = encode_message(queued)[1].data_offset
    lines = [("N", line) if isinstance(line, bytes) else line for line in message["lines"]]
    records = [(_octets(kind), b"%15d" % (begin + data) if isinstance(data, int) else data) for kind, data in lines]
    return encode_message(replace(queued, records=records))[0]


def _queue_recipient(message: Mapping[str, Any], address: bytes) -> QueueRecipient:
    original = message.get("original", address)
    return QueueRecipient(address, original, message.get("dsn_original", b""), message.get("notify", 0))


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


class Submission:
    """A conversation with smtpd(8)."""

    def __init__(self, message: Mapping[str, Any], notes: list[str]) -> None:
        self._message = message
        self._notes = notes
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def _reply(self) -> str:
        while True:
            line = await asyncio.wait_for(self._reader.readline(), _TIMEOUT)
            if not line:
                raise ConnectionError("smtpd hung up")
            if line[3:4] != b"-":
                return line.decode("utf-8", "backslashreplace").rstrip()

    async def _ask(self, command: str) -> bool:
        self._writer.write(f"{command}\r\n".encode())
        reply = await self._reply()
        good = reply.startswith(("2", "3"))
        if not good or self._message.get("show"):
            self._notes.append(f"smtpd: {command.split(' ')[0]} -> {reply}")
        return good

    async def send(self, sender: str, recipients: list[str]) -> None:
        """Submit the message."""
        message = self._message
        port = message.get("port", SUBMISSION_PORT)
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        await self._reply()
        await self._ask(message.get("hello", "EHLO client.test"))
        for line in message.get("xforward", []):
            await self._ask(f"XFORWARD {line}")
        await self._ask(" ".join([f"MAIL FROM:<{sender}>", *message.get("mail_args", [])]))
        accepted = 0
        for number, recipient in enumerate(recipients):
            arguments = message.get("rcpt_args", [])
            if arguments and isinstance(arguments[0], list):
                arguments = arguments[number]
            accepted += await self._ask(" ".join([f"RCPT TO:<{recipient}>", *arguments]))
        if accepted:
            await self._ask("DATA")
            data = content(message)
            if not message.get("raw"):
                data = re.sub(rb"(?<!\r)\n", b"\r\n", data)
                data = re.sub(rb"(?m)^\.", b"..", data)
            self._writer.write(data)
            await self._ask(".")
        await self._ask("QUIT")
        self._writer.close()
