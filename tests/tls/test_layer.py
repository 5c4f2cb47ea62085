"""The layer below a stream (delivery chapter on streams; TLS chapter 5.6, 5.10)."""

import asyncio
import ssl
from typing import Any

import pytest
from tls_support import TlsServer, engine, policy, server_context, shake_hands

from postfix_smtp.delivery.stream import TlsFailure
from postfix_smtp.tls.levels import Level


@pytest.fixture
def connected() -> tuple[Any, TlsServer]:
    """A layer and its server, established."""
    server = TlsServer(server_context("mx-ec.chain.pem", "leaf-ec.key.pem"))
    info, stream = asyncio.run(shake_hands(engine(), policy(Level.MAY), server.exchange))
    assert info is not None
    return stream.layer, server


@pytest.mark.parametrize("size", [1, 16384, 16385, 1_000_000])
def test_data_of_any_size_arrives(connected: tuple[Any, TlsServer], size: int) -> None:
    layer, server = connected
    data = bytes(range(256)) * (size // 256 + 1)
    layer.encrypt(memoryview(data)[:size])
    server.incoming.write(layer.output())
    got = b""
    while len(got) < size:
        got += server.tls.read(65536)
    assert got == data[:size]


def test_data_of_any_size_is_read(connected: tuple[Any, TlsServer]) -> None:
    layer, server = connected
    server.tls.write(b"x" * 100_000)
    layer.feed(server.outgoing.read())
    got = b""
    while octets := layer.decrypt():
        got += octets
    assert got == b"x" * 100_000
    assert not layer.is_closed


def test_closing_alert_ends_the_session(connected: tuple[Any, TlsServer]) -> None:
    layer, server = connected
    with pytest.raises(ssl.SSLWantReadError):
        server.tls.unwrap()
    layer.feed(server.outgoing.read())
    assert layer.decrypt() == b""
    assert layer.is_closed


def test_end_of_file_without_alert_ends_the_session(connected: tuple[Any, TlsServer]) -> None:
    layer, _ = connected
    layer.feed(b"")
    assert layer.decrypt() == b""
    assert layer.is_closed


def test_bad_record_is_logged_and_fails(connected: tuple[Any, TlsServer], logged: list[str]) -> None:
    layer, server = connected
    server.tls.write(b"250 ok\r\n")
    octets = bytearray(server.outgoing.read())
    octets[-1] ^= 1
    layer.feed(bytes(octets))
    with pytest.raises(TlsFailure):
        layer.decrypt()
    assert logged
    assert all(line.startswith("warning: TLS library problem: error:0A") for line in logged)


def test_shutdown_sends_one_alert(connected: tuple[Any, TlsServer]) -> None:
    layer, server = connected
    layer.shutdown()
    server.incoming.write(layer.output())
    assert server.tls.read(10) == b""
