"""Clients of the other services, octet by octet as captured (ipc chapter 19), and what happens when a service fails."""

import asyncio
import errno
import logging
import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ipc_support import DELIVERY, HARD, OK, REQUEST, ScriptedService, announce

from postfix_smtp.dsn import Dsn
from postfix_smtp.errors import FatalError
from postfix_smtp.ipc import kept
from postfix_smtp.ipc.bounce import BounceClient
from postfix_smtp.ipc.cleanup import CleanupClient, notice_flags
from postfix_smtp.ipc.flush import FlushClient
from postfix_smtp.ipc.pass_on import PassedOn, PassOnClient, split_transport
from postfix_smtp.ipc.proxymap import ProxyMapClient, ProxyReply, ProxyStatus
from postfix_smtp.ipc.request import Notify
from postfix_smtp.ipc.rewrite import RewriteClient
from postfix_smtp.ipc.scache import CacheClient, FoundSession
from postfix_smtp.ipc.settings import IpcSettings
from postfix_smtp.ipc.tlsmgr import BlockingTlsManagerClient, SessionPolicy, TlsManagerClient
from postfix_smtp.ipc.verify import AddressStatus, VerifyClient

STATUS_OK = ("send", b"status\x000\0\0")
STATUS_BAD = ("send", b"status\x004294967295\0\0")
SETTINGS = IpcSettings(timeout=10, cache_timeout=10)
REJECTED = Dsn(
    "5.1.1",
    "host 127.0.0.1[127.0.0.1] said: 550 5.1.1 no such user (in reply to RCPT TO command)",
    "smtp",
    "550 5.1.1 no such user",
    "dns",
    "127.0.0.1",
)
BOUNCE = (
    b"nrequest\x000\0flags\x000\0queue_id\x00701072443CA\0original_recipient\0hard@ok.example\0"
    b"recipient\0hard@ok.example\0offset\x00793\0dsn_orig_rcpt\0rfc822;hard@ok.example\0notify_flags\x004\0"
    b"status\x005.1.1\0diag_type\0smtp\0diag_text\x00550 5.1.1 no such user\0mta_type\0dns\0mta_mname\x00127.0.0.1\0"
    b"action\0failed\0reason\0host 127.0.0.1[127.0.0.1] said: 550 5.1.1 no such user "
    b"(in reply to RCPT TO command)\0\0"
)


@pytest.fixture(autouse=True)
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The queue directory, where we are; and no time to lose between attempts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kept, "PAUSE", 0.0)
    monkeypatch.setattr(kept, "CONNECT_PAUSE", 0.0)
    (tmp_path / "private").mkdir()
    (tmp_path / "public").mkdir()
    return tmp_path


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


# bounce, defer, trace


def bounce() -> bool:
    client = BounceClient(SETTINGS)
    return asyncio.run(client.append("bounce", DELIVERY, HARD, REJECTED, "failed", HARD.notify))


def test_bounce_record_as_captured(queue: Path) -> None:
    assert len(BOUNCE) == 365
    script = [announce("delivery_status_protocol"), ("read", BOUNCE), STATUS_OK, ("eof", None)]
    with ScriptedService(queue / "private/bounce", script):
        assert bounce()


def test_trace_record_as_captured(queue: Path) -> None:
    octets = (
        b"nrequest\x000\0flags\x000\0queue_id\x00701072443CA\0original_recipient\0ok@ok.example\0"
        b"recipient\0ok@ok.example\0offset\x00707\0dsn_orig_rcpt\0rfc822;first@ok.example\0notify_flags\x006\0"
        b"status\x002.0.0\0diag_type\0smtp\0diag_text\x00250 2.0.0 queued as 1\0mta_type\0dns\0mta_mname\x00127.0.0.1\0"
        b"action\0relayed\0reason\0delivery via 127.0.0.1[127.0.0.1]:2610: 250 2.0.0 queued as 1\0\0"
    )
    assert len(octets) == 339
    dsn = Dsn(
        "2.0.0",
        "delivery via 127.0.0.1[127.0.0.1]:2610: 250 2.0.0 queued as 1",
        "smtp",
        "250 2.0.0 queued as 1",
        "dns",
        "127.0.0.1",
    )
    with ScriptedService(queue / "private/t2", [announce("delivery_status_protocol"), ("read", octets), STATUS_OK]):
        client = BounceClient(SETTINGS)
        assert asyncio.run(client.append("t2", DELIVERY, OK, dsn, "relayed", Notify(6)))


def test_record_that_was_refused(queue: Path, caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedService(
        queue / "private/bounce", [announce("delivery_status_protocol"), ("read", BOUNCE), STATUS_BAD]
    ):
        assert not bounce()
    assert warnings(caplog) == []


def test_no_bounce_service(caplog: pytest.LogCaptureFixture) -> None:
    assert not bounce()
    assert warnings(caplog) == ["connect to private/bounce: No such file or directory"]


@pytest.mark.parametrize(
    ("script", "texts"),
    [
        (
            [announce("smtp_protocol"), ("eof", None)],
            [
                "unexpected protocol smtp_protocol from private/bounce socket (expected: delivery_status_protocol)",
                "read private/bounce socket: Application error",
            ],
        ),
        ([("close", None)], ["write/read private/bounce socket: Broken pipe"]),
        (
            [announce("delivery_status_protocol"), ("read", BOUNCE), ("close", None)],
            ["write/read private/bounce socket: Application error"],
        ),
        (
            [announce("delivery_status_protocol"), ("read", BOUNCE), ("send", b"state\x000\0\0")],
            [
                "unexpected attribute state from private/bounce socket (expecting: status)",
                "write/read private/bounce socket: Application error",
            ],
        ),
    ],
)
def test_bounce_service_that_fails(
    queue: Path, caplog: pytest.LogCaptureFixture, script: list[Any], texts: list[str]
) -> None:
    with ScriptedService(queue / "private/bounce", script):
        assert not bounce()
    # Which error a peer that vanishes gives depends on the moment
    assert [text.replace("Connection reset by peer", "Broken pipe") for text in warnings(caplog)] == texts


@pytest.mark.parametrize(
    ("announced", "text"),
    [
        (b"protocol\0delivery_status_protocol\0more\0less\0\0", "more"),
        (b"some\0thing\0\0", "some"),
        (b"\0", ""),
    ],
)
def test_announcement_that_says_something_else_passes(
    queue: Path, caplog: pytest.LogCaptureFixture, announced: bytes, text: str
) -> None:
    """A warning is all; what is left of the list does not get into the way of the reply."""
    with ScriptedService(queue / "private/bounce", [("send", announced), ("read", BOUNCE), STATUS_OK, ("eof", None)]):
        assert bounce()
    (warning,) = warnings(caplog)
    if text:
        assert warning.startswith(f"unexpected attribute {text} from private/bounce socket (expecting: ")
    else:
        assert warning == "missing attribute protocol in input from private/bounce socket"


def test_bounce_service_that_is_silent(queue: Path, caplog: pytest.LogCaptureFixture) -> None:
    client = BounceClient(IpcSettings(timeout=0.05))
    with ScriptedService(queue / "private/bounce", [("eof", None)]):
        assert not asyncio.run(client.append("bounce", DELIVERY, HARD, REJECTED, "failed", HARD.notify))
    assert warnings(caplog) == ["write private/bounce socket: Connection timed out"]


# flush


@pytest.mark.parametrize(("status", "good"), [(b"0", True), (b"4", True), (b"3", False), (b"4294967295", False)])
def test_flush_as_captured(queue: Path, caplog: pytest.LogCaptureFixture, status: bytes, good: bool) -> None:
    request = b"request\0add\0site\0soft.example\0queue_id\0A7DC0244940\0\0"
    script = [announce("queue_flush_protocol"), ("read", request), ("send", b"status\0" + status + b"\0\0")]
    with ScriptedService(queue / "public/flush", script):
        assert asyncio.run(FlushClient(SETTINGS).add("soft.example", "A7DC0244940")) is good
    assert warnings(caplog) == []


# verify


VERIFY_1 = b"request\0update\0address\0okp@probe.example\0recipient_status\x000\0reason\x00250 2.1.5 Ok\0\0"
VERIFY_2 = (
    b"request\0update\0address\0hardp@probe.example\0recipient_status\x002\0reason\0host 127.0.0.1[127.0.0.1] said: "
    b"550 5.1.1 no such user (in reply to RCPT TO command)\0\0"
)
VERIFY = announce("address_verification_prrotocol")


async def verify_twice(closed_between: bool = False) -> tuple[bool, bool]:
    client = VerifyClient(SETTINGS)
    first = await client.update("okp@probe.example", AddressStatus.DELIVERABLE, "250 2.1.5 Ok")
    while closed_between and not client._client._connection.is_stale:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0)
    second = await client.update("hardp@probe.example", AddressStatus.HARD_FAILURE, REJECTED.reason)
    client.close()
    return first, second


def test_verify_as_captured_on_one_connection(queue: Path) -> None:
    assert (len(VERIFY_1), len(VERIFY_2)) == (81, 155)
    script = [VERIFY, ("read", VERIFY_1), STATUS_OK, ("read", VERIFY_2), STATUS_BAD, ("eof", None)]
    with ScriptedService(queue / "private/verify", script) as service:
        assert asyncio.run(verify_twice()) == (True, False)
        assert service.connections == 1


def test_verify_connects_again_silently_when_the_server_closed(queue: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = [VERIFY, ("read", VERIFY_1), STATUS_OK, ("close", None)]
    with ScriptedService(queue / "private/verify", first, [VERIFY, ("read", VERIFY_2), STATUS_OK]) as service:
        assert asyncio.run(verify_twice(closed_between=True)) == (True, True)
        assert service.connections == 2
    assert warnings(caplog) == []


def test_verify_insists(queue: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken = [VERIFY, ("read", VERIFY_1), ("close", None)]
    good = [VERIFY, ("read", VERIFY_1), STATUS_OK, ("read", VERIFY_2), STATUS_OK]
    with ScriptedService(queue / "private/verify", broken, broken, good):
        assert asyncio.run(verify_twice()) == (True, True)
    assert warnings(caplog) == ["problem talking to service verify: Application error"] * 2


def test_verify_gives_up_when_there_is_no_socket(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(FatalError) as caught:
        asyncio.run(verify_twice())
    text = "connect #{} to subsystem private/verify: No such file or directory"
    assert warnings(caplog) == [text.format(number) for number in range(1, 11)]
    assert str(caught.value) == text.format(11)


@pytest.mark.parametrize("limits", [{"idle": 0.01}, {"ttl": 0.01}])
def test_kept_connection_has_its_time(queue: Path, limits: dict[str, float]) -> None:
    script = [VERIFY, ("read", VERIFY_1), STATUS_OK, ("eof", None)]

    async def run() -> None:
        client = VerifyClient(IpcSettings(timeout=10, **limits))  # type: ignore[arg-type]
        await client.update("okp@probe.example", AddressStatus.DELIVERABLE, "250 2.1.5 Ok")
        await asyncio.to_thread(service.__exit__, None, None, None)

    service = ScriptedService(queue / "private/verify", script)
    service.__enter__()
    asyncio.run(run())


def test_cancelled_request_does_not_leave_its_reply_to_the_next(queue: Path) -> None:
    first = [VERIFY, ("read", VERIFY_1), ("eof", None)]
    second = [VERIFY, ("read", VERIFY_2), STATUS_OK]

    async def run() -> bool:
        client = VerifyClient(SETTINGS)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.update("okp@probe.example", AddressStatus.DELIVERABLE, "250 2.1.5 Ok")
        return await client.update("hardp@probe.example", AddressStatus.HARD_FAILURE, REJECTED.reason)

    with ScriptedService(queue / "private/verify", first, second):
        assert asyncio.run(run())


# rewrite


def test_rewrite_as_specified_and_remembered(queue: Path) -> None:
    script = [
        announce("trivial_rewrite_protocol"),
        ("read", b"request\0rewrite\0rule\0local\0address\0bare\0\0"),
        ("send", b"flags\x000\0address\0bare@client.example\0\0"),
        ("eof", None),
    ]

    async def run() -> list[str]:
        client = RewriteClient(SETTINGS)
        results = [await client.rewrite("bare"), await client.rewrite("bare")]
        client.close()
        return results

    with ScriptedService(queue / "private/rewrite", script):
        assert asyncio.run(run()) == ["bare@client.example"] * 2


# scache

LABEL = "scch\n[127.0.0.1]:2610\n"
ENDPOINT = "scch\n127.0.0.1\n2610\n0\n"
DESTINATION_PROPERTY = (
    "destination=[127.0.0.1]:2610\nhost_name=127.0.0.1\nhost_addr=127.0.0.1\ndestination_features=4096\n\n"
)
ENDPOINT_PROPERTY = "tls_level=0\nreuse_count=0\nendpoint_features=2097159\nexpire_time=1795395054\n\n"
FIND_DESTINATION = f"request\0find_dest\0label\0{LABEL}\0\0".encode()
CACHE = announce("connection_cache_protocol")


def test_sessions_are_saved_as_captured(queue: Path) -> None:
    save_destination = (
        f"request\0save_dest\0ttl\x002\0label\0{LABEL}\0property\0{DESTINATION_PROPERTY}\0label\0{ENDPOINT}\0\0"
    ).encode()
    save_endpoint = f"request\0save_endp\0ttl\x002\0label\0{ENDPOINT}\0property\0{ENDPOINT_PROPERTY}\0\0".encode()
    assert (len(save_destination), len(save_endpoint)) == (189, 140)
    script = [
        CACHE,
        ("read", FIND_DESTINATION),
        ("send", b"status\x002\0property\0\0property\0\0\0"),
        ("read", f"request\0find_endp\0label\0{ENDPOINT}\0\0".encode()),
        ("send", b"status\x002\0property\0\0\0"),
        ("read", save_destination),
        STATUS_OK,
        ("read", save_endpoint),
        ("send", b"dummy\0\0\0"),
        ("take", None),
        STATUS_OK,
        ("eof", None),
    ]
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    async def run() -> None:
        client = CacheClient(SETTINGS)
        assert await client.find_destination(LABEL) is None
        assert await client.find_endpoint(ENDPOINT) is None
        assert await client.save_destination(2, LABEL, DESTINATION_PROPERTY, ENDPOINT)
        assert await client.save_endpoint(2, ENDPOINT, ENDPOINT_PROPERTY, ours.detach())
        client.close()

    with theirs, ScriptedService(queue / "private/scache", script) as service:
        asyncio.run(run())
        service._threads[0].join()
        (descriptor,) = service.descriptors
        assert os.get_blocking(descriptor)
        os.write(descriptor, b"x")
        assert theirs.recv(1) == b"x"


def test_session_is_found_as_captured(queue: Path) -> None:
    reply = f"status\x000\0property\0{DESTINATION_PROPERTY}\0property\0{ENDPOINT_PROPERTY}\0\0".encode()
    assert len(reply) == 202
    ours, theirs = socket.socketpair()
    script = [
        CACHE,
        ("read", FIND_DESTINATION),
        ("send", reply),
        ("read", b"dummy\0\0\0"),
        ("pass", ours.fileno()),
        ("read", b"dummy\0\0\0"),
        ("eof", None),
    ]

    async def run() -> FoundSession | None:
        client = CacheClient(SETTINGS)
        found = await client.find_destination(LABEL)
        client.close()
        return found

    with ours, theirs, ScriptedService(queue / "private/scache", script):
        found = asyncio.run(run())
        assert found is not None
        assert (found.endpoint, found.destination) == (ENDPOINT_PROPERTY, DESTINATION_PROPERTY)
        assert not os.get_inheritable(found.descriptor)
        os.write(found.descriptor, b"x")
        assert theirs.recv(1) == b"x"
        os.close(found.descriptor)


def test_cache_that_fails_twice_is_not_used_again(queue: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        client = CacheClient(SETTINGS)
        assert await client.find_destination(LABEL) is None
        assert client.disabled
        ours, theirs = socket.socketpair()
        with theirs:
            assert not await client.save_endpoint(2, ENDPOINT, "", ours.detach())
            assert theirs.recv(1) == b""  # closed in any case

    asyncio.run(run())
    assert warnings(caplog) == ["connect to private/scache: No such file or directory"] * 2 + [
        "disabling connection caching"
    ]


@pytest.mark.parametrize("announced", [b"some\0thing\0\0", b"\0", b"protocol\0connection_cache_protocol\0a\0b\0\0"])
def test_cache_that_announces_no_protocol_is_used(
    queue: Path, caplog: pytest.LogCaptureFixture, announced: bytes
) -> None:
    script = [("send", announced), ("read", FIND_DESTINATION), ("send", b"status\x002\0property\0\0property\0\0\0")]
    with ScriptedService(queue / "private/scache", [*script, ("eof", None)]):
        client = CacheClient(SETTINGS)

        async def run() -> None:
            assert await client.find_destination(LABEL) is None
            assert not client.disabled
            client.close()

        asyncio.run(run())
    assert len(warnings(caplog)) == 1


def test_cache_that_closes_at_once_is_given_up_without_a_reason(queue: Path, caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedService(queue / "private/scache", [("close", None)]):
        assert asyncio.run(CacheClient(SETTINGS).find_destination(LABEL)) is None
    told = [text for text in warnings(caplog) if "Connection reset" not in text]
    assert told == ["disabling connection caching"]


def test_cache_with_the_wrong_protocol(queue: Path, caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedService(queue / "private/scache", [announce("x"), ("eof", None)]):
        assert asyncio.run(CacheClient(SETTINGS).find_destination(LABEL)) is None
    assert warnings(caplog) == [
        "unexpected protocol x from private/scache (expected: connection_cache_protocol)",
        "unexpected protocol x from private/scache (expected: connection_cache_protocol)",
        "disabling connection caching",
    ]


# tlsmgr

SEED = b"OXg4wuNQzHBZv8xfjHryEE2B46R7gm5PcvDwCPW/5HE="
SEED_SCRIPT = [
    announce("tlsmgr_protocol"),
    ("read", b"request\0seed\0size\x0032\0\0"),
    ("send", b"status\x000\0seed\0" + SEED + b"\0\0"),
]
POLICY_SCRIPT = [
    ("read", b"request\0policy\0cache_type\0smtp\0\0"),
    ("send", b"status\x000\0cachable\x001\0timeout\x003600\0\0"),
]


def test_tls_manager_as_captured(queue: Path) -> None:
    script = [
        *SEED_SCRIPT,
        *POLICY_SCRIPT,
        ("read", b"request\0lookup\0cache_type\0smtp\0cache_id\0a&b\0\0"),
        ("send", b"status\x004294967295\0session\0\0\0"),
        ("read", b"request\0update\0cache_type\0smtp\0cache_id\0a&b\0session\0MIIC\0\0"),
        STATUS_OK,
        ("read", b"request\0lookup\0cache_type\0smtp\0cache_id\0a&b\0\0"),
        ("send", b"status\x000\0session\0MIIC\0\0"),
        ("read", b"request\0delete\0cache_type\0smtp\0cache_id\0a&b\0\0"),
        STATUS_BAD,
        ("eof", None),
    ]

    async def run() -> None:
        client = TlsManagerClient(SETTINGS)
        seed = await client.seed(32)
        assert seed is not None
        assert len(seed) == 32
        assert await client.policy("smtp") == SessionPolicy(True, 3600)
        assert await client.lookup("smtp", "a&b") is None
        assert await client.update("smtp", "a&b", b"0\x82\x02")
        assert await client.lookup("smtp", "a&b") == b"0\x82\x02"
        assert not await client.delete("smtp", "a&b")
        client.close()

    with ScriptedService(queue / "private/tlsmgr", script):
        asyncio.run(run())


def test_tls_manager_at_start(queue: Path) -> None:
    with ScriptedService(queue / "private/tlsmgr", [*SEED_SCRIPT, *POLICY_SCRIPT, ("eof", None)]):
        client = BlockingTlsManagerClient(SETTINGS)
        assert len(client.seed(32) or b"") == 32
        assert client.policy("smtp") == SessionPolicy(True, 3600)
        client.close()


@pytest.mark.parametrize("blocking", [False, True])
def test_tls_manager_that_closes_at_once(queue: Path, caplog: pytest.LogCaptureFixture, blocking: bool) -> None:
    with ScriptedService(queue / "private/tlsmgr", [("close", None)]):
        if blocking:
            assert BlockingTlsManagerClient(SETTINGS).seed(32) is None
        else:
            assert asyncio.run(TlsManagerClient(SETTINGS).seed(32)) is None
    assert warnings(caplog) == ["problem talking to server private/tlsmgr: Application error"]


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("limit", [0.05])
def test_silent_tls_manager_is_not_asked(
    queue: Path, caplog: pytest.LogCaptureFixture, blocking: bool, limit: float
) -> None:
    settings = replace(SETTINGS, timeout=limit)
    with ScriptedService(queue / "private/tlsmgr", [("eof", None)]):
        if blocking:
            assert BlockingTlsManagerClient(settings).seed(32) is None
        else:
            assert asyncio.run(TlsManagerClient(settings).seed(32)) is None
    assert warnings(caplog) == ["problem talking to server private/tlsmgr: Application error"]


@pytest.mark.parametrize("blocking", [False, True])
def test_tls_manager_whose_master_is_gone(queue: Path, caplog: pytest.LogCaptureFixture, blocking: bool) -> None:
    with ScriptedService(queue / "private/tlsmgr"):
        pass
    if blocking:
        assert BlockingTlsManagerClient(SETTINGS).seed(32) is None
    else:
        assert asyncio.run(TlsManagerClient(SETTINGS).seed(32)) is None
    assert (
        warnings(caplog)
        == [
            "connect to private/tlsmgr: Connection refused",
            "problem talking to server private/tlsmgr: Connection refused",
        ]
        * 2
    )


@pytest.mark.parametrize("blocking", [False, True])
def test_no_tls_manager(caplog: pytest.LogCaptureFixture, blocking: bool) -> None:
    if blocking:
        assert BlockingTlsManagerClient(SETTINGS).seed(32) is None
    else:
        assert asyncio.run(TlsManagerClient(SETTINGS).seed(32)) is None
    assert warnings(caplog) == [
        "connect to private/tlsmgr: No such file or directory",
        "connect to private/tlsmgr: No such file or directory",
        "problem talking to server private/tlsmgr: No such file or directory",
    ]


@pytest.mark.parametrize("policy", [SessionPolicy(False, 3600), SessionPolicy(True, 0)])
def test_policy_without_cache(policy: SessionPolicy) -> None:
    assert not policy.enabled


# proxymap

OLD = IpcSettings(timeout=10, version=(3, 10, 3))
NEW = IpcSettings(timeout=10, version=(3, 11, 6))
PROXY = announce("proxymap_protocol")


def test_proxymap_3_7_as_captured(queue: Path) -> None:
    script = [
        PROXY,
        ("read", b"request\0open\0table\0texthash:/T/generic\0flags\x000\0\0"),
        ("send", b"status\x000\0flags\x0016\0\0"),
        ("read", b"request\0lookup\0table\0texthash:/T/generic\0flags\x00524352\0key\0a@gen.example\0\0"),
        ("send", b"status\x000\0value\0b@other.example\0\0"),
        ("read", b"request\0lookup\0table\0texthash:/T/generic\0flags\x00524352\0key\0@ok.example\0\0"),
        ("send", b"status\x001\0value\0\0\0"),
        ("read", b"request\0update\0table\0t\0flags\x00384\0key\0k\0value\0v\0\0"),
        STATUS_OK,
        ("read", b"request\0delete\0table\0t\0flags\x00384\0key\0k\0\0"),
        ("send", b"status\x001\0\0"),
        ("eof", None),
    ]
    with ScriptedService(queue / "private/proxymap", script):
        client = ProxyMapClient(OLD, str(queue), "proxymap")
        assert client.open("texthash:/T/generic", 0) == 16
        found = client.lookup("texthash:/T/generic", "a@gen.example", 524352)
        assert found == ProxyReply(ProxyStatus.OK, 0, "b@other.example")
        assert client.lookup("texthash:/T/generic", "@ok.example", 524352).status is ProxyStatus.NOT_FOUND
        assert client.update("t", "k", "v", 384).status is ProxyStatus.OK
        assert client.delete("t", "k", 384).status is ProxyStatus.NOT_FOUND
        client.close()


def test_proxymap_3_11_as_captured(queue: Path) -> None:
    script = [
        PROXY,
        ("read", b"request\0open\0table\0texthash:/T/generic\0instance_flags\x00540736\0\0"),
        ("send", b"status\x000\0flags\x001589328\0\0"),
        (
            "read",
            b"request\0lookup\0table\0texthash:/T/generic\0instance_flags\x00540736\0flags\x001589328\0"
            b"key\0A@Gen.example\0\0",
        ),
        ("send", b"status\x000\0flags\x001589328\0value\0b@other.example\0\0"),
        ("eof", None),
    ]
    with ScriptedService(queue / "private/proxymap", script):
        client = ProxyMapClient(NEW, str(queue), "proxymap")
        assert client.open("texthash:/T/generic", 540736) == 1589328
        found = client.lookup("texthash:/T/generic", "A@Gen.example", 1589328, 540736)
        assert found == ProxyReply(ProxyStatus.OK, 1589328, "b@other.example")
        client.close()


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (b"3", 'proxymap lookup failed for table "t:n" key "k": invalid request'),
        (b"4", 'proxymap service is not configured for table "t:n"'),
    ],
)
def test_proxymap_refuses(queue: Path, status: bytes, text: str) -> None:
    script = [
        PROXY,
        ("read", b"request\0lookup\0table\0t:n\0flags\x000\0key\0k\0\0"),
        ("send", b"status\0" + status + b"\0value\0\0\0"),
    ]
    with ScriptedService(queue / "private/proxymap", script), pytest.raises(FatalError) as caught:
        ProxyMapClient(OLD, str(queue), "proxymap").lookup("t:n", "k", 0)
    assert str(caught.value) == text


def test_proxymap_is_asked_until_it_answers(queue: Path, caplog: pytest.LogCaptureFixture) -> None:
    request = ("read", b"request\0lookup\0table\0t:n\0flags\x000\0key\0k\0\0")
    broken = [PROXY, request, ("close", None)]
    strange = [PROXY, request, ("send", b"status\x009\0value\0\0\0"), ("eof", None)]
    good = [PROXY, request, ("send", b"status\x002\0value\0\0\0"), ("eof", None)]
    with ScriptedService(queue / "private/proxymap", broken, strange, good):
        client = ProxyMapClient(OLD, str(queue), "proxymap")
        assert client.lookup("t:n", "k", 0).status is ProxyStatus.RETRY
        client.close()
    assert warnings(caplog) == [
        "dict_proxy_lookup: service proxymap: Application error",
        'proxymap lookup failed for table "t:n" key "k": unexpected reply status 9',
    ]


def test_proxymap_is_found_by_its_full_path(queue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    script = [
        PROXY,
        ("read", b"request\0open\0table\0t:n\0flags\x000\0\0"),
        ("send", b"status\x000\0flags\x000\0\0"),
        ("eof", None),
    ]
    with ScriptedService(queue / "private/proxymap", script):
        client = ProxyMapClient(OLD, str(queue), "proxymap")
        assert client.open("t:n", 0) == 0
        client.close()


def test_no_proxymap(caplog: pytest.LogCaptureFixture, queue: Path) -> None:
    with pytest.raises(FatalError, match=r"connect #11 to subsystem .*private/proxymap: No such file or directory"):
        ProxyMapClient(OLD, str(queue), "proxymap").open("t:n", 0)
    assert len(warnings(caplog)) == 10


def test_idle_proxymap_connection_is_closed(queue: Path) -> None:
    script = [
        PROXY,
        ("read", b"request\0open\0table\0t:n\0flags\x000\0\0"),
        ("send", b"status\x000\0flags\x000\0\0"),
        ("eof", None),
    ]
    with ScriptedService(queue / "private/proxymap", script):
        client = ProxyMapClient(IpcSettings(timeout=10, idle=0), str(queue), "proxymap")
        client.open("t:n", 0)
        client.close_if_idle()


# cleanup


def test_notice_as_captured(queue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: 1795394560_796715_000)
    content = [
        "Received: by client.example (Postfix)",
        "\tid C28E3244B05; Mon, 23 Nov 2026 00:42:40 +0000 (UTC)",
        "Date: Mon, 23 Nov 2026 00:42:40 +0000 (UTC)",
        "From: Mail Delivery System <MAILER-DAEMON@client.example>",
        "To: Postmaster <postmaster>",
        "Subject: Postfix SMTP client: errors from 127.0.0.1[127.0.0.1]:2610",
        "",
        "Unexpected response from 127.0.0.1[127.0.0.1]:2610.",
    ]
    octets = (
        b"flags\x0032\0\0T\x111795394560 796715A\x18log_message_origin=localA\x0dtrace_flags=0"
        b"S\x1cdouble-bounce@client.exampleR\npostmasterM\0N%Received: by client.example (Postfix)"
        b"N6\x09id C28E3244B05; Mon, 23 Nov 2026 00:42:40 +0000 (UTC)N+Date: Mon, 23 Nov 2026 00:42:40 +0000 (UTC)"
        b"N9From: Mail Delivery System <MAILER-DAEMON@client.example>N\x1bTo: Postmaster <postmaster>"
        b"NCSubject: Postfix SMTP client: errors from 127.0.0.1[127.0.0.1]:2610N\0"
        b"N3Unexpected response from 127.0.0.1[127.0.0.1]:2610.X\0E\0"
    )
    script = [
        ("send", b"protocol\0cleanup_protocol\0queue_id\0C28E3244B05\0\0"),
        ("read", octets),
        ("send", b"status\x000\0reason\0\0\0"),
    ]
    ids = []

    def make(queue_id: str) -> list[str]:
        ids.append(queue_id)
        return content

    with ScriptedService(queue / "public/cleanup", script):
        client = CleanupClient(SETTINGS)
        assert asyncio.run(client.submit(32, "double-bounce@client.example", "postmaster", make))
    assert ids == ["C28E3244B05"]


def test_no_cleanup(caplog: pytest.LogCaptureFixture) -> None:
    assert not asyncio.run(CleanupClient(SETTINGS).submit(32, "a", "b", lambda _: []))
    assert warnings(caplog) == [
        "connect to public/cleanup: No such file or directory",
        "postmaster notify: No such file or directory",
    ]


@pytest.mark.parametrize("script", [[("close", None)], [announce("cleanup_protocol"), ("eof", None)]])
def test_cleanup_with_a_bad_start_is_fatal(queue: Path, script: list[Any]) -> None:
    with (
        ScriptedService(queue / "public/cleanup", script),
        pytest.raises(FatalError, match=r"^unable to contact the cleanup service$"),
    ):
        asyncio.run(CleanupClient(SETTINGS).submit(32, "a", "b", lambda _: []))


@pytest.mark.parametrize(("filtered", "detect", "flags"), [(False, False, 32), (True, False, 98), (False, True, 544)])
def test_notice_flags(filtered: bool, detect: bool, flags: int) -> None:
    assert notice_flags(filtered, detect) == flags


# best_mx_transport

AGENT = announce("delivery_request_protocol")


def pass_on() -> PassedOn:
    return asyncio.run(PassOnClient(SETTINGS).pass_on("local", "[127.0.0.1]:2610", DELIVERY, HARD))


def passed_octets() -> bytes:
    end = REQUEST.index(b"original_recipient\0ok@")
    return REQUEST[:end].replace(b"recipient_count\x002", b"recipient_count\x001")


@pytest.mark.parametrize(("status", "done"), [(b"0", True), (b"4294967295", False)])
def test_recipient_is_passed_on(queue: Path, caplog: pytest.LogCaptureFixture, status: bytes, done: bool) -> None:
    caplog.set_level(logging.INFO)
    reply = b"status\0\0diag_type\0\0diag_text\0\0mta_type\0\0mta_mname\0\0action\0\0reason\0\0status\0" + status
    with ScriptedService(queue / "private/local", [AGENT, ("read", passed_octets()), ("send", reply + b"\0\0")]):
        assert pass_on() == PassedOn(done)
    assert [record.getMessage() for record in caplog.records] == [
        "701072443CA: passing <hard@ok.example> to transport=local"
    ]


def test_options_have_the_name_of_the_version(queue: Path) -> None:
    octets = passed_octets().replace(b"smtputf8", b"sendopts")
    with ScriptedService(queue / "private/local", [AGENT, ("read", octets), ("close", None)]):
        asyncio.run(PassOnClient(OLD).pass_on("local", "[127.0.0.1]:2610", DELIVERY, HARD))


@pytest.mark.parametrize(
    ("script", "text", "reason"),
    [
        ([announce("x"), ("eof", None)], "private/local socket: malformed response", "mail transport unavailable"),
        (
            [AGENT, ("read", passed_octets()), ("close", None)],
            "private/local socket: malformed response",
            "unknown mail transport error",
        ),
    ],
)
def test_agent_that_fails(
    queue: Path, caplog: pytest.LogCaptureFixture, script: list[Any], text: str, reason: str
) -> None:
    with ScriptedService(queue / "private/local", script):
        assert pass_on() == PassedOn(False, Dsn("4.3.0", reason))
    assert warnings(caplog)[-1] == text


def test_transport_and_nexthop() -> None:
    assert split_transport("local", "n") == ("local", "n")
    assert split_transport("local:", "n") == ("local", "n")
    assert split_transport("lmtp:unix:/x", "n") == ("lmtp", "unix:/x")
    with pytest.raises(FatalError, match=r'^missing transport name in ":x"$'):
        split_transport(":x", "n")


def test_errors_are_named_as_the_system_does() -> None:
    from postfix_smtp.ipc.channel import error_text

    assert error_text(errno.ENOENT) == "No such file or directory"
    assert error_text(0) == error_text(None) == "Application error"
