"""A service that plays a script of octets, for the tests of its clients."""

import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from postfix_smtp.ipc.request import (
    DeliveryRequest,
    MessageTimes,
    Notify,
    Recipient,
    RequestFlags,
    Ret,
    SendOptions,
    Submission,
)

Step = tuple[str, object]

#: The request of the captured example (ipc chapter 19).
REQUEST = (
    b"flags\x003\0queue_name\0active\0queue_id\x00701072443CA\0offset\x00812\0size\x00297\0"
    b"nexthop\0[127.0.0.1]:2610\0encoding\x008bit\0smtputf8\x000\0sender\0s@sender.example\0envelope_id\0abc123\0"
    b"ret_flags\x002\0time\0m4sDawAAAADD4AYAAAAAAJuLA2sAAAAAWxMHAAAAAAAAAAAAAAAAAAAAAAAA"
    b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\0"
    b"log_client_name\0localhost\0log_client_address\x00127.0.0.1\0"
    b"log_client_port\x0057442\0log_protocol_name\0ESMTP\0log_helo_name\0host.example\0sasl_method\0\0"
    b"sasl_username\0\0sasl_sender\0\0log_ident\x00701072443CA\0rewrite_context\0local\0recipient_count\x002\0\0"
    b"original_recipient\0hard@ok.example\0recipient\0hard@ok.example\0offset\x00793\0"
    b"dsn_orig_rcpt\0rfc822;hard@ok.example\0notify_flags\x004\0\0"
    b"original_recipient\0ok@ok.example\0recipient\0ok@ok.example\0offset\x00707\0"
    b"dsn_orig_rcpt\0rfc822;first@ok.example\0notify_flags\x006\0\0"
)
HARD = Recipient("hard@ok.example", "hard@ok.example", 793, "rfc822;hard@ok.example", Notify.FAILURE)
OK = Recipient("ok@ok.example", "ok@ok.example", 707, "rfc822;first@ok.example", Notify.SUCCESS | Notify.FAILURE)
DELIVERY = DeliveryRequest(
    RequestFlags.MARK_DONE | RequestFlags.BOUNCE_DELETE,
    "active",
    "701072443CA",
    812,
    297,
    "[127.0.0.1]:2610",
    "8bit",
    SendOptions(0),
    "s@sender.example",
    "abc123",
    Ret.HDRS,
    MessageTimes(1795394459.450755, 1795394459.463707),
    Submission("localhost", "127.0.0.1", "57442", "ESMTP", "host.example", log_ident="701072443CA"),
    (HARD, OK),
)


class ScriptedService:
    """Listens at a path; each connection plays the next script, the last one repeats.

    Steps: ``("send", octets)``, ``("read", octets)`` (what must arrive), ``("close", None)``, ``("take", None)`` (a
    descriptor must arrive; it goes to `descriptors`), ``("pass", descriptor)``, ``("eof", None)``.

    Attributes:
        problems: what did not arrive as it should.
        connections: how many were accepted.
    """

    def __init__(self, path: Path, *scripts: Sequence[Step]) -> None:
        self.path = path
        self.problems: list[str] = []
        self.descriptors: list[int] = []
        self.connections = 0
        self._scripts = scripts
        path.parent.mkdir(exist_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(10)
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._socket.close()
        for thread in self._threads:
            thread.join(10)
        for descriptor in self.descriptors:
            os.close(descriptor)
        if kind is None:
            assert self.problems == []

    def _accept(self) -> None:
        while True:
            try:
                connected, _ = self._socket.accept()
            except OSError:
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            thread = threading.Thread(target=self._play, args=(connected, script), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _play(self, connected: socket.socket, script: Sequence[Step]) -> None:
        connected.settimeout(10)
        with connected:
            for name, argument in script:
                match name:
                    case "send":
                        assert isinstance(argument, bytes)
                        connected.sendall(argument)
                    case "read":
                        assert isinstance(argument, bytes)
                        self._read(connected, argument)
                    case "take":
                        octets, descriptors, _, _ = socket.recv_fds(connected, 1, 1)
                        if octets != b"\0" or len(descriptors) != 1:
                            self.problems.append(f"{octets!r} with {len(descriptors)} descriptors")
                        self.descriptors += descriptors
                    case "pass":
                        assert isinstance(argument, int)
                        socket.send_fds(connected, [b"\0"], [argument])
                    case "eof":
                        self._read(connected, b"")
                    case "close":
                        return

    def _read(self, connected: socket.socket, wanted: bytes) -> None:
        found = b""
        while len(found) < max(len(wanted), 1):
            octets = connected.recv(max(len(wanted) - len(found), 1))
            if not octets:
                break
            found += octets
        if found != wanted:
            self.problems.append(f"{found!r} arrived, not {wanted!r}")


def announce(protocol: str) -> Step:
    """The announcement of a service."""
    return "send", f"protocol\0{protocol}\0\0".encode()
