"""Who the server is (TLS chapter 4), with real handshakes in memory."""

import asyncio
import functools
from typing import Any

import pytest
from tls_support import TlsServer, engine, policy, server_context, shake_hands
from tls_vectors import PKI, by_version, load

from postfix_smtp.smtp.peer import Peer
from postfix_smtp.tls.engine import Engine
from postfix_smtp.tls.levels import Level, parse_level


@functools.lru_cache(maxsize=16)
def _engine(ca_file: str, version: tuple[int, ...]) -> Engine:
    return engine(ca_file=str(PKI / ca_file) if ca_file else "", version=version, loglevel="certmatch")


@pytest.mark.parametrize(("case", "version", "expect"), by_version(load("certmatch")["cases"]))
def test_certificate_vectors(
    case: dict[str, Any], version: tuple[int, ...], expect: dict[str, Any], logged: list[str]
) -> None:
    level = parse_level(case["level"])
    assert level is not None
    server = TlsServer(server_context(case["server_chain"], case["server_key"]))
    wanted = policy(level, match=tuple(case.get("match") or ()))
    peer = Peer(case["hostname"], "127.0.0.1", 25)
    client = _engine(case.get("CAfile") or "", version)
    info, _ = asyncio.run(shake_hands(client, wanted, server.exchange, peer=peer, nexthop=case["nexthop"]))
    assert info is not None
    assert (info.status, info.is_matched) == (expect["status"], expect["matched"])
    hap = f"{case['hostname']}[127.0.0.1]:25".lower()
    details = f"{hap if version >= (3, 9) else peer.endpoint}: subject_CN={case['subject_CN']}, issuer"
    matched = f"{hap}: matched peername: "
    names = [line.removeprefix(matched) for line in logged if line.startswith(matched)]
    assert names == ([expect["peername"]] if expect["peername"] else [])
    described = [line for line in logged if line.startswith(details)]
    assert len(described) == 1
    issuer = f"={case['issuer_CN']},"
    assert issuer in described[0]
    rest = [line for line in logged if not line.startswith((details, matched))]
    assert rest == [_with_port(line) for line in expect["log"]]


def _with_port(line: str) -> str:
    return line.replace(":PORT", ":25")


def test_levels_without_matching_trust_but_do_not_match() -> None:
    server = TlsServer(server_context("mx-ec.chain.pem", "leaf-ec.key.pem"))
    info, _ = asyncio.run(shake_hands(_engine("ca-bundle.pem", (3, 7, 11)), policy(Level.ENCRYPT), server.exchange))
    assert info is not None
    assert (info.status, info.is_matched) == ("Trusted", False)
