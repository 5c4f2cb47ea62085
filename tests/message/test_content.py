"""The whole way from the queue file to the wire (message chapter 1)."""

import asyncio
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from message_support import LOCAL, REMOTE, FakeParameters, LogLines, checks, generic, read, request

from compat.queue_file import QueueMessage, QueueRecipient, Record, content_records, encode_record, write_message
from postfix_smtp.message import content as content_module
from postfix_smtp.message import lines as lines_module
from postfix_smtp.message import processor as processor_module
from postfix_smtp.message.content import Content
from postfix_smtp.message.settings import MessageSettings
from postfix_smtp.queue import records as records_module
from postfix_smtp.queue.file import QueueFile
from postfix_smtp.queue.path import QueueSettings
from postfix_smtp.smtp.failure import BodyError, LocalDataError

RULES = {
    "smtp_header_checks": "regexp:{{/^Subject: (.*)/ PREPEND X-Was: $$1}, {/^X-Drop/ IGNORE}}",
    "smtp_mime_header_checks": "regexp:{{/^Content-D/ REPLACE X-D: d}}",
    "smtp_body_checks": "regexp:{{/^drop/ IGNORE}, {/^a/ PREPEND .before}, {/caf/ REPLACE .coffee}}",
    "smtp_generic_maps": "inline:{{a@x.example = new@out.example}}",
}
MODES: dict[str, tuple[dict[str, str], bool]] = {
    "plain": ({}, False),
    "converting": ({}, True),
    "header checks": ({"smtp_header_checks": RULES["smtp_header_checks"]}, False),
    "header checks, converting": ({"smtp_mime_header_checks": RULES["smtp_mime_header_checks"]}, True),
    "body checks": ({"smtp_body_checks": RULES["smtp_body_checks"]}, False),
    "generic": ({"smtp_generic_maps": RULES["smtp_generic_maps"]}, False),
    "everything": (RULES, True),
}


@pytest.fixture(autouse=True)
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "active").mkdir()


def write(records: list[Record], **options: Any) -> tuple[int, int]:
    queued = write_message("active/Q", QueueMessage(b"a@x", [QueueRecipient(b"b@y")], records, **options))
    return queued.data_offset, queued.size


def send(
    offset: int, size: int, config: dict[str, str] | None = None, converting: bool = False, mode: str = LOCAL
) -> bytes:
    parameters = FakeParameters(dict(config or {}))
    with QueueFile.open(QueueSettings(), "active", "Q") as file:
        content = Content(
            file,
            request("Q", offset, size),
            MessageSettings.from_parameters(parameters),
            checks=checks(parameters, mode),
            generic=generic(parameters, mode),
        )
        return asyncio.run(read(content, converting))


# Messages out of the pieces that matter to somebody on the way.
TEXTS = st.one_of(
    st.sampled_from(
        [
            b"", b".", b"..", b".dot", b"--b", b"--b--", b"--", b"--bx", b"--c", b"-", b"drop this", b"a line",
            b"caf\xe9",
            b"x" * 76, b"\xe9" * 30, b"a  ", b"\t", b"\n.", b"a\n.b", b"b\0c", b"Content-Transfer-Encoding: 8bit",
            b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: message/rfc822", b"Content-Disposition: x",
            b"Content-Type: multipart/digest; boundary=c", b"Subject: s", b"X-Drop: x", b"To: a@x.example, b@y",
            b" folded", b"." * 10, b"y" * 998, b"y" * 999, b"y" * 2048,
        ]
    ),
    st.binary(max_size=30),
)  # fmt: skip
HEADERS = st.sampled_from(
    [
        [b"Content-Type: multipart/mixed; boundary=b", b"Content-Transfer-Encoding: 8bit", b""],
        [b"Content-Transfer-Encoding: 8bit", b""],
        [b"From: A <a@x.example>", b"Subject: s", b""],
        [],
    ]
)
RECORDS = st.lists(
    st.tuples(st.sampled_from([b"N", b"N", b"N", b"N", b"L", b"w", b"p"]), TEXTS, st.sampled_from([1, 1, 1, 1, 20])),
    max_size=25,
)


@settings(max_examples=120, deadline=None)
@given(
    HEADERS,
    RECORDS,
    st.integers(8, 300),
    st.integers(1, 400),
    st.sampled_from(sorted(MODES)),
    st.sampled_from([LOCAL, REMOTE]),
    st.sampled_from(["998", "130", "20", "0"]),
)
def test_neither_buffers_nor_shortcuts_nor_waiting_show(
    header: list[bytes],
    drawn: list[tuple[bytes, bytes, int]],
    buffer_size: int,
    chunk_size: int,
    mode: str,
    tables: str,
    limit: str,
) -> None:
    records: list[Record] = [(b"N", line) for line in header]
    for kind, text, count in drawn:
        records += [(kind, b"0" if kind == b"p" else text)] * count
    offset, size = write(records)
    config, converting = MODES[mode]
    config = {**config, "smtp_line_length_limit": limit}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "_PLAIN_LIMIT_MIN", 10**9)  # everything record by record
        patch.setattr(lines_module, "_NO_LIMIT", 0)
        expected = send(offset, size, config, converting)
    assert send(offset, size, config, converting) == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records_module, "_BUFFER_SIZE", buffer_size)
        patch.setattr(records_module, "_SMALL_READ", buffer_size)
        patch.setattr(content_module, "_CHUNK_SIZE", chunk_size)
        patch.setattr(processor_module, "_CHUNK_SIZE", chunk_size)
        patch.setattr(processor_module, "_ENCODED_SIZE", chunk_size)
        patch.setattr(processor_module, "_CHECKED_SIZE", chunk_size)
        patch.setattr(processor_module, "_NODES_AT_ONCE", 2)
        assert send(offset, size, config, converting, tables) == expected


def test_the_content_can_be_sent_again_and_breaks_are_logged_once() -> None:
    offset, size = write([(b"N", b"Subject: x"), (b"N", b""), (b"N", b"x" * 1000)])
    with LogLines() as logged, QueueFile.open(QueueSettings(), "active", "Q") as file:
        content = Content(file, request("Q", offset, size), MessageSettings())
        first = asyncio.run(read(content, False))
        assert first == b"Subject: x\r\n\r\n" + b"x" * 998 + b"\r\n xx\r\n"
        assert asyncio.run(read(content, False)) == first
        assert asyncio.run(read(content, True)) == first
    assert logged.lines == ["Q: breaking line > 998 bytes with <CR><LF>SPACE"]


def test_added_headers_come_first() -> None:
    offset, size = write([(b"N", b"garbage")])
    with QueueFile.open(QueueSettings(), "active", "Q") as file:
        content = Content(file, request("Q", offset, size), MessageSettings(), added=(b"A: b", b".c: d"))
        assert asyncio.run(read(content, False)) == b"A: b\r\n..c: d\r\ngarbage\r\n"
        assert asyncio.run(read(content, True)) == b"A: b\r\n..c: d\r\n\r\ngarbage\r\n"


def test_a_missing_line_end_is_supplied() -> None:
    assert send(*write([(b"N", b"a"), (b"L", b"b")])) == b"a\r\nb\r\n"
    assert send(*write([(b"N", b"a"), (b"L", b"")])) == b"a\r\n\r\n"
    assert send(*write([])) == b""


def test_a_damaged_file_is_reported_and_nothing_after_the_damage_is_sent() -> None:
    write([(b"N", b"a")] * 100_000, complete=False)
    offset, size = write([(b"N", b"a")] * 100_000 + [(b"Z", b"z"), (b"N", b"after")])
    sent = b""

    async def run() -> None:
        nonlocal sent
        with QueueFile.open(QueueSettings(), "active", "Q") as file:
            async for chunk in Content(file, request("Q", offset, size), MessageSettings()).chunks(False):
                sent += chunk

    with LogLines() as logged, pytest.raises(BodyError) as caught:
        asyncio.run(run())
    assert 0 < len(sent) < 300_000
    assert caught.value.failure.corrupt_queue_file
    assert not caught.value.failure.throttle
    assert caught.value.failure.dsn.status == "5.3.0"
    assert caught.value.failure.dsn.reason == "unreadable mail queue entry"
    assert logged.lines == ["warning: Q: bad record type: 90 in message content"]


def test_a_mime_error_wins_over_damage() -> None:
    offset, size = write(
        [(b"N", b"Content-Type: multipart/mixed; boundary=a; boundary=b; boundary=c"), (b"Z", b"")], complete=False
    )
    with pytest.raises(BodyError) as caught:
        send(offset, size, {"mime_nesting_limit": "1"}, converting=True)
    assert caught.value.failure.corrupt_queue_file
    offset, size = write(
        [(b"N", b"Content-Type: multipart/mixed; boundary=a; boundary=b; boundary=c; boundary=d"), (b"Z", b"")],
        complete=False,
    )
    with pytest.raises(BodyError) as caught:
        send(offset, size, {"mime_nesting_limit": "1"}, converting=True)
    assert caught.value.failure.dsn.reason == "MIME nesting exceeds safety limit"


@pytest.mark.parametrize("mode", [LOCAL, REMOTE])
def test_failing_checks_send_what_came_before(mode: str) -> None:
    offset, size = write([(b"N", b"A: b"), (b"N", b""), (b"N", b"body")])
    parameters = FakeParameters({"smtp_body_checks": "fail:nope"})
    sent = b""

    async def run() -> None:
        nonlocal sent
        with QueueFile.open(QueueSettings(), "active", "Q") as file:
            content = Content(file, request("Q", offset, size), MessageSettings(), checks=checks(parameters, mode))
            async for chunk in content.chunks(False):
                sent += chunk

    with pytest.raises(LocalDataError):
        asyncio.run(run())
    assert sent == b"A: b\r\n\r\n"


def test_others_run_while_a_large_message_is_sent_and_chunks_are_bounded() -> None:
    text = b"Content-Transfer-Encoding: 8bit\n\n" + b"caf\xe9 line\n" * 60_000 + b"x" * 400_000 + b"\n"
    offset, size = write(content_records(text))
    turns = 0
    largest = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def run(config: dict[str, str], converting: bool) -> None:
        nonlocal largest
        task = asyncio.create_task(others())
        parameters = FakeParameters(config)
        with QueueFile.open(QueueSettings(), "active", "Q") as file:
            content = Content(file, request("Q", offset, size), MessageSettings(), checks=checks(parameters))
            async for chunk in content.chunks(converting):
                largest = max(largest, len(chunk))
        task.cancel()

    for config, converting, least in (({}, False, 4), ({}, True, 15), (RULES, True, 50)):
        turns = largest = 0
        asyncio.run(run(config, converting))
        assert turns >= least
        assert largest <= 400 * 1024


def test_large_address_lists_are_mapped_like_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    header = b"To: " + b",\n ".join(b"User %d <u%d@example.com>" % (number, number) for number in range(2000))
    offset, size = write(content_records(header + b", a@x.example\n\nbody\n"))
    config = {"smtp_generic_maps": RULES["smtp_generic_maps"]}
    sent = send(offset, size, config)
    assert sent.endswith(b"\tnew@out.example\r\n\r\nbody\r\n")
    monkeypatch.setattr(processor_module, "_LARGE_HEADER", 10**9)
    assert send(offset, size, config) == sent


@pytest.mark.parametrize("mode", sorted(MODES))
def test_memory_does_not_grow_with_the_message(mode: str) -> None:
    config, converting = MODES[mode]
    part = b"caf\xe9 line\n" * 300 + (b"A" * 76 + b"\n") * 1000 + b"x" * 100_000 + b"\n"
    text = b"From: a@x.example\nContent-Transfer-Encoding: 8bit\n\n" + part * (
        30 if "smtp_body_checks" not in config else 10
    )
    offset, size = write(content_records(text))

    async def run() -> None:
        parameters = FakeParameters(dict(config))
        with QueueFile.open(QueueSettings(), "active", "Q") as file:
            content = Content(
                file,
                request("Q", offset, size),
                MessageSettings(),
                checks=checks(parameters),
                generic=generic(parameters),
            )
            async for _ in content.chunks(converting):
                forget_lookups(content)

    def forget_lookups(content: Content) -> None:
        if content._checks and content._checks.body:
            content._checks.body.lookups.clear()  # type: ignore[attr-defined]

    asyncio.run(run())
    tracemalloc.start()
    try:
        asyncio.run(run())
        assert tracemalloc.get_traced_memory()[1] < 2_500_000
    finally:
        tracemalloc.stop()


def test_a_small_message_is_one_chunk() -> None:
    offset, size = write([(b"N", b"Subject: x"), (b"N", b""), (b"L", b"a"), (b"N", b"b")])

    async def run() -> list[bytes]:
        with QueueFile.open(QueueSettings(), "active", "Q") as file:
            content = Content(file, request("Q", offset, size), MessageSettings())
            return [chunk async for chunk in content.chunks(False)]

    assert asyncio.run(run()) == [b"Subject: x\r\n\r\nab\r\n"]


def test_pointers_lead_through_the_content() -> None:
    offset, _ = write([(b"N", b"x")])
    octets = Path("active/Q").read_bytes()[:offset]
    first = encode_record(b"N", b"one") * 30
    heap = offset + len(first) + 17 + len(encode_record(b"N", b"lost"))
    octets += first + encode_record(b"p", b"%15d" % heap) + encode_record(b"N", b"lost")
    octets += encode_record(b"N", b".two") * 30 + encode_record(b"X", b"")
    Path("active/Q").write_bytes(octets)
    expected = b"one\r\n" * 30 + b"..two\r\n" * 30
    assert send(offset, 10) == expected
    assert send(offset, 10, {}, True) == b"\r\n" + expected


@pytest.mark.parametrize(
    ("conversion", "encoding", "offered", "expected"),
    [
        (True, "", False, True),
        (True, "8bit", False, True),
        (True, "other", False, True),
        (True, "7bit", False, False),
        (True, "8bit", True, False),
        (False, "8bit", False, False),
    ],
)
def test_when_content_is_converted(conversion: bool, encoding: str, offered: bool, expected: bool) -> None:
    assert MessageSettings(conversion=conversion).converts(encoding, offered) is expected


def test_settings_are_read_from_the_parameters() -> None:
    assert MessageSettings.from_parameters(FakeParameters()) == MessageSettings(log_length=60)
    values = {
        "lmtp_line_length_limit": "1",
        "header_size_limit": "7",
        "mime_boundary_length_limit": "8",
        "mime_nesting_limit": "9",
        "disable_mime_output_conversion": "yes",
    }
    assert MessageSettings.from_parameters(FakeParameters(values, "lmtp", version=(3, 8, 0))) == MessageSettings(
        2, 7, 8, 9, False, 200
    )


def test_what_is_not_configured_is_not_loaded() -> None:
    code = (
        "import sys, postfix_smtp.message.content as c;"
        "print(sorted(m for m in sys.modules if m.startswith('postfix_smtp.message')))"
    )
    root = Path(content_module.__file__).parent.parent.parent
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True, cwd=root).stdout
    assert loaded.strip() == str(
        ["postfix_smtp.message"] + [f"postfix_smtp.message.{name}" for name in ("content", "lines", "settings")]
    )
