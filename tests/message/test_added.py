"""flags= in master.cf (message chapter 7); the captures have more."""

import asyncio
from pathlib import Path

import pytest
from message_support import request

from compat.queue_file import QueueMessage, QueueRecipient, Record, write_message
from postfix_smtp.errors import FatalError
from postfix_smtp.ipc.request import Recipient
from postfix_smtp.message.added import DeliveryFlags, added_headers, delivered_before
from postfix_smtp.queue.file import QueueFile
from postfix_smtp.queue.path import QueueSettings


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], DeliveryFlags()),
        (["flags=DOR"], DeliveryFlags(True, True, True)),
        (["FLAGS=X"], DeliveryFlags(final=True)),
        (["flags=D", "flags=R"], DeliveryFlags(return_path=True)),
        (["flags="], DeliveryFlags()),
    ],
)
def test_flags_are_parsed(arguments: list[str], expected: DeliveryFlags) -> None:
    assert DeliveryFlags.from_arguments(arguments) == expected


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("flags=DZ", 'unknown flags=DZ value "Z" in "DZ"'),
        ("flags=Dé", 'unknown flags=Dé value "\udcc3" in "Dé"'),
        ("flags=dO", 'unknown flags=dO value "d" in "dO"'),
        ("FLAGS=D,R", 'unknown FLAGS=D,R value "," in "D,R"'),
        ("foo=bar", "unknown attribute name: foo=bar"),
        ("flags", "unknown attribute name: flags"),
    ],
)
def test_unknown_arguments_are_fatal(argument: str, text: str) -> None:
    with pytest.raises(FatalError) as caught:
        DeliveryFlags.from_arguments([argument])
    assert str(caught.value) == text


def test_some_flags_need_a_single_recipient() -> None:
    assert DeliveryFlags(delivered_to=True, original_to=True).needs_single_recipient() == "D"
    assert DeliveryFlags(original_to=True, return_path=True).needs_single_recipient() == "O"
    assert DeliveryFlags(return_path=True, final=True).needs_single_recipient() == ""


def test_headers_come_in_order_with_quoted_addresses() -> None:
    recipient = Recipient("o g@y", "c d@x", 1)
    headers = asyncio.run(
        added_headers(DeliveryFlags(True, True, True), request("Q", 0, 0, sender="", recipients=(recipient,)), None)
    )
    assert headers == (b"Return-Path: <>", b'X-Original-To: "o g"@y', b'Delivered-To: "c d"@x')


def other_values(count: int) -> list[Record]:
    return [(b"N", b"Delivered-To: %d@z" % number) for number in range(count)]


def found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records: list[Record], address: str, utf8: bool = True
) -> bool:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "active").mkdir(exist_ok=True)
    queued = write_message("active/Q", QueueMessage(b"a@x", [QueueRecipient(b"b@y")], records))
    asked = request("Q", queued.data_offset, queued.size, recipients=(Recipient("", address, -1),))
    with QueueFile.open(QueueSettings(), "active", "Q") as file:
        return asyncio.run(delivered_before(file, asked, None, utf8=utf8))


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([(b"N", b"Delivered-To: b@y.example")], True),
        ([(b"N", b"delivered-TO:\t B@Y.example")], True),
        ([(b"N", b"Delivered-To : b@y.example")], False),
        ([(b"N", b"Delivered-To: b@y.example\0x")], True),
        ([(b"N", b"X: y"), (b"N", b" folded"), (b"N", b"Delivered-To: b@y.example")], True),
        ([(b"N", b"Delivered-To: b@y.example ")], False),
        ([(b"N", b"Delivered-To:"), (b"N", b" b@y.example")], False),
        ([(b"L", b"X: y"), (b"N", b"Delivered-To: b@y.example")], False),
        ([(b"N", b""), (b"N", b"Delivered-To: b@y.example")], False),
        ([(b"N", b"X-Delivered-To: b@y.example")], False),
        ([*other_values(999), (b"N", b"Delivered-To: b@y.example")], True),
        ([*other_values(1000), (b"N", b"Delivered-To: b@y.example")], False),
    ],
)  # fmt: skip
def test_loops_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records: list[Record], expected: bool
) -> None:
    assert found(tmp_path, monkeypatch, records, "b@Y.example") is expected


@pytest.mark.parametrize(
    ("recipient", "value", "folded"),
    [("\u00dc@y", "\u00fc@Y", True), ("stra\u00dfe@y", "STRASSE@y", True), ("e\u0301@y", "\u00e9@y", False)],
)
def test_loops_are_found_in_any_case(
    recipient: str, value: str, folded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [(b"N", b"Delivered-To: " + value.encode())]
    assert found(tmp_path, monkeypatch, records, recipient) is folded
    assert not found(tmp_path, monkeypatch, records, recipient, utf8=False)
