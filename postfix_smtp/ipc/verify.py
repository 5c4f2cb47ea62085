"""Results of address probes, for verify(8) (ipc chapter 6)."""

from enum import IntEnum
from typing import Final

from postfix_smtp.ipc.attributes import Kind, Layout, announcement, encode, int32
from postfix_smtp.ipc.channel import Channel
from postfix_smtp.ipc.kept import EndlessClient, KeptConnection
from postfix_smtp.ipc.settings import IpcSettings

#: The misspelling is the protocol's.
ANNOUNCEMENT: Final = announcement("address_verification_prrotocol")
_REPLY: Final = Layout(("status", Kind.INT), strict=False)


class AddressStatus(IntEnum):
    """What a probe found out about an address."""

    DELIVERABLE = 0
    SOFT_FAILURE = 1
    HARD_FAILURE = 2


class VerifyClient:
    """Client of verify; class K."""

    def __init__(self, settings: IpcSettings) -> None:
        path = f"private/{settings.verify}"
        self._client = EndlessClient(
            KeptConnection(path, f"{path} socket", ANNOUNCEMENT, settings.timeout, settings.idle, settings.ttl),
            settings.verify,
        )

    async def update(self, address: str, status: int, reason: str) -> bool:
        """Report what is known about `address`; False: not stored, "verify service failure" is to be logged.

        Args:
            address: internal form.
            status: an :class:`AddressStatus`.
            reason: text of the result.

        Raises:
            FatalError: no such service.
        """
        request = encode(
            (
                ("request", "update"),
                ("address", address),
                ("recipient_status", int32(status)),
                ("reason", reason),
            )
        )

        async def conversation(channel: Channel) -> bool:
            await channel.send(request)
            return bool((await channel.receive(_REPLY))[0] == 0)

        return await self._client.talk(conversation)

    def close(self) -> None:
        """Close the kept connection."""
        self._client.close()
