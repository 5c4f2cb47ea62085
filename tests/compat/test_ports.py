"""compat.ports: a port is one test's until it gives it back, also beside other processes."""

import random
import socket
import subprocess
import sys

import pytest

from compat.ports import ReservedPort

_ELSEWHERE = """\
import random
from compat.ports import ReservedPort
random.sample = lambda *_: [{number}]
try:
    print(ReservedPort().number)
except OSError as error:
    print(error)
"""


def _elsewhere(number: int) -> str:
    command = [sys.executable, "-c", _ELSEWHERE.format(number=number)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_reserved_among_processes() -> None:
    with ReservedPort() as reserved:
        assert _elsewhere(reserved.number) == "no free port"
    assert _elsewhere(reserved.number) == str(reserved.number)


def test_the_port_can_be_listened_on() -> None:
    with ReservedPort() as reserved, socket.create_server(("127.0.0.1", reserved.number)) as server:
        socket.create_connection(server.getsockname()).close()


def test_used_ports_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with ReservedPort() as first, ReservedPort() as second:
        used, free = first.number, second.number
    monkeypatch.setattr(random, "sample", lambda *_: [used, free])
    with socket.create_server(("127.0.0.1", used)), ReservedPort() as reserved:
        assert reserved.number == free
