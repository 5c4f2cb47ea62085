"""The status channel: process chapter 5."""

import os
import socket
import struct

import pytest

from postfix_smtp.daemon.status import Status, StatusChannel, generation
from postfix_smtp.errors import FatalError


def test_message_is_twelve_octets() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        channel = StatusChannel(theirs.detach(), 0o204)
        assert channel.report(Status.TAKEN)
        assert channel.report(Status.AVAIL)
        octets = ours.recv(100)
        pid = struct.pack("=i", os.getpid())
        assert octets == pid + b"\x84\0\0\0\0\0\0\0" + pid + b"\x84\0\0\0\1\0\0\0"
        assert not channel.is_closed
        assert os.get_blocking(channel.fileno())


def test_closed_channel_is_noticed() -> None:
    ours, theirs = socket.socketpair()
    channel = StatusChannel(theirs.detach(), 0)
    ours.close()
    assert channel.is_closed
    assert not channel.report(Status.AVAIL)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (None, 0),
        ("7", 7),
        ("10", 8),
        ("204", 132),
        ("8", 0),
        ("789", 7),
        ("40000000000", 0),
        ("37777777777", 0xFFFFFFFF),
        ("7" * 25, 0xFFFFFFFF),
    ],
)
def test_generation_is_octal(text: str | None, number: int) -> None:
    assert generation(text) == number


@pytest.mark.parametrize("text", ["9x", "", "-1", "0o7", "1_0", " 1", "١"])
def test_bad_generation(text: str) -> None:
    with pytest.raises(FatalError, match=f"^bad generation: {text}$"):
        generation(text)
