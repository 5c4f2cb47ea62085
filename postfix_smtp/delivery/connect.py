"""Connecting to one address (delivery chapter 8)."""

import asyncio
import errno
import os
import socket
from dataclasses import dataclass

from postfix_smtp import log
from postfix_smtp.config.access import Parameters
from postfix_smtp.errors import FatalError
from postfix_smtp.routing import names
from postfix_smtp.smtp.failure import Failure, local_failure
from postfix_smtp.smtp.peer import Peer

MAX_UNIX_PATH = 108


@dataclass(frozen=True, slots=True)
class ConnectSettings:
    """What connecting needs from main.cf.

    Attributes:
        timeout: seconds, 0: the system's limit.
        bind_ipv4, bind_ipv6: source addresses, empty: chosen by `own_addresses`.
        window_size: socket buffers in octets, 0: the system's.
    """

    timeout: int
    bind_ipv4: str
    bind_ipv6: str
    bind_ipv4_name: str
    bind_ipv6_name: str
    enforce_bind: bool
    window_size: int

    @classmethod
    def from_parameters(cls, p: Parameters) -> "ConnectSettings":
        """Read the parameters."""
        return cls(
            timeout=p.seconds("smtp_connect_timeout"),
            bind_ipv4=p.text("smtp_bind_address"),
            bind_ipv6=p.text("smtp_bind_address6"),
            bind_ipv4_name=p.spelling("smtp_bind_address"),
            bind_ipv6_name=p.spelling("smtp_bind_address6"),
            enforce_bind=p.flag("smtp_bind_address_enforce"),
            window_size=p.number("tcp_windowsize"),
        )


class ConnectError(Exception):
    """No connection; `failure` says why, what had to be logged has been logged."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.dsn.reason)
        self.failure = failure


class Connector:
    """Makes connected, non-blocking sockets.

    Args:
        own_ipv4, own_ipv6: addresses of ``inet_interfaces`` of each family: with exactly one that is not loopback,
            connections are made from it.
    """

    def __init__(self, settings: ConnectSettings, own_ipv4: tuple[str, ...], own_ipv6: tuple[str, ...]) -> None:
        self._settings = settings
        self._only_ipv4 = _only(own_ipv4)
        self._only_ipv6 = _only(own_ipv6)

    async def connect(self, peer: Peer) -> socket.socket:
        """Connect to a server.

        Raises:
            ConnectError: refused, timed out, no usable source address...
            FatalError: the configured source address is malformed.
        """
        if peer.is_local_socket:
            return await self._connect_local(peer)
        is_ipv6 = ":" in peer.address
        sock = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if not is_ipv6:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._settings.window_size > 0:
                for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                    sock.setsockopt(socket.SOL_SOCKET, option, self._settings.window_size)
            self._bind(sock, is_ipv6)
            await self._finish(sock, (peer.address, peer.port), f"connect to {peer.endpoint}")
        except BaseException:
            sock.close()
            raise
        return sock

    async def _connect_local(self, peer: Peer) -> socket.socket:
        if len(os.fsencode(peer.address)) >= MAX_UNIX_PATH:
            log.warning(f"unix-domain name too long: {peer.address}")
            raise ConnectError(local_failure("4.3.5", "Server configuration error"))
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            # an empty path is a field of NULs to Postfix: a name that nobody listens at
            path = peer.address or "\0" * MAX_UNIX_PATH
            await self._finish(sock, path, f"connect to {peer.host}", report=False)
        except BaseException:
            sock.close()
            raise
        return sock

    async def _finish(
        self, sock: socket.socket, address: str | tuple[str, int], what: str, *, report: bool = True
    ) -> None:
        try:
            async with asyncio.timeout(self._settings.timeout or None):
                await asyncio.get_running_loop().sock_connect(sock, address)
        except OSError as error:
            why = "Connection timed out" if isinstance(error, TimeoutError) else os.strerror(error.errno or 0)
            reason = f"{what}: {why}"
            if report:
                log.info(reason)
            raise ConnectError(local_failure("4.4.1", reason, throttle=True)) from None

    def _bind(self, sock: socket.socket, is_ipv6: bool) -> None:
        settings = self._settings
        configured = settings.bind_ipv6 if is_ipv6 else settings.bind_ipv4
        if not configured:
            only = self._only_ipv6 if is_ipv6 else self._only_ipv4
            if only:
                _try_bind(sock, only)
            return
        name = settings.bind_ipv6_name if is_ipv6 else settings.bind_ipv4_name
        address = _numeric(name, configured)
        if not _try_bind(sock, address) and settings.enforce_bind:
            log.info("server configuration error")
            raise ConnectError(local_failure("4.4.0", "server configuration error", throttle=True))


def _numeric(name: str, value: str) -> str:
    address = value
    if value.startswith("["):
        if not value.endswith("]"):
            raise FatalError(f"smtp_connect_addr: malformed {name} parameter: {value}")
        address = value[1:-1]
    if names.numeric_address(address) is None:
        raise FatalError(f"smtp_connect_addr: bad {name} parameter: {address}: Name or service not known")
    return address


def _try_bind(sock: socket.socket, address: str) -> bool:
    try:
        if (sock.family == socket.AF_INET6) != (":" in address):
            # what the kernel says to an address of the other family: too short, or a family it does not know
            raise OSError(errno.EAFNOSUPPORT if ":" in address else errno.EINVAL, "")
        sock.bind((address, 0))
    except OSError as error:
        log.warning(f"smtp_connect_addr: bind {address}: {os.strerror(error.errno or 0)}")
        return False
    return True


def _only(addresses: tuple[str, ...]) -> str:
    """The single address that is not loopback, else empty."""
    if len(addresses) != 1 or addresses[0].startswith("127.") or addresses[0] == "::1":
        return ""
    return addresses[0]
