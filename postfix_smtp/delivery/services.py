"""The services that results are reported to, as the report sees them; tests put recorders in their place."""

from typing import Protocol

from postfix_smtp.dsn import Dsn
from postfix_smtp.ipc.request import DeliveryRequest, Notify, Recipient


class BounceService(Protocol):
    """bounce, defer and trace."""

    async def append(
        self, service: str, request: DeliveryRequest, recipient: Recipient, dsn: Dsn, action: str, notify: Notify
    ) -> bool:
        """Add one record; whether it is recorded."""


class VerifyService(Protocol):
    """verify(8)."""

    async def update(self, address: str, status: int, reason: str) -> bool:
        """Store the result of a probe."""


class FlushService(Protocol):
    """flush(8)."""

    async def add(self, site: str, queue_id: str) -> bool:
        """Note that a message waits for a domain."""


class QueueMarks(Protocol):
    """What the report does to the queue file."""

    def mark_done(self, offset: int) -> None:
        """Cross off one recipient."""

    def mark_corrupt(self) -> None:
        """Make the file unusable for the queue manager."""
