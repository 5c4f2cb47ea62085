"""One connection of a scripted server: its transcript, and input and output in lockstep with the client."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any

from compat.sidebyside import certificates, client_hello
from compat.sidebyside.observations import Entry, Observations

_READ = 262144
_SEND_TIMEOUT = 10.0
_IN_FLIGHT_PATIENCE = 2.0


class Hangup(Exception):
    """The connection is over."""


class Connection:
    """What the client writes, grouped by what it wrote before it waited; replies go out when it waits.

    Attributes:
        script: the transcript.
        buffer: what was received and not used yet.
        eof: the client has closed.
        tls: after a handshake.
    """

    def __init__(
        self, observations: Observations, connected: socket.socket, peer: Any, *, in_one_write: bool = True
    ) -> None:
        self.observations = observations
        self.socket = connected
        self.script: list[Entry] = []
        self.buffer = b""
        self.group = b""
        self.replies: list[bytes] = []
        self.eof = False
        self.tls: ssl.SSLObject | None = None
        self._in_one_write = in_one_write
        self._closing_noted = False
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._loop = asyncio.get_running_loop()
        self._ports: tuple[str, str] | None = None
        if connected.family != socket.AF_UNIX:
            self._ports = (f":{peer[1]:04X}", f":{connected.getsockname()[1]:04X}")

    # The transcript

    def note(self, kind: str, data: bytes | str = b"") -> None:
        """Add to the transcript, unless the scenario has ended."""
        if not self.observations.ended:
            self.script.append((kind, data))

    def end_group(self, *, waiting: bool) -> None:
        """What the client wrote up to now is one group."""
        if self.group:
            if self.group.startswith(b"\x16\x03"):
                self.note("T", f"in plaintext: {client_hello.describe(self.group, {})}")
            else:
                self.note("C", self.group)
            self.group = b""
        if waiting and self.script and self.script[-1][0] in "CT":
            self.note("~")

    # Input

    def _feed(self, octets: bytes) -> None:
        self.observations.bump()
        if not octets:
            self._at_eof()
        elif self.tls is not None:
            self._incoming.write(octets)
            self._decrypt(self.tls)
        else:
            self.group += octets
            self.buffer += octets

    def _at_eof(self) -> None:
        # whether RST or FIN came is the kernel's race, not the client's word
        if not self.eof:
            self.eof = True
            self.end_group(waiting=False)
            self.note("*", "EOF")

    def _decrypt(self, tls: ssl.SSLObject) -> None:
        while True:
            try:
                part = tls.read(65536)
            except ssl.SSLWantReadError:
                break
            except (ssl.SSLZeroReturnError, ssl.SSLSyscallError):
                part = b""
            except ssl.SSLError as failure:
                self.end_group(waiting=False)
                self.note("*", f"TLS read error {failure.reason}")
                self.eof = True
                break
            if not part:
                if not self._closing_noted:
                    self._closing_noted = True
                    self.end_group(waiting=False)
                    self.note("*", "close_notify")
                break
            self.group += part
            self.buffer += part
        octets = self._outgoing.read()
        if octets:
            with contextlib.suppress(OSError):
                self.socket.send(octets)

    def _read_what_is_there(self) -> bool:
        try:
            octets = self.socket.recv(_READ)
        except BlockingIOError:
            return False
        except ConnectionError:
            self._at_eof()
            return True
        self._feed(octets)
        return True

    async def _receive(self) -> bytes:
        self.observations.pending -= 1
        try:
            return await self._loop.sock_recv(self.socket, _READ)
        except ConnectionError:
            return b""
        finally:
            self.observations.pending += 1

    async def receive(self) -> None:
        """Wait for more input."""
        self._feed(await self._receive())

    async def settle(self) -> None:
        """Read on until the client waits for us."""
        nap = 0.001
        patience = time.monotonic() + _IN_FLIGHT_PATIENCE
        while not self.eof:
            if self._read_what_is_there():
                nap = 0.001
                continue
            if (
                await self.observations.is_quiet()
                and (not self._in_flight() or time.monotonic() > patience)
                and not self._input_waits()
            ):
                break
            await asyncio.sleep(nap)
            nap = min(nap * 1.5, 0.01)
        self.end_group(waiting=not self.eof)

    def _in_flight(self) -> int:
        """Octets that the client wrote and its kernel still holds.

        Nagle's algorithm keeps a small segment back until the one before is acknowledged, and we would acknowledge
        that one late (40 ms).
        """
        if self._ports is None:
            return 0
        table = "/proc/net/tcp6" if self.socket.family == socket.AF_INET6 else "/proc/net/tcp"
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            with open(table) as rows:
                next(rows)
                for row in rows:
                    _, local, remote, _, queues, *_ = row.split()
                    if local.endswith(self._ports[0]) and remote.endswith(self._ports[1]):
                        octets = int(queues.partition(":")[0], 16)
                        if octets:
                            return octets
        return 0

    def _input_waits(self) -> bool:
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    async def line(self) -> bytes | None:
        """The next line, without its end; None: the client has closed."""
        while b"\n" not in self.buffer:
            if self.eof:
                return None
            await self.flush()
            if b"\n" in self.buffer:
                break
            if self.eof:
                return None
            await self.receive()
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.rstrip(b"\r")

    # Output

    async def flush(self) -> None:
        """Send the replies, once the client waits."""
        if not self.replies:
            return
        await self.settle()
        pieces = [b"".join(self.replies)] if self._in_one_write else self.replies
        self.replies = []
        for octets in pieces:
            await self.send(octets)
            if len(pieces) > 1:
                await self.observations.quiet()

    async def send(self, octets: bytes) -> None:
        """Send at once.

        Raises:
            Hangup: nobody reads.
        """
        if self.eof:
            return
        self.note("S", octets)
        self.observations.bump()
        try:
            if self.tls is not None:
                self.tls.write(octets)
                octets = self._outgoing.read()
            await asyncio.wait_for(self._loop.sock_sendall(self.socket, octets), _SEND_TIMEOUT)
        except TimeoutError:
            self.note("*", "client does not read")
            raise Hangup from None
        except (OSError, ssl.SSLError):
            self.note("*", "client is gone")
            raise Hangup from None

    def close(self, *, notify: bool = True) -> None:
        """Close the connection, with TLS's farewell if there is TLS and `notify` is set."""
        with contextlib.suppress(OSError):
            if self.tls is not None and notify:
                with contextlib.suppress(ssl.SSLError):
                    self.tls.unwrap()
                octets = self._outgoing.read()
                if octets:
                    self.socket.send(octets)
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    # TLS

    async def handshake(self, context: ssl.SSLContext, tls: Mapping[str, Any]) -> None:
        """Be the server of a TLS handshake, and note how it went.

        Raises:
            Hangup: it failed.
        """
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        attempt = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        received = b""
        while True:
            try:
                attempt.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._send_handshake()
                octets = await self._receive()
                self.observations.bump()
                if not octets:
                    self.note("T", client_hello.describe(received, tls))
                    self.note("T", "EOF during the handshake")
                    self.eof = True
                    return
                received += octets
                self._incoming.write(octets)
            except ssl.SSLError as failure:
                self.note("T", client_hello.describe(received, tls))
                self.note("T", f"handshake failed: {failure.reason}")
                with contextlib.suppress(OSError):
                    await self._send_handshake()
                self.close(notify=False)
                raise Hangup from None
        self.note("T", client_hello.describe(received, tls))
        certificate = attempt.getpeercert(True)
        name = certificates.subject(certificate) if certificate else "none"
        cipher = attempt.cipher()
        self.note(
            "T",
            f"handshake ok: {attempt.version()} {cipher[0] if cipher else None} "
            f"resumed={attempt.session_reused} client-cert={name}",
        )
        self.tls = attempt
        # what already arrived after the STARTTLS command belongs to an attacker, not to TLS
        self.buffer = self.group = b""
        with contextlib.suppress(OSError):
            await self._send_handshake()
        self._decrypt(attempt)

    async def _send_handshake(self) -> None:
        octets = self._outgoing.read()
        if octets:
            await self._loop.sock_sendall(self.socket, octets)
