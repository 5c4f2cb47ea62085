"""Delivery status: what is told about one recipient or one destination (RFC 3464), as Postfix's daemons exchange it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dsn:
    """Delivery status information.

    Attributes:
        status: enhanced status code (RFC 3463), ``4.4.1``.
        reason: text for the log line and the report, one line.
        diag_type: ``smtp`` when `diag_text` is a server's reply, else empty. Also ``smtp`` in LMTP.
        diag_text: the server's reply, its lines joined by one blank; or empty.
        mta_type: ``dns`` when `mta_name` is set, else empty.
        mta_name: host name of the server that said `diag_text`; or empty.
    """

    status: str
    reason: str
    diag_type: str = ""
    diag_text: str = ""
    mta_type: str = ""
    mta_name: str = ""

    @property
    def is_soft(self) -> bool:
        """Class 4: worth another attempt."""
        return self.status.startswith("4")

    @property
    def is_hard(self) -> bool:
        """Class 5: final."""
        return self.status.startswith("5")
