"""CPU of handshakes and of encrypted data, client side, in memory, beside what the library alone costs.

Run: ``python -m compat.bench.tls [seconds]``
"""

import asyncio
import contextlib
import gc
import ssl
import sys
import time
from collections.abc import Callable
from typing import Any

from compat.certificates import self_signed, server_context
from postfix_smtp.config.configuration import Configuration
from postfix_smtp.config.installation import Installation
from postfix_smtp.ipc.tlsmgr import SessionPolicy
from postfix_smtp.smtp.actions import ConnectionLost
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.tls.callbacks import Callbacks
from postfix_smtp.tls.engine import Engine
from postfix_smtp.tls.established import Established
from postfix_smtp.tls.levels import Level
from postfix_smtp.tls.policy import Policy, Server
from postfix_smtp.tls.settings import EngineSettings
from postfix_smtp.tls.starter import Starter

PEER = Peer("server.example", "192.0.2.1", 25)
SERVER = Server("[server.example]", "server.example", PEER.name, PEER.port)
CHUNK = 1 << 18


class Manager:
    """tlsmgr(8) at start-up."""

    def seed(self, size: int) -> bytes:
        """Something."""
        return bytes(size)

    def policy(self, _: str) -> SessionPolicy:
        """Sessions are cached."""
        return SessionPolicy(True, 3600)


class Sessions:
    """tlsmgr(8) in operation."""

    type = "smtp"

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    async def find(self, name: str) -> bytes | None:
        """A kept session."""
        return self._kept.get(name)

    def save(self, name: str, session: bytes) -> None:
        """Keep a session."""
        self._kept[name] = session

    async def remove(self, name: str) -> None:
        """Forget a session."""
        self._kept.pop(name, None)


class MemoryServer:
    """The other side. Its CPU time is counted apart."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_side=True)
        self.seconds = 0.0
        self.error = 0
        self.layer: Any = None

    def take(self, octets: bytes) -> bytes:
        """One flight of the handshake."""
        started = time.process_time()
        self._in.write(octets)
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        reply = self._out.read()
        self.seconds += time.process_time() - started
        return reply

    async def start_tls(self, layer: Any) -> None:
        """What a starter asks of a stream."""
        while not layer.handshake():
            reply = self.take(layer.output())
            if not reply:
                raise ConnectionLost
            layer.feed(reply)
        layer.feed(self.take(layer.output()) or b"")
        self.layer = layer

    def greet(self) -> None:
        """Application data, and the tickets before it."""
        started = time.process_time()
        self.tls.write(b"250 ok\r\n")
        reply = self._out.read()
        self.seconds += time.process_time() - started
        self.layer.feed(reply)
        self.layer.decrypt()


def engine(loglevel: str) -> Engine:
    """An engine with Postfix's defaults."""
    configuration = Configuration("/etc/postfix", "smtp", Installation.of({"mail_version": "3.7.11"}))
    configuration.set_service("smtp")
    configuration.evaluate_global()
    configuration.override(f"smtp_tls_loglevel = {loglevel}")
    configuration.evaluate_program()
    configuration.evaluate_tls_library()
    manager: Any = Manager()
    return Engine(EngineSettings.from_parameters(configuration), manager)


def handshakes(client: Engine, context: ssl.SSLContext, seconds: float, sessions: Any) -> float:
    """Client's seconds of CPU for one handshake and the first reply."""
    callbacks = Callbacks(progress=False)
    client.add_hook(callbacks.install)
    policy = Policy(Level.ENCRYPT, ">=TLSv1", "medium", "eNULL")

    async def run() -> float:
        count, others = 0, 0.0
        started = time.process_time()
        while (spent := time.process_time() - started) < seconds:
            server: Any = MemoryServer(context)
            starter = Starter(client, callbacks, sessions, policy, SERVER, PEER)
            info = await starter.start(server, "server.example")
            assert isinstance(info, Established)
            server.greet()
            server.layer.shutdown()
            others += server.seconds
            count += 1
        return (spent - others) / count

    return asyncio.run(run())


def library_alone(context: ssl.SSLContext, seconds: float) -> float:
    """The same handshakes by pyOpenSSL and nothing else."""
    from OpenSSL import SSL

    client = SSL.Context(SSL.TLS_METHOD)
    client.set_cipher_list(b"aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH:@SECLEVEL=0")
    count, others = 0, 0.0
    started = time.process_time()
    while (spent := time.process_time() - started) < seconds:
        server = MemoryServer(context)
        connection = SSL.Connection(client, None)
        connection.set_connect_state()
        done = False
        while not done:
            try:
                connection.do_handshake()
                done = True
            except SSL.WantReadError:
                pass
            reply = server.take(connection.bio_read(65536))
            if reply:
                connection.bio_write(reply)
        others += server.seconds
        count += 1
    return (spent - others) / count


def throughput(client: Engine, context: ssl.SSLContext, seconds: float) -> float:
    """Megabytes of content a CPU second turns into records."""
    server: Any = MemoryServer(context)
    callbacks = Callbacks(progress=False)
    starter = Starter(client, callbacks, None, Policy(Level.ENCRYPT, ">=TLSv1", "medium", "eNULL"), SERVER, PEER)
    asyncio.run(starter.start(server, "server.example"))
    chunk = memoryview(bytes(CHUNK))
    count = 0
    started = time.process_time()
    while (spent := time.process_time() - started) < seconds:
        server.layer.encrypt(chunk)
        server.layer.output()
        count += 1
    return count * CHUNK / spent / 1e6


def main() -> None:
    """Print the figures."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    context = server_context(*self_signed("server.example"))
    rows: list[tuple[str, Callable[[], float]]] = [
        ("library alone, full handshake", lambda: library_alone(context, seconds)),
        ("loglevel 0, full handshake", lambda: handshakes(engine("0"), context, seconds, None)),
        ("loglevel 1, full handshake", lambda: handshakes(engine("1"), context, seconds, None)),
        ("loglevel 1, resumed", lambda: handshakes(engine("1"), context, seconds, Sessions())),
    ]
    for title, measure in rows:
        gc.collect()
        print(f"{title:32} {measure() * 1e3:6.3f} ms CPU")
    print(f"{'data':32} {throughput(engine('0'), context, seconds):6.0f} MB a CPU second")


if __name__ == "__main__":
    main()
