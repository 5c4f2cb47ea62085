"""Records for the services bounce, defer and trace (ipc chapter 5).

All three are bounce(8) under different names: the name is the directory of the log file that gets the record.
"""

from typing import Final

from postfix_smtp.dsn import Dsn
from postfix_smtp.ipc.attributes import announcement, encode, int32, int64
from postfix_smtp.ipc.request import DeliveryRequest, Notify, Recipient
from postfix_smtp.ipc.settings import IpcSettings
from postfix_smtp.ipc.single import exchange

ANNOUNCEMENT: Final = announcement("delivery_status_protocol")


def append_request(request: DeliveryRequest, recipient: Recipient, dsn: Dsn, action: str, notify: Notify) -> bytes:
    """The list that adds one record."""
    return encode(
        (
            ("nrequest", "0"),
            ("flags", int32(request.trace_flags)),
            ("queue_id", request.queue_id),
            ("original_recipient", recipient.original),
            ("recipient", recipient.address),
            ("offset", int64(recipient.offset)),
            ("dsn_orig_rcpt", recipient.dsn_original),
            ("notify_flags", int32(notify)),
            ("status", dsn.status),
            ("diag_type", dsn.diag_type),
            ("diag_text", dsn.diag_text),
            ("mta_type", dsn.mta_type),
            ("mta_mname", dsn.mta_name),
            ("action", action),
            ("reason", dsn.reason),
        )
    )


class BounceClient:
    """Client of bounce, defer and trace."""

    def __init__(self, settings: IpcSettings) -> None:
        self._timeout = settings.timeout

    async def append(
        self, service: str, request: DeliveryRequest, recipient: Recipient, dsn: Dsn, action: str, notify: Notify
    ) -> bool:
        """Add one record about one recipient; whether it is recorded.

        A failure to talk to the service has been logged; "defer service failure" and the like are the caller's to log.

        Args:
            service: configured service name, such as :attr:`IpcSettings.bounce`.
            request: the request that the recipient belongs to.
            recipient: as in the request.
            dsn: what happened; `reason` is the text of the log line, for trace with ``delivery via RELAY: ``.
            action: ``failed``, ``delayed``, ``relayed``, ``delivered``, ``deliverable`` or ``undeliverable``.
            notify: the recipient's, without SUCCESS when the server offered DSN.
        """
        reply = await exchange(
            f"private/{service}", ANNOUNCEMENT, append_request(request, recipient, dsn, action, notify), self._timeout
        )
        return reply is not None and reply[0] == 0
