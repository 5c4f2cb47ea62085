"""Hands a recipient over to another delivery agent: ``best_mx_transport`` (ipc chapter 14)."""

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from postfix_smtp import log
from postfix_smtp.dsn import Dsn
from postfix_smtp.errors import FatalError
from postfix_smtp.ipc import kept
from postfix_smtp.ipc.attributes import ListError
from postfix_smtp.ipc.channel import Channel, error_text
from postfix_smtp.ipc.delivery import PROTOCOL, REPLY, decode_reply, encode_request
from postfix_smtp.ipc.request import DeliveryRequest, Recipient
from postfix_smtp.ipc.settings import IpcSettings

_UNAVAILABLE: Final = Dsn("4.3.0", "mail transport unavailable")
_UNKNOWN_ERROR: Final = Dsn("4.3.0", "unknown mail transport error")


@dataclass(frozen=True, slots=True)
class PassedOn:
    """What became of a recipient that was passed on.

    Attributes:
        done: the other agent recorded a final result, and logged and crossed off the recipient.
        failure: the other agent did not do its part: the recipient is to be deferred with this, relay ``none``. None
            and not `done`: it did, and deferred the recipient.
    """

    done: bool
    failure: Dsn | None = None


def split_transport(value: str, nexthop: str) -> tuple[str, str]:
    """``TRANSPORT[:NEXTHOP]`` as transport and nexthop; without one, `nexthop` of the request.

    Raises:
        FatalError: no transport name.
    """
    transport, _, own_nexthop = value.partition(":")
    if not transport:
        raise FatalError(f'missing transport name in "{value}"')
    return transport, own_nexthop or nexthop


class PassOnClient:
    """Client of another delivery agent; class D."""

    def __init__(self, settings: IpcSettings) -> None:
        self._timeout = settings.timeout
        self._options_name = settings.options_name

    async def pass_on(
        self, transport: str, nexthop: str, request: DeliveryRequest, recipient: Recipient, shown: str = ""
    ) -> PassedOn:
        """Pass `recipient` of `request` to the agent behind `transport`.

        Args:
            shown: its address as the log shows it, if that differs.

        Raises:
            FatalError: the agent's socket cannot be connected to.
        """
        log.info(f"{request.queue_id}: passing <{shown or recipient.address}> to transport={transport}")
        path = f"private/{transport}"
        name = f"{path} socket"
        channel = await self._connect(path, name)
        try:
            try:
                await channel.receive(PROTOCOL)
            except ListError as broken:
                if not broken.empty:
                    log.warning(f"{name}: malformed response")
                    return PassedOn(False, _UNAVAILABLE)
            copy = replace(request, nexthop=nexthop, recipients=(recipient,))
            try:
                await channel.send(encode_request(copy, self._options_name))
            except OSError as failure:
                log.warning(f"{name}: bad write: {error_text(failure.errno)}")
                return PassedOn(False, _UNAVAILABLE)
            try:
                reply = decode_reply(await channel.receive(REPLY))
            except ListError:
                log.warning(f"{name}: malformed response")
                return PassedOn(False, _UNKNOWN_ERROR)
            return PassedOn(reply.all_final)
        finally:
            channel.close()

    async def _connect(self, path: str, name: str) -> Channel:
        attempt = 1
        while True:
            try:
                return await Channel.connect(path, name, self._timeout)
            except OSError as failure:
                text = f"connect #{attempt} to subsystem {path}: {error_text(failure.errno)}"
                if attempt >= kept.CONNECT_ATTEMPTS:
                    raise FatalError(text) from None
                log.warning(text)
                attempt += 1
                await asyncio.sleep(kept.CONNECT_PAUSE)
