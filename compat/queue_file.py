"""Queue files as cleanup(8) writes them, for tests, benchmarks and the demo (queue-file chapter 4)."""

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Record = tuple[bytes, bytes]  #: type (one octet) and data

#: cleanup(8) splits longer lines (``line_length_limit``).
LINE_LENGTH_LIMIT = 2048


def encode_record(kind: bytes, data: bytes) -> bytes:
    """One record: type, length in the shortest form, data."""
    length = len(data)
    octets = bytearray()
    while True:
        octets.append(length & 127 | (128 if length > 127 else 0))
        length >>= 7
        if not length:
            return kind + bytes(octets) + data


def content_records(content: bytes) -> list[Record]:
    """The content as cleanup(8) stores it: lines (separated by LF) split into pieces of at most 2048 octets."""
    lines = content.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    records: list[Record] = []
    for line in lines:
        while len(line) >= LINE_LENGTH_LIMIT:
            records.append((b"L", line[:LINE_LENGTH_LIMIT]))
            line = line[LINE_LENGTH_LIMIT:]
        records.append((b"N", line))
    return records


@dataclass(frozen=True, slots=True)
class QueueRecipient:
    """A recipient with what the envelope says about it; `original` defaults to the address."""

    address: bytes
    original: bytes | None = None
    dsn_original: bytes = b""
    notify: int = 0


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """A message to be queued.

    Attributes:
        records: content records, see :func:`content_records`; what belongs after the content, from the ``X`` record
            on, is added unless `complete` is false.
        encoding: ``7bit``, ``8bit`` or empty.
        attributes: further ``name=value`` records of the envelope.
        smtputf8: flags that say why SMTPUTF8 is needed.
        damage: octets behind the records, before what belongs after the content.
    """

    sender: bytes
    recipients: Sequence[QueueRecipient]
    records: Sequence[Record]
    encoding: bytes = b""
    envelope_id: bytes = b""
    ret_flags: int = 0
    arrival: float = 0.0
    attributes: Sequence[bytes] = ()
    complete: bool = True
    smtputf8: int = 0
    damage: bytes = b""


@dataclass(slots=True)
class Queued:
    """Where a queue file's parts are, as a delivery request states them (octets)."""

    data_offset: int = 0
    size: int = 0
    recipient_offsets: list[int] = field(default_factory=list)


def encode_message(message: QueueMessage) -> tuple[bytes, Queued]:
    """The queue file's octets."""
    queued = Queued()
    arrival = message.arrival or time.time()
    envelope = bytearray()

    def add(kind: bytes, data: bytes) -> None:
        envelope.extend(encode_record(kind, data))

    add(b"C", b" " * 95)  # patched below
    add(b"T", b"%d %d" % (int(arrival), int(arrival % 1 * 1_000_000)))
    add(b"A", b"create_time=%d" % int(arrival))
    add(b"A", b"rewrite_context=local")
    if message.envelope_id:
        add(b"A", b"envelope_id=" + message.envelope_id)
    if message.ret_flags:
        add(b"A", b"ret_flags=%d" % message.ret_flags)
    for attribute in message.attributes:
        add(b"A", attribute)
    if message.encoding:
        add(b"A", b"encoding=" + message.encoding)
    add(b"S", message.sender)
    for recipient in message.recipients:
        if recipient.notify:
            add(b"A", b"notify_flags=%d" % recipient.notify)
        if recipient.dsn_original:
            add(b"A", b"dsn_orig_rcpt=" + recipient.dsn_original)
        add(b"O", recipient.address if recipient.original is None else recipient.original)
        queued.recipient_offsets.append(len(envelope))
        add(b"R", recipient.address)
    add(b"M", b"")
    queued.data_offset = len(envelope)
    content = b"".join([encode_record(kind, data) for kind, data in message.records]) + message.damage
    queued.size = len(content)
    sizes = (queued.size, queued.data_offset, len(message.recipients), 0, queued.size, message.smtputf8)
    envelope[:97] = encode_record(b"C", b" ".join([b"%15d" % number for number in sizes]))
    end = encode_record(b"X", b"") + encode_record(b"E", b"") if message.complete else b""
    return bytes(envelope) + content + end, queued


def write_message(path: str | os.PathLike[str], message: QueueMessage) -> Queued:
    """Write the queue file at `path`, mode 0700 (ready for the queue manager)."""
    octets, queued = encode_message(message)
    Path(path).write_bytes(octets)
    os.chmod(path, 0o700)
    return queued


def text_message(
    sender: str, recipients: Iterable[str], content: bytes, *, encoding: str = "", arrival: float = 0.0
) -> QueueMessage:
    """A message from plain values; `content` has LF line ends."""
    return QueueMessage(
        sender=sender.encode(),
        recipients=[QueueRecipient(address.encode()) for address in recipients],
        records=content_records(content),
        encoding=encoding.encode(),
        arrival=arrival,
    )
