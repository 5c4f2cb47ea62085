"""Who is at the other end of a connection."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Peer:
    """A server, as log lines name it.

    Attributes:
        name: host name; the address itself for a numeric destination; ``$myhostname`` for a UNIX-domain socket.
        address: printable address without brackets, or the path of a UNIX-domain socket.
        port: TCP port, 0 for a UNIX-domain socket.
    """

    name: str
    address: str
    port: int

    @property
    def host(self) -> str:
        """``host[address]``."""
        return f"{self.name}[{self.address}]"

    @property
    def endpoint(self) -> str:
        """``host[address]:port``, without port for a UNIX-domain socket."""
        return f"{self.name}[{self.address}]:{self.port}" if self.port else self.host

    @property
    def is_local_socket(self) -> bool:
        """UNIX-domain."""
        return self.port == 0
