"""The queue manager in small: sends delivery requests, and is strict about the answer."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from compat.background import Background
from postfix_smtp.ipc.attributes import ListError
from postfix_smtp.ipc.channel import Channel
from postfix_smtp.ipc.delivery import PROTOCOL, REPLY, decode_reply, encode_request
from postfix_smtp.ipc.request import (
    DeliveryReply,
    DeliveryRequest,
    MessageTimes,
    Recipient,
    RequestFlags,
    Ret,
    SendOptions,
    Submission,
)

TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request ended.

    Attributes:
        reply: None when the agent closed without one, or sent something else.
        announced: the agent announced itself.
    """

    reply: DeliveryReply | None
    announced: bool = True


def request(
    recipients: Sequence[Recipient | str],
    *,
    nexthop: str = "[127.0.0.1]",
    queue_id: str = "1A2B3C4D5E",
    flags: int = 3,
    data_offset: int = 0,
    size: int = 0,
    sender: str = "sender@sender.example",
    encoding: str = "7bit",
    options: int = 0,
    envelope_id: str = "",
    ret: int = 0,
    age: float = 0.5,
    submission: Submission | None = None,
    queue_name: str = "active",
) -> DeliveryRequest:
    """A request with the usual values; recipients may be plain addresses."""
    arrival = time.time() - age
    return DeliveryRequest(
        RequestFlags(flags),
        queue_name,
        queue_id,
        data_offset,
        size,
        nexthop,
        encoding,
        SendOptions(options),
        sender,
        envelope_id,
        Ret(ret),
        MessageTimes(arrival=arrival, active=arrival + age * 0.8),
        submission or Submission(log_ident=queue_id),
        tuple(
            Recipient(entry, entry, -1, f"rfc822;{entry}") if isinstance(entry, str) else entry for entry in recipients
        ),
    )


class QueueManager:
    """Sends requests to the socket of a transport.

    Args:
        directory: queue directory.
        options_name: ``smtputf8``, or ``sendopts`` from 3.10 on.
    """

    def __init__(self, directory: Path, background: Background, options_name: str = "smtputf8") -> None:
        self._directory = directory
        self._background = background
        self._options_name = options_name
        self.problems: list[str] = []

    def deliver(self, transport: str, delivery: DeliveryRequest, timeout: float = TIMEOUT) -> Answer:
        """Send one request and wait for the answer."""
        return self._background.call(self.adeliver(transport, delivery, timeout), timeout + 1)

    def deliver_all(
        self, transport: str, deliveries: Sequence[DeliveryRequest], at_once: int = 20, timeout: float = TIMEOUT
    ) -> list[Answer]:
        """Send many requests, `at_once` at the same time."""

        async def run() -> list[Answer]:
            room = asyncio.Semaphore(at_once)

            async def one(delivery: DeliveryRequest) -> Answer:
                async with room:
                    return await self.adeliver(transport, delivery, timeout)

            return await asyncio.gather(*(one(delivery) for delivery in deliveries))

        return self._background.call(run(), timeout + 1)

    async def connect(self, transport: str) -> Channel:
        """A connection on which the agent has announced itself."""
        path = self._directory / "private" / transport
        channel = await Channel.connect(short_path(path), f"private/{transport} socket", TIMEOUT)
        try:
            await channel.receive(PROTOCOL)
        except BaseException:
            channel.close()
            raise
        return channel

    async def adeliver(self, transport: str, delivery: DeliveryRequest, timeout: float = TIMEOUT) -> Answer:
        """Send one request and wait for the answer; in the loop."""
        try:
            channel = await self.connect(transport)
        except (ListError, OSError) as failure:
            self.problems.append(f"{transport}: no announcement: {failure!r}")
            return Answer(None, announced=False)
        try:
            return Answer(await self.exchange(channel, delivery, timeout))
        finally:
            channel.close()

    async def exchange(
        self, channel: Channel, delivery: DeliveryRequest, timeout: float = TIMEOUT
    ) -> DeliveryReply | None:
        """Send a request on an announced connection; the reply."""
        channel.timeout = timeout
        await channel.send(encode_request(delivery, self._options_name))
        try:
            reply = decode_reply(await channel.receive(REPLY))
        except ListError as broken:
            if not broken.empty:
                self.problems.append(f"{channel.name}: malformed reply")
            return None
        if channel.take_pending():
            self.problems.append(f"{channel.name}: something follows the reply")
        if reply.all_final and reply.host_status:
            self.problems.append(f"{channel.name}: status 0 with a host status")
        if reply.host_status and (not reply.host_status.status or not reply.host_status.reason):
            self.problems.append(f"{channel.name}: half a host status")
        return reply


def short_path(path: Path) -> str:
    """`path`, or a shorter way to say it when it does not fit into a socket address."""
    with contextlib.suppress(ValueError):
        relative = path.relative_to(Path.cwd())
        return str(relative)
    return str(path)


def with_offsets(delivery: DeliveryRequest, offsets: Sequence[int], data_offset: int, size: int) -> DeliveryRequest:
    """`delivery` with the positions in its queue file filled in."""
    recipients = tuple(
        replace(recipient, offset=offset) for recipient, offset in zip(delivery.recipients, offsets, strict=True)
    )
    return replace(delivery, recipients=recipients, data_offset=data_offset, size=size)
