"""What is reported about a TLS session to the domain's owner (TLSRPT, RFC 8460; TLS chapter 8.2)."""

from typing import Protocol

from postfix_smtp.delivery.session import Session
from postfix_smtp.smtp.context import StartTls, TlsInfo
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.tls.policy import Policy


class SessionReport(Protocol):
    """The report on one session; at most one event is sent."""

    def begin(self, session: Session) -> None:
        """The session that the report is about is going to shake hands."""

    def unusable(self, kind: str) -> None:
        """No record of a kind (``TLSA records``, ``fingerprints``, ``trust anchors``) is usable."""

    def handshake_failed(self) -> None:
        """The handshake was broken off."""

    def verification_failed(self, error: int, text: str, info: TlsInfo) -> None:
        """The certificate has an error; `text` is the library's."""

    def external_failure(self, failure: str, info: TlsInfo) -> None:
        """The policy came with a failure."""

    def ended(self, start: StartTls, info: TlsInfo | None, *, accepted: bool) -> None:
        """The handshake with the server is over.

        Args:
            start: what became of TLS.
            accepted: mail can be sent.
        """


class Report(Protocol):
    """Whom to report to for one destination."""

    def session(self, policy: Policy, peer: Peer) -> SessionReport:
        """The report on a session that is about to begin."""


class Reporting(Protocol):
    """Finds out which destinations want reports."""

    async def find(self, domain: str) -> Report | None:
        """Whom to report to; None: nobody.

        Args:
            domain: without brackets and port.
        """
