"""What is known of an established TLS session."""

from dataclasses import dataclass

from postfix_smtp.smtp.peer import Peer
from postfix_smtp.tls import summary
from postfix_smtp.tls.levels import Level


@dataclass(frozen=True, slots=True)
class Established:
    """A TLS session; implements :class:`postfix_smtp.smtp.context.TlsInfo`.

    Attributes:
        level: after any fallback.
        resumed: a session of an earlier connection was resumed.
        is_logged: the log tells about this session, so it also tells when the connection is used again.
    """

    level: Level
    is_present: bool
    is_trusted: bool
    is_matched: bool
    connection: summary.Connection
    version: tuple[int, ...]
    is_logged: bool = True

    @property
    def must_match(self) -> bool:
        """The certificate has to match."""
        return self.level.must_match

    @property
    def resumed(self) -> bool:
        """The handshake was a short one."""
        return self.connection.resumed

    @property
    def status(self) -> str:
        """One word for the log."""
        if not self.is_present:
            return "Anonymous"
        if self.is_matched and self.level is not Level.HALFDANE:
            return "Verified"
        return "Trusted" if self.is_trusted else "Untrusted"

    def line(self, usage: str, peer: Peer) -> str:
        """The summary line; `usage` is ``established`` or ``reused``."""
        return summary.line(self.status, usage, peer.endpoint, self.connection, self.version)
