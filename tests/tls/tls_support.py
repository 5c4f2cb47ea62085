"""An engine and a server for handshakes in memory."""

import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tls_vectors import PKI

from postfix_smtp.delivery.stream import TlsLayer
from postfix_smtp.ipc.tlsmgr import SessionPolicy
from postfix_smtp.smtp.actions import ConnectionLost
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.tls.callbacks import Callbacks
from postfix_smtp.tls.engine import Engine
from postfix_smtp.tls.established import Established
from postfix_smtp.tls.levels import Level
from postfix_smtp.tls.loglevel import LogFeature
from postfix_smtp.tls.policy import Policy, Server
from postfix_smtp.tls.settings import EngineSettings
from postfix_smtp.tls.starter import Starter

PEER = Peer("mx.example.com", "127.0.0.1", 25)

SETTINGS = EngineSettings(
    cache_type="smtp",
    service="smtp",
    version=(3, 7, 11),
    loglevel="0",
    loglevel_title="smtp_tls_loglevel",
    verify_depth=9,
    fingerprint_digest="sha256",
    ca_file="",
    ca_path="",
    chain_files="",
    key_pairs=(),
    random_bytes=32,
    append_default_ca=False,
    dane_digests="sha512 sha256",
    disable_workarounds="",
    ssl_options="",
    cipher_lists={
        "high": "aNULL:-aNULL:HIGH:@STRENGTH",
        "medium": "aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH",
        "low": "aNULL:-aNULL:HIGH:MEDIUM:LOW:+RC4:@STRENGTH",
        "export": "aNULL:-aNULL:HIGH:MEDIUM:LOW:EXPORT:+RC4:@STRENGTH",
        "null": "eNULL:!aNULL",
    },
    curves="X25519 X448 prime256v1 secp521r1 secp384r1",
    groups="",
    config_file="default",
    config_name="",
    legacy_fingerprints=False,
    fast_shutdown=True,
    handshake_seconds=300,
)


class Manager:
    """tlsmgr at start-up."""

    def __init__(self, *, cachable: bool = False, entropy: bool = True) -> None:
        self.cachable, self.entropy = cachable, entropy

    def seed(self, size: int) -> bytes | None:
        return bytes(size) if self.entropy else None

    def policy(self, _: str) -> SessionPolicy:
        return SessionPolicy(self.cachable, 3600)


class Cache:
    """tlsmgr's session cache."""

    type = "smtp"

    def __init__(self) -> None:
        self.sessions: dict[str, bytes] = {}

    async def find(self, name: str) -> bytes | None:
        return self.sessions.get(name)

    def save(self, name: str, session: bytes) -> None:
        self.sessions[name] = session

    async def remove(self, name: str) -> None:
        self.sessions.pop(name, None)


def engine(**changes: Any) -> Engine:
    """An engine with these settings over the defaults; ``manager`` replaces tlsmgr."""
    manager = changes.pop("manager", Manager())
    made = Engine(replace(SETTINGS, **changes), manager)
    callbacks = Callbacks(progress=made.logs(LogFeature.SSL_DEBUG))
    made.add_hook(callbacks.install)
    made.test_callbacks = callbacks  # type: ignore[attr-defined]
    return made


class TlsServer:
    """One server connection in memory."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def exchange(self, octets: bytes) -> bytes:
        """Take what the client sent; what to send back."""
        self.incoming.write(octets)
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            return self.outgoing.read()
        return self.outgoing.read()


class MemoryStream:
    """What a starter needs of a stream; `answer` is the other side."""

    error = 0

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.answer = answer
        self.layer: Any = None
        self.sent: list[bytes] = []

    async def start_tls(self, layer: TlsLayer) -> None:
        for _ in range(50):
            try:
                done = layer.handshake()
            finally:
                octets = layer.output()
                if octets:
                    self.sent.append(octets)
            reply = self.answer(octets)
            if done:
                self.layer = layer
                if reply:
                    layer.feed(reply)
                return
            layer.feed(reply)
            if not reply:
                layer.handshake()
                raise ConnectionLost
        raise AssertionError("endless handshake")


def server_context(chain: str, key: str) -> ssl.SSLContext:
    """A server with a certificate of the test PKI."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(PKI / chain, PKI / key)
    return context


def policy(level: Level, **values: Any) -> Policy:
    """A policy with usual settings."""
    exclude = {Level.MAY: "", Level.ENCRYPT: "eNULL"}.get(level, "aNULL")
    return Policy(level, **{"protocols": ">=TLSv1", "ciphers": "medium", "exclude": exclude, **values})


async def shake_hands(
    client: Engine,
    wanted: Policy,
    answer: Callable[[bytes], bytes],
    *,
    cache: Any = None,
    peer: Peer = PEER,
    nexthop: str = "example.com",
    server_name: str = "mx.example.com",
) -> tuple[Established | None, MemoryStream]:
    """One handshake."""
    stream = MemoryStream(answer)
    server = Server(f"[{nexthop}]", nexthop, peer.name, peer.port)
    starter = Starter(client, client.test_callbacks, cache, wanted, server, peer)  # type: ignore[attr-defined]
    return await starter.start(stream, server_name), stream  # type: ignore[arg-type]
