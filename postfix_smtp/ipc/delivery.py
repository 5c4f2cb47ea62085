"""Delivery requests: the one conversation in which this program is the server (ipc chapter 4).

Also what both sides of it share, because a request can be passed on to another delivery agent.
"""

import struct
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from postfix_smtp import log
from postfix_smtp.dsn import Dsn
from postfix_smtp.ipc.attributes import Kind, Layout, ListError, announcement, data, encode, int32, int64
from postfix_smtp.ipc.channel import Channel
from postfix_smtp.ipc.request import (
    DeliveryReply,
    DeliveryRequest,
    MessageTimes,
    Notify,
    Recipient,
    RequestFlags,
    Ret,
    SendOptions,
    Submission,
)

PROTOCOL: Final = announcement("delivery_request_protocol")
ANNOUNCEMENT_OCTETS: Final = b"protocol\0delivery_request_protocol\0\0"


def _request_layout(options_name: str, other_name: str) -> Layout:
    return Layout(
        ("flags", Kind.INT),
        ("queue_name", Kind.STR),
        ("queue_id", Kind.STR),
        ("offset", Kind.LONG),
        ("size", Kind.LONG),
        ("nexthop", Kind.STR),
        ("encoding", Kind.STR),
        (options_name, Kind.INT),
        ("sender", Kind.STR),
        ("envelope_id", Kind.STR),
        ("ret_flags", Kind.INT),
        ("time", Kind.DATA),
        ("log_client_name", Kind.STR),
        ("log_client_address", Kind.STR),
        ("log_client_port", Kind.STR),
        ("log_protocol_name", Kind.STR),
        ("log_helo_name", Kind.STR),
        ("sasl_method", Kind.STR),
        ("sasl_username", Kind.STR),
        ("sasl_sender", Kind.STR),
        ("log_ident", Kind.STR),
        ("rewrite_context", Kind.STR),
        ("recipient_count", Kind.INT),
        alias={options_name: other_name},
    )


#: By the name that the eighth attribute has in the installed version. The other name is read as well, so that a wrong
#: idea of the version does no harm here.
REQUEST: Final = {
    "smtputf8": _request_layout("smtputf8", "sendopts"),
    "sendopts": _request_layout("sendopts", "smtputf8"),
}
RECIPIENT: Final = Layout(
    ("original_recipient", Kind.STR),
    ("recipient", Kind.STR),
    ("offset", Kind.LONG),
    ("dsn_orig_rcpt", Kind.STR),
    ("notify_flags", Kind.INT),
)
REPLY: Final = Layout(
    ("status", Kind.STR),
    ("diag_type", Kind.STR),
    ("diag_text", Kind.STR),
    ("mta_type", Kind.STR),
    ("mta_mname", Kind.STR),
    ("action", Kind.STR),
    ("reason", Kind.STR),
    ("status", Kind.INT),
)

# The memory image of C structures in host byte order, with the padding of the platform (ipc chapter 4.6)
_TIMES: Final = struct.Struct("@10qi0q" if struct.calcsize("@P") == 8 else "@10li0l")


def encode_times(times: MessageTimes) -> bytes:
    """Statistics as they travel in attribute ``time``."""
    numbers: list[int] = []
    for moment in (times.arrival, times.active, times.handoff, times.setup, times.done):
        numbers += divmod(round(moment * 1_000_000), 1_000_000)
    return _TIMES.pack(*numbers, times.reuse_count)


def decode_times(octets: bytes) -> MessageTimes:
    """The opposite of :func:`encode_times`.

    Raises:
        ValueError: the size is not this platform's. That was logged.
    """
    if len(octets) != _TIMES.size:
        log.warning(f"msg_stats_scan: size mis-match: {len(octets)} != {_TIMES.size}")
        raise ValueError
    numbers = _TIMES.unpack(octets)
    seconds = [numbers[at] + numbers[at + 1] / 1_000_000 for at in range(0, 10, 2)]
    return MessageTimes(seconds[0], seconds[1], seconds[2], seconds[3], seconds[4], numbers[10])


def request_attributes(request: DeliveryRequest, options_name: str) -> list[tuple[str, str]]:
    """The request list; its recipients follow as :func:`recipient_attributes`.

    Args:
        options_name: name of the eighth attribute, see :attr:`IpcSettings.options_name`.
    """
    submission = request.submission
    return [
        ("flags", int32(request.flags)),
        ("queue_name", request.queue_name),
        ("queue_id", request.queue_id),
        ("offset", int64(request.data_offset)),
        ("size", int64(request.size)),
        ("nexthop", request.nexthop),
        ("encoding", request.encoding),
        (options_name, int32(request.options)),
        ("sender", request.sender),
        ("envelope_id", request.envelope_id),
        ("ret_flags", int32(request.ret)),
        ("time", data(encode_times(request.times))),
        ("log_client_name", submission.client_name),
        ("log_client_address", submission.client_address),
        ("log_client_port", submission.client_port),
        ("log_protocol_name", submission.protocol_name),
        ("log_helo_name", submission.helo_name),
        ("sasl_method", submission.sasl_method),
        ("sasl_username", submission.sasl_username),
        ("sasl_sender", submission.sasl_sender),
        ("log_ident", submission.log_ident),
        ("rewrite_context", submission.rewrite_context),
        ("recipient_count", int32(len(request.recipients))),
    ]


def recipient_attributes(recipient: Recipient) -> list[tuple[str, str]]:
    """The list of one recipient."""
    return [
        ("original_recipient", recipient.original),
        ("recipient", recipient.address),
        ("offset", int64(recipient.offset)),
        ("dsn_orig_rcpt", recipient.dsn_original),
        ("notify_flags", int32(recipient.notify)),
    ]


def encode_request(request: DeliveryRequest, options_name: str) -> bytes:
    """A whole request: its list, and one list for each recipient."""
    lists = [encode(request_attributes(request, options_name))]
    lists += [encode(recipient_attributes(recipient)) for recipient in request.recipients]
    return b"".join(lists)


def encode_reply(reply: DeliveryReply) -> bytes:
    """The final reply. Without a host status all texts are empty (ipc chapter 4.7)."""
    dsn = reply.host_status or _NO_STATUS
    return encode(
        (
            ("status", dsn.status),
            ("diag_type", dsn.diag_type),
            ("diag_text", dsn.diag_text),
            ("mta_type", dsn.mta_type),
            ("mta_mname", dsn.mta_name),
            ("action", ""),
            ("reason", dsn.reason),
            ("status", "0" if reply.all_final else int32(-1)),
        )
    )


def decode_reply(values: list[Any]) -> DeliveryReply:
    """The reply from the values of :data:`REPLY`."""
    code, diag_type, diag_text, mta_type, mta_name, _, reason, status = values
    dsn = Dsn(code, reason, diag_type, diag_text, mta_type, mta_name) if code or reason else None
    return DeliveryReply(status == 0, dsn)


_NO_STATUS = Dsn("", "")
FAILED: Final = DeliveryReply(all_final=False)  #: try again; nothing is known about the destination


class RequestError(Exception):
    """A delivery request is unusable, which was logged. It is answered with :data:`FAILED`."""


def _request(values: list[Any], times: MessageTimes, recipients: tuple[Recipient, ...]) -> DeliveryRequest:
    return DeliveryRequest(
        RequestFlags(values[0]),
        values[1],
        values[2],
        values[3],
        values[4],
        values[5],
        values[6],
        SendOptions(values[7]),
        values[8],
        values[9],
        Ret(values[10]),
        times,
        Submission(*values[12:22]),
        recipients,
    )


class DeliveryConnection:
    """A connection of the queue manager: announcement, one request, one reply.

    Args:
        channel: accepted connection; its name is ``SERVICE socket``.
        options_name: of the eighth attribute, see :attr:`IpcSettings.options_name`.
    """

    __slots__ = ("_layout", "channel")

    def __init__(self, channel: Channel, options_name: str = "smtputf8") -> None:
        self.channel = channel
        self._layout = REQUEST[options_name]

    def announce(self) -> None:
        """Speak first; the queue manager waits for it, and suspends the whole transport if it does not come.

        Raises:
            OSError: the peer is gone.
        """
        if log.verbose():
            log.info("deliver_request_initial: send initial response")
            encode((("protocol", "delivery_request_protocol"),))  # for its log line
        self.channel.send_at_once(ANNOUNCEMENT_OCTETS)

    async def read_request(self, inspect: Callable[[str, str], None] | None = None) -> DeliveryRequest | None:
        """Wait for the request, without time limit for its first octet, and read it.

        Args:
            inspect: is called with queue name and queue id when the first part has been read and before the recipients
                are: the place for log lines about the queue file (queue-file chapter 7.3).

        Returns:
            The request with at least one recipient and its hand-off time set, or None if the queue manager closed
            instead, which is normal.

        Raises:
            RequestError: it is malformed, or has no recipients.
        """
        channel = self.channel
        await channel.wait_input()
        try:
            values = await channel.receive(self._layout)
            times = decode_times(values[11])
        except ListError as broken:
            if broken.empty:
                return None
            log.warning("deliver_request_get: error receiving common attributes")
            raise RequestError from None
        except ValueError:
            log.warning("deliver_request_get: error receiving common attributes")
            raise RequestError from None
        if inspect is not None:
            inspect(values[1], values[2])
        if not times.handoff:
            times = replace(times, handoff=time.time())
        recipients: list[Recipient] = []
        try:
            for _ in range(values[22]):
                original, address, offset, dsn_original, notify = await channel.receive(RECIPIENT)
                recipients.append(Recipient(original, address, offset, dsn_original, Notify(notify)))
        except ListError:
            log.warning("deliver_request_get: error receiving recipient attributes")
            raise RequestError from None
        if not recipients:
            log.warning(f"{values[2]}: no recipients in delivery request for destination {values[5]}")
            raise RequestError
        return _request(values, times, tuple(recipients))

    async def reply(self, reply: DeliveryReply) -> None:
        """Send the final reply and wait for the queue manager to close, within the time limit.

        A queue manager that is gone (it leaves at a reload) is normal and silent.
        """
        if log.verbose():
            reason = reply.host_status.reason if reply.host_status else ""
            log.info(f'deliver_request_final: send: "{reason}" {0 if reply.all_final else -1}')
        try:
            await self.channel.send(encode_reply(reply))
        except OSError:
            return
        await self.channel.drain()

    def close(self) -> None:
        """Close the connection."""
        self.channel.close()
