"""Delivery requests: ipc chapters 4 and 19."""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ipc_support import DELIVERY, REQUEST

from postfix_smtp.dsn import Dsn
from postfix_smtp.ipc.channel import Channel
from postfix_smtp.ipc.delivery import (
    FAILED,
    DeliveryConnection,
    RequestError,
    decode_times,
    encode_reply,
    encode_request,
    encode_times,
)
from postfix_smtp.ipc.request import DeliveryReply, DeliveryRequest, MessageTimes, SendOptions

T = TypeVar("T")
READ_ERROR = "deliver_request_get: error receiving common attributes"
RECIPIENT_ERROR = "deliver_request_get: error receiving recipient attributes"


def serve(
    octets: bytes, work: Callable[[DeliveryConnection, socket.socket], Awaitable[T]], *, name: str = "smtputf8"
) -> T:
    """Run `work` on a connection that has got `octets` and then end of file."""

    async def run() -> T:
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.sendall(octets)
            theirs.shutdown(socket.SHUT_WR)
            connection = DeliveryConnection(Channel(ours, "smtp socket", 10), name)
            try:
                return await work(connection, theirs)
            finally:
                connection.close()

    return asyncio.run(run())


async def read(connection: DeliveryConnection, _peer: socket.socket) -> DeliveryRequest | None:
    return await connection.read_request()


def refused(octets: bytes, caplog: pytest.LogCaptureFixture) -> list[str]:
    with pytest.raises(RequestError):
        serve(octets, read)
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_captured_request() -> None:
    assert len(REQUEST) == 777
    before = time.time()
    request = serve(REQUEST, read)
    assert request is not None
    assert before <= request.times.handoff <= time.time()
    assert replace(request, times=DELIVERY.times) == DELIVERY
    assert replace(request.times, handoff=0.0) == DELIVERY.times
    assert encode_request(DELIVERY, "smtputf8") == REQUEST


def test_either_name_of_the_options_is_read() -> None:
    newer = REQUEST.replace(b"smtputf8\x000", b"sendopts\x0016")
    for octets in (REQUEST, newer):
        for name in ("smtputf8", "sendopts"):
            request = serve(octets, read, name=name)
            assert request is not None
            assert request.options == (16 if octets is newer else 0)
            assert encode_request(replace(request, times=DELIVERY.times), "sendopts").count(b"sendopts") == 1


def test_handoff_time_of_another_agent_is_kept() -> None:
    times = replace(DELIVERY.times, handoff=1795394460.25, reuse_count=3)
    request = serve(encode_request(replace(DELIVERY, times=times), "smtputf8"), read)
    assert request is not None
    assert request.times == times


def test_queue_file_is_looked_at_between_request_and_recipients() -> None:
    seen = []

    async def work(connection: DeliveryConnection, _peer: socket.socket) -> None:
        with pytest.raises(RequestError):
            await connection.read_request(lambda name, queue_id: seen.append((name, queue_id)))

    serve(REQUEST[:-10], work)
    assert seen == [("active", "701072443CA")]


@given(
    st.lists(st.integers(0, 2**33 * 1_000_000), min_size=5, max_size=5),
    st.integers(0, 2**31 - 1),
)
def test_times_are_exact_to_the_microsecond(moments: list[int], reuse: int) -> None:
    arrival, active, handoff, setup, done = (moment / 1_000_000 for moment in moments)
    octets = encode_times(MessageTimes(arrival, active, handoff, setup, done, reuse))
    assert len(octets) == 88
    assert encode_times(decode_times(octets)) == octets


def test_connection_closed_before_a_request_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    assert serve(b"", read) is None
    assert caplog.records == []


def test_announcement_comes_first() -> None:
    async def work(connection: DeliveryConnection, peer: socket.socket) -> bytes:
        connection.announce()
        return peer.recv(100)

    assert serve(b"", work) == b"protocol\0delivery_request_protocol\0\0"


def test_broken_request(caplog: pytest.LogCaptureFixture) -> None:
    assert refused(REQUEST[:50], caplog) == [
        "unexpected end-of-input from smtp socket while reading input attribute name",
        READ_ERROR,
    ]


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            b"flags\x003",
            b"flags\x00x",
            "malformed numerical data from smtp socket while reading input attribute value: x",
        ),
        (b"queue_name", b"queue", "unexpected attribute queue from smtp socket (expecting: queue_name)"),
        (b"size\x00297\0", b"", "unexpected attribute nexthop from smtp socket (expecting: size)"),
        (b"time\0m4sDawAA", b"time\0", "msg_stats_scan: size mis-match: 82 != 88"),
    ],
)
def test_malformed_request(old: bytes, new: bytes, text: str, caplog: pytest.LogCaptureFixture) -> None:
    assert refused(REQUEST.replace(old, new, 1), caplog) == [text, READ_ERROR]


def test_missing_recipient_list_is_noticed_at_end_of_file(caplog: pytest.LogCaptureFixture) -> None:
    octets = REQUEST[: REQUEST.index(b"original_recipient\0ok@")]
    assert refused(octets, caplog) == [RECIPIENT_ERROR]


def test_malformed_recipient(caplog: pytest.LogCaptureFixture) -> None:
    octets = REQUEST.replace(b"dsn_orig_rcpt", b"dsn", 1)
    assert refused(octets, caplog) == [
        "unexpected attribute dsn from smtp socket (expecting: dsn_orig_rcpt)",
        RECIPIENT_ERROR,
    ]


@pytest.mark.parametrize("count", [b"0", b"4294967295"])
def test_no_recipients(count: bytes, caplog: pytest.LogCaptureFixture) -> None:
    octets = REQUEST.replace(b"recipient_count\x002", b"recipient_count\0" + count)
    assert refused(octets, caplog) == [
        "701072443CA: no recipients in delivery request for destination [127.0.0.1]:2610"
    ]


def test_reply_when_all_is_done() -> None:
    octets = encode_reply(DeliveryReply(True))
    assert len(octets) == 77
    assert octets == (
        b"status\0\0diag_type\0\0diag_text\0\0mta_type\0\0mta_mname\0\0action\0\0reason\0\0status\x000\0\0"
    )


def test_reply_to_try_again() -> None:
    octets = encode_reply(FAILED)
    assert len(octets) == 86
    assert octets.hex(" ").startswith("73 74 61 74 75 73 00 00 64 69 61 67")
    assert octets.endswith(b"reason\0\0status\x004294967295\0\0")


def test_reply_with_host_status() -> None:
    octets = encode_reply(
        DeliveryReply(False, Dsn("4.4.1", "connect to 127.0.0.1[127.0.0.1]:2699: Connection refused"))
    )
    assert len(octets) == 147
    assert octets == (
        b"status\x004.4.1\0diag_type\0\0diag_text\0\0mta_type\0\0mta_mname\0\0action\0\0"
        b"reason\0connect to 127.0.0.1[127.0.0.1]:2699: Connection refused\0status\x004294967295\0\0"
    )


def test_reply_waits_for_the_other_side_to_close() -> None:
    async def run() -> list[str]:
        ours, theirs = socket.socketpair()
        events: list[str] = []
        connection = DeliveryConnection(Channel(ours, "smtp socket", 10))

        async def reply() -> None:
            await connection.reply(FAILED)
            events.append("finished")

        task = asyncio.create_task(reply())
        while not events and not await asyncio.to_thread(theirs.recv, 1000):
            pass
        await asyncio.sleep(0)
        events.append("closing")
        theirs.close()
        await task
        connection.close()
        return events

    assert asyncio.run(run()) == ["closing", "finished"]


def test_reply_to_nobody_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        ours, theirs = socket.socketpair()
        theirs.close()
        connection = DeliveryConnection(Channel(ours, "smtp socket", 10))
        await connection.reply(FAILED)
        connection.close()

    asyncio.run(run())
    assert caplog.records == []


@pytest.mark.parametrize(
    ("bits", "expected", "needed"), [(0, 0, False), (1, 1, False), (9, 9, True), (16, 2, False), (17, 3, True)]
)
def test_without_other_options_any_bit_is_about_smtputf8(bits: int, expected: int, needed: bool) -> None:
    options = SendOptions(bits).before_3_10()
    assert options == expected
    assert options.needs_smtputf8 is needed
