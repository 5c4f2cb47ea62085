"""Sessions that travel between processes, through scache(8) (delivery chapter 14, ipc chapter 8).

Only plaintext sessions do: a descriptor can be passed on, the state of a TLS connection cannot. Keys and properties are
those of Postfix's own program, so either finds what the other has saved.
"""

import asyncio
import re
import socket
import sys

from postfix_smtp import log
from postfix_smtp.delivery.pool import Kept
from postfix_smtp.delivery.session import Session
from postfix_smtp.delivery.stream import Stream
from postfix_smtp.ipc.attributes import plain_text
from postfix_smtp.ipc.scache import CacheClient, FoundSession
from postfix_smtp.smtp import features
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.smtp.settings import SmtpSettings

_PORT_SINCE = (3, 8)
_HIGHEST_PLAINTEXT_LEVEL = 1
_BEST = features.BEST_MX


class SharedCache:
    """The connection cache service, as the delivery agent uses it.

    Args:
        lifetime: seconds a session is kept there.
        version: of the installed Postfix, which decides the form of the properties.
    """

    def __init__(self, client: CacheClient, settings: SmtpSettings, lifetime: int, version: tuple[int, ...]) -> None:
        self._client = client
        self._settings = settings
        self._lifetime = lifetime
        self._version = version
        self._saving: set[asyncio.Task[bool]] = set()

    async def find_destination(self, key: str, default_port: int) -> Kept | None:
        """A session by next-hop key.

        Args:
            default_port: where the cache does not say (Postfix 3.7) and the connection does not either.
        """
        if self._client.disabled:
            return None
        found = await self._client.find_destination(key)
        if found is None:
            return None
        values = _read(found.destination, ("destination", "host_name", "host_addr"))
        if values is None:
            _refuse(found, "smtp_session_passivate: bad cached dest properties", key)
            return None
        connection = _adopt(found)
        port = 0 if connection.family == socket.AF_UNIX else _peer_port(connection) or default_port
        peer = Peer(values["host_name"], values["host_addr"], port)
        is_best = bool(_number(values.get("destination_features", "0")) & _BEST)
        return self._session(found, connection, peer, key, values["destination"], is_best)

    async def find_endpoint(self, key: str, peer: Peer, destination: str, *, is_best: bool) -> Kept | None:
        """A session by endpoint key; `peer`, `destination` and `is_best` are those of the delivery."""
        if self._client.disabled:
            return None
        found = await self._client.find_endpoint(key)
        return None if found is None else self._session(found, _adopt(found), peer, key, destination, is_best)

    async def save(self, kept: Kept, destination_key: str | None) -> bool:
        """Give a session away; it must not be used any more, whatever the result."""
        session = kept.session
        peer = session.peer
        expires = session.keep_until
        connection = session.stream.detach()
        if connection is None or expires is None or self._client.disabled:
            session.close()
            if connection is not None:
                connection.close()
            return False
        if destination_key is not None:
            properties = [("destination", kept.destination), ("host_name", peer.name), ("host_addr", peer.address)]
            if self._version >= _PORT_SINCE:
                properties.append(("host_port", str(_swapped(peer.port))))
            properties.append(("destination_features", str(_BEST if kept.is_best else 0)))
            await self._client.save_destination(self._lifetime, destination_key, plain_text(properties), kept.endpoint)
        properties = [
            ("tls_level", str(kept.level)),
            ("reuse_count", str(session.reuse_count)),
            ("endpoint_features", str(session.features)),
            ("expire_time", str(int(expires))),
        ]
        return await self._client.save_endpoint(
            self._lifetime, kept.endpoint, plain_text(properties), connection.detach()
        )

    def hand_over(self, kept: Kept, destination_key: str | None) -> None:
        """Like :meth:`save`, in the background; :meth:`settle` waits for it."""
        task = asyncio.get_running_loop().create_task(self.save(kept, destination_key))
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)

    async def settle(self) -> None:
        """Wait until everything that was handed over has arrived, then close the connection to the service."""
        if self._saving:
            await asyncio.wait(self._saving)
        self._client.close()

    def _session(
        self, found: FoundSession, connection: socket.socket, peer: Peer, key: str, destination: str, is_best: bool
    ) -> Kept | None:
        wanted = ("tls_level", "reuse_count", "endpoint_features", "expire_time")
        values = _read(found.endpoint, wanted)
        if values is None or not all(values[name].lstrip("-").isdigit() for name in wanted):
            connection.close()
            log.warning("smtp_session_activate: bad cached endp properties")
            log.warning(f"smtp_reuse_common: bad cached session attribute for {key}")
            return None
        level = int(values["tls_level"])
        if level > _HIGHEST_PLAINTEXT_LEVEL or _has_more(found.endpoint):
            # A session behind tlsproxy(8): its TLS is not ours to judge
            connection.close()
            return None
        session = Session(
            Stream(connection),
            peer,
            self._settings,
            keep_until=float(values["expire_time"]),
            reuse_count=int(values["reuse_count"]),
            features=int(values["endpoint_features"]),
        )
        return Kept(session, destination, is_best, key, level)


def _adopt(found: FoundSession) -> socket.socket:
    connection = socket.socket(fileno=found.descriptor)
    connection.setblocking(False)
    return connection


def _peer_port(connection: socket.socket) -> int:
    try:
        return int(connection.getpeername()[1])
    except (OSError, IndexError, TypeError):
        return 0


def _refuse(found: FoundSession, problem: str, key: str) -> None:
    _adopt(found).close()
    log.warning(problem)
    log.warning(f"smtp_reuse_common: bad cached session attribute for {key}")


def _read(text: str, wanted: tuple[str, ...]) -> dict[str, str] | None:
    """The attributes of a property, up to its empty line; None if one is missing. Unknown ones are accepted."""
    values: dict[str, str] = {}
    for line in text.partition("\n\n")[0].split("\n"):
        name, equals, value = line.partition("=")
        if equals:
            values.setdefault(name, value)
    return values if all(name in values for name in wanted) else None


def _has_more(text: str) -> bool:
    return bool(re.search(r"\n\n.", text, re.DOTALL))


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _swapped(port: int) -> int:
    """The port in network byte order, read as a native integer: that is what is stored (ipc chapter 8.4)."""
    return int.from_bytes(port.to_bytes(2, "big"), sys.byteorder)
