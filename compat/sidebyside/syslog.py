"""Receiver of /dev/log."""

import asyncio
import os
import re
import socket

from compat.sidebyside.observations import Observations

_FACILITIES = {1: "user", 2: "mail", 3: "daemon", 16: "local0", 17: "local1", 21: "local5"}
_SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_LINE = re.compile(rb"<(\d+)>(?:(\w{3} [ \d]\d \d\d:\d\d:\d\d) )?([^\s\[:]+)(?:\[(\d+)\])?: ?(.*)", re.S)


def listen(observations: Observations, path: str = "/dev/log") -> socket.socket:
    """Hand every datagram at `path` to `observations`; to be called in the loop."""
    if os.path.exists(path):
        os.unlink(path)
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    receiver.bind(path)
    os.chmod(path, 0o666)
    receiver.setblocking(False)

    def readable() -> None:
        while True:
            try:
                datagram = receiver.recv(65536)
            except OSError:
                return
            feed(observations, datagram)

    asyncio.get_running_loop().add_reader(receiver.fileno(), readable)
    return receiver


def feed(observations: Observations, datagram: bytes) -> None:
    """Take one datagram apart."""
    found = _LINE.match(datagram)
    if not found:
        observations.log("?", "UNPARSED", 0, repr(datagram))
        return
    number = int(found[1])
    priority = f"{_FACILITIES.get(number >> 3, str(number >> 3))}.{_SEVERITIES[number & 7]}"
    if not found[2]:
        priority += "(no time)"
    text = found[5].rstrip(b"\n\0").decode("utf-8", "backslashreplace")
    observations.log(priority, found[3].decode(errors="replace"), int(found[4] or 0), text)
