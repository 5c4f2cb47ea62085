"""The emulated services: this program's clients get on with them, and deviations are noticed."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from compat.background import Background
from compat.qmgr import QueueManager, request
from compat.service import Recorder, Service, bind
from compat.services import (
    AgentService,
    BounceService,
    CacheService,
    CleanupService,
    FlushService,
    ProxyMapService,
    RewriteService,
    TlsManagerService,
    VerifyService,
)
from postfix_smtp.dsn import Dsn
from postfix_smtp.ipc.attributes import encode
from postfix_smtp.ipc.bounce import BounceClient
from postfix_smtp.ipc.channel import Channel
from postfix_smtp.ipc.cleanup import CleanupClient
from postfix_smtp.ipc.flush import FlushClient
from postfix_smtp.ipc.pass_on import PassedOn, PassOnClient
from postfix_smtp.ipc.proxymap import ProxyMapClient, ProxyStatus
from postfix_smtp.ipc.request import DeliveryReply, Notify, Recipient
from postfix_smtp.ipc.rewrite import RewriteClient
from postfix_smtp.ipc.scache import CacheClient
from postfix_smtp.ipc.settings import IpcSettings
from postfix_smtp.ipc.tlsmgr import TlsManagerClient
from postfix_smtp.ipc.verify import VerifyClient

S = TypeVar("S", bound=Service)
SETTINGS = IpcSettings(timeout=10)
NEW = IpcSettings(timeout=10, version=(3, 11, 6))
DELIVERY = request([Recipient("o@b.example", "a@b.example", 7, "rfc822;o@b.example")])


@pytest.fixture
def background(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Background]:
    monkeypatch.chdir(tmp_path)
    with Background() as made:
        yield made


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def start(service: S, background: Background) -> S:
    async def run() -> None:
        service.start(background)

    background.call(run())
    return service


def test_bounce(background: Background, recorder: Recorder, tmp_path: Path) -> None:
    service = start(BounceService(tmp_path, "defer", recorder), background)

    def append(status: str, action: str) -> bool:
        client = BounceClient(SETTINGS)
        return asyncio.run(
            client.append("defer", DELIVERY, DELIVERY.recipients[0], Dsn(status, "no"), action, Notify(0))
        )

    assert append("4.1.1", "delayed")
    call = recorder.calls[0].as_dict()
    assert call["original_recipient"] == "o@b.example"
    assert call["offset"] == 7
    assert recorder.problems == []
    service.fail = True
    assert not append("5.1.1", "refused")
    assert recorder.problems == ["defer: action is 'refused'", "defer: status is '5.1.1'"]


def test_malformed_request_is_a_problem(background: Background, recorder: Recorder, tmp_path: Path) -> None:
    start(FlushService(tmp_path, "flush", recorder), background)

    async def run() -> None:
        channel = await Channel.connect("public/flush", "x", 10)
        await channel.send(encode((("request", "add"), ("queue_id", "x"))))
        while await asyncio.get_running_loop().sock_recv(channel.socket, 1000):
            pass
        channel.close()

    asyncio.run(run())
    assert len(recorder.problems) == 1
    assert recorder.calls == []


def test_verify_flush_rewrite(background: Background, recorder: Recorder, tmp_path: Path) -> None:
    verify = start(VerifyService(tmp_path, "verify", recorder), background)
    flush = start(FlushService(tmp_path, "flush", recorder), background)
    start(RewriteService(tmp_path, "rewrite", recorder), background)

    async def run() -> None:
        client = VerifyClient(SETTINGS)
        assert await client.update("a@b.example", 0, "ok")
        verify.fail = True
        assert not await client.update("a@b.example", 2, "no")
        client.close()
        assert await FlushClient(SETTINGS).add("b.example", "X")
        flush.status = 3
        assert not await FlushClient(SETTINGS).add("b.example", "X")
        rewriter = RewriteClient(SETTINGS)
        assert await rewriter.rewrite("bare") == "bare@client.example"
        assert await rewriter.rewrite("a@b.example") == "a@b.example"
        rewriter.close()

    asyncio.run(run())
    assert [call.service for call in recorder.calls] == ["verify", "verify", "flush", "flush", "rewrite", "rewrite"]
    assert recorder.problems == []


def test_sessions_are_found_oldest_first_and_once(background: Background, recorder: Recorder, tmp_path: Path) -> None:
    service = start(CacheService(tmp_path, "scache", recorder), background)

    async def run() -> None:
        client = CacheClient(SETTINGS)
        ends = []
        for number in range(2):
            ours, theirs = socket.socketpair()
            ends.append(theirs)
            assert await client.save_endpoint(60, "e", str(number), ours.detach())
        assert await client.save_destination(60, "d", "p", "e")
        assert await client.find_destination("other") is None
        for number in range(2):
            found = await (client.find_destination("d") if number else client.find_endpoint("e"))
            assert found is not None
            assert (found.endpoint, found.destination) == (str(number), "p" if number else "")
            os.write(found.descriptor, b"x")
            assert ends[number].recv(1) == b"x"
            os.close(found.descriptor)
        assert await client.find_destination("d") is None
        client.close()
        for end in ends:
            end.close()

    asyncio.run(run())
    service.stop()
    assert recorder.problems == []


def test_tls_manager(background: Background, recorder: Recorder, tmp_path: Path) -> None:
    start(TlsManagerService(tmp_path, "tlsmgr", recorder), background)

    async def run() -> None:
        client = TlsManagerClient(SETTINGS)
        assert len(await client.seed(32) or b"") == 32
        policy = await client.policy("smtp")
        assert policy is not None
        assert policy.enabled
        assert await client.lookup("smtp", "a") is None
        assert await client.update("smtp", "a", b"session")
        assert await client.lookup("smtp", "a") == b"session"
        assert await client.delete("smtp", "a")
        assert not await client.delete("smtp", "a")
        client.close()

    asyncio.run(run())
    assert recorder.problems == []


@pytest.mark.parametrize("settings", [SETTINGS, NEW])
def test_proxymap(background: Background, recorder: Recorder, tmp_path: Path, settings: IpcSettings) -> None:
    service = start(ProxyMapService(tmp_path, "proxymap", recorder, settings.version), background)
    service.tables["t:n"] = {"k": "v"}
    client = ProxyMapClient(settings, str(tmp_path), "proxymap")
    assert client.open("t:n", 0) == 16
    assert client.lookup("t:n", "k", 0).value == "v"
    assert client.lookup("t:n", "x", 0).status is ProxyStatus.NOT_FOUND
    assert client.update("t:n", "x", "y", 0).status is ProxyStatus.OK
    assert client.lookup("t:n", "x", 0).value == "y"
    assert client.delete("t:n", "x", 0).status is ProxyStatus.OK
    client.close()
    assert recorder.problems == []


def test_cleanup(background: Background, recorder: Recorder, tmp_path: Path) -> None:
    start(CleanupService(tmp_path, "cleanup", recorder), background)
    lines = ["Subject: " + "x" * 300, "", "body"]
    assert asyncio.run(CleanupClient(SETTINGS).submit(32, "s@b.example", "r@b.example", lambda _: lines))
    (call,) = recorder.calls
    assert call["flags"] == 32
    assert [kind for kind, _ in call["records"]] == list("TAASRMNNNXE")
    assert [text.decode() for kind, text in call["records"] if kind == "N"] == lines


@pytest.mark.parametrize("settings", [SETTINGS, NEW])
def test_agent(background: Background, recorder: Recorder, tmp_path: Path, settings: IpcSettings) -> None:
    service = start(AgentService(tmp_path, "local", recorder, settings.options_name), background)
    client = PassOnClient(settings)
    assert asyncio.run(client.pass_on("local", "n", DELIVERY, DELIVERY.recipients[0])) == PassedOn(True)
    service.reply = DeliveryReply(False)
    assert asyncio.run(client.pass_on("local", "n", DELIVERY, DELIVERY.recipients[0])) == PassedOn(False)
    assert recorder.calls[0]["nexthop"] == "n"
    assert recorder.calls[0].as_dict()["offset#2"] == 7
    assert recorder.problems == []


def test_queue_manager_is_strict_about_replies(background: Background, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    listener = bind(tmp_path / "private" / "smtp")
    listener.setblocking(True)
    manager = QueueManager(tmp_path, background)

    def answer(octets: bytes) -> None:
        connected, _ = listener.accept()
        with connected:
            connected.sendall(b"protocol\0delivery_request_protocol\0\0")
            connected.recv(65536)
            connected.sendall(octets)

    async def run(octets: bytes) -> None:
        await asyncio.gather(asyncio.to_thread(answer, octets), asyncio.to_thread(manager.deliver, "smtp", DELIVERY))

    good = b"status\0\0diag_type\0\0diag_text\0\0mta_type\0\0mta_mname\0\0action\0\0reason\0\0status\x000\0\0"
    asyncio.run(run(good))
    assert manager.problems == []
    asyncio.run(run(good.replace(b"action\0\0", b"")))
    assert manager.problems == ["private/smtp socket: malformed reply"]
    asyncio.run(run(good.replace(b"reason\0", b"reason\0x").replace(b"status\0\0", b"status\x004.0.0\0")))
    assert manager.problems[1:] == ["private/smtp socket: status 0 with a host status"]
    listener.close()
