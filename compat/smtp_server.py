"""An SMTP or LMTP server that plays scripts, one for each connection, and remembers what it was told.

A script is a list of steps, in either of two notations:

* lists: ``["send", LINE...]``, ``["expect", PREFIX]``, ``["data"]``, ``["eof"]``, ``["readbytes", N]``,
  ``["sleep", SECONDS]``, ``["close"]``, ``["reset"]``, ``["peer"]``;
* mappings: ``send``, ``send_b64``, ``expect`` (a regular expression), ``data``, ``read``, ``sleep``, ``close``,
  ``reset``, ``eof``, ``accept``, ``starttls``, ``sasl``.

Commands that arrive together are read one by one, so scripts fit clients that pipeline. When a script has ended the
connection is closed.
"""

import base64
import contextlib
import os
import re
import socket
import ssl
import struct
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from compat.sasl_server import SaslError, exchange

Step = Sequence[Any] | Mapping[str, Any]
Script = Sequence[Step]
TIMEOUT = 30.0


class _Ended(Exception):
    """The client closed the connection, or the script ended it."""


def _normal(step: Step) -> tuple[str, Any]:
    """A step of either notation as (operation, argument)."""
    if isinstance(step, Mapping):
        ((name, argument),) = step.items()
        match name:
            case "send":
                return "send", [argument] if isinstance(argument, str) else list(argument)
            case "send_b64":
                return "raw", base64.b64decode(argument)
            case "expect":
                return "match", argument
            case "eof":
                return "silent eof", None
        return name, argument
    name, *arguments = step
    match name:
        case "send":
            return "send", arguments
        case "readbytes":
            return "read", arguments[0]
        case _:
            return name, arguments[0] if arguments else None


def sessions_of(steps: Sequence[Mapping[str, Any]]) -> list[Script]:
    """The scripts of the single connections, from a list of steps in which ``accept`` begins the next."""
    sessions: list[list[Mapping[str, Any]]] = [[]]
    for step in steps:
        if "accept" in step:
            sessions.append([])
        else:
            sessions[-1].append(step)
    return list(sessions)


class Connection:
    """One connection and what happened on it.

    Attributes:
        commands: lines received; ``<content N lines>`` and ``.`` for a message, ``<server closes>``,
            ``<server resets>``, ``<peer ADDRESS>`` for steps.
        lines: the same one by one, ``("line", text)`` or ``("data", text)``, dots still stuffed.
        content: the messages, as received.
        octets: everything received, in the pieces of recv(2).
        dialogue: (``S`` or ``C``, line) in the order of the wire, the lines of a message too.
        problems: what the script did not expect.
    """

    def __init__(self, connected: socket.socket, context: ssl.SSLContext | None) -> None:
        connected.settimeout(TIMEOUT)
        self._socket = connected
        self._context = context
        self._buffer = b""
        self._silent = False
        self.commands: list[str] = []
        self.lines: list[tuple[str, str]] = []
        self.content: list[bytes] = []
        self.octets: list[bytes] = []
        self.dialogue: list[tuple[str, str]] = []
        self.problems: list[str] = []

    def play(self, script: Script) -> None:
        """Play a script to its end, and close the connection."""
        try:
            for step in script:
                self._step(*_normal(step))
        except _Ended:
            pass
        except TimeoutError:
            self.problems.append("time-out")
        except (OSError, SaslError) as failure:
            if not isinstance(failure, (BrokenPipeError, ConnectionResetError)):
                self.problems.append(str(failure))
        finally:
            self._socket.close()

    def _step(self, name: str, argument: Any) -> None:
        match name:
            case "send":
                self._send("".join(f"{line}\r\n" for line in argument).encode("utf-8", "surrogateescape"))
            case "raw":
                self._send(argument)
            case "expect":
                line = self._line()
                if not line.startswith(argument):
                    self.problems.append(f"{line!r} does not begin with {argument!r}")
            case "match":
                line = self._line()
                if not re.fullmatch(argument, line):
                    self.problems.append(f"{line!r} does not match {argument!r}")
            case "data":
                self._message()
            case "read":
                while len(self._buffer) < argument:
                    self._receive()
                self._buffer = self._buffer[argument:]
            case "sleep":
                threading.Event().wait(argument)
            case "close":
                self.commands.append("<server closes>")
                raise _Ended
            case "reset":
                self.commands.append("<server resets>")
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                raise _Ended
            case "eof":
                while True:
                    self._line()
            case "silent eof":
                with contextlib.suppress(_Ended):
                    line = self._line()
                    self.problems.append(f"{line!r} instead of the end")
                raise _Ended
            case "peer":
                self.commands.append(f"<peer {self._socket.getpeername()[0]}>")
            case "starttls":
                self._starttls()
            case "sasl":
                exchange(argument, self._line(), self._send_line, self._line)
            case _:
                raise ValueError(f"unknown step {name!r}")

    def _send(self, octets: bytes) -> None:
        self.dialogue += [("S", line) for line in octets.decode("utf-8", "surrogateescape").splitlines()]
        self._socket.sendall(octets)

    def _send_line(self, line: str) -> None:
        self._send(line.encode() + b"\r\n")

    def _receive(self) -> None:
        octets = self._socket.recv(65536)
        if not octets:
            raise _Ended
        self.octets.append(octets)
        self._buffer += octets

    def _octet_line(self) -> bytes:
        while b"\n" not in self._buffer:
            self._receive()
        line, _, self._buffer = self._buffer.partition(b"\n")
        self.dialogue.append(("C", line.removesuffix(b"\r").decode("utf-8", "surrogateescape")))
        return line

    def _line(self) -> str:
        line = self._octet_line().removesuffix(b"\r").decode("utf-8", "surrogateescape")
        self.commands.append(line)
        self.lines.append(("line", line))
        return line

    def _message(self) -> None:
        content: list[bytes] = []
        try:
            while True:
                line = self._octet_line()
                content.append(line + b"\n")
                text = line.removesuffix(b"\r").decode("utf-8", "surrogateescape")
                self.lines.append(("data", text))
                if text == ".":
                    content.pop()
                    break
        finally:
            self.content.append(b"".join(content))
        self.commands += [f"<content {len(content)} lines>", "."]

    def _starttls(self) -> None:
        if self._context is None:
            raise ValueError("a server without a certificate")
        if self._buffer:
            self.problems.append(f"{self._buffer!r} before the handshake")
        try:
            self._socket = self._context.wrap_socket(self._socket, server_side=True)
        except ssl.SSLError as failure:
            self.problems.append(f"TLS handshake: {failure}")
            raise _Ended from None


class SmtpServer:
    """Listens at one place, as a context manager.

    Args:
        listen: ``ADDRESS:PORT`` (port 0: any), ``[ADDRESS6]:PORT`` or ``unix:PATH``.
        sessions: a script for each connection, in the order of arrival; the last one repeats.
        context: for TLS.

    Attributes:
        connections: all that were accepted, in order.
    """

    def __init__(
        self,
        sessions: Sequence[Script],
        listen: str = "127.0.0.1:0",
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._sessions = list(sessions)
        self._context = context
        self.connections: list[Connection] = []
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._unix: Path | None = None
        if listen.startswith("unix:"):
            self._unix = Path(listen.removeprefix("unix:"))
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(str(self._unix))
            os.chmod(self._unix, 0o666)
            self._socket.listen(100)
            self.address, self.port = str(self._unix), 0
        else:
            host, _, port = listen.rpartition(":")
            family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
            self._socket = socket.create_server((host.strip("[]"), int(port)), family=family, backlog=100)
            self.address, self.port = self._socket.getsockname()[:2]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._acceptor.join()
        if self._unix is not None:
            with contextlib.suppress(FileNotFoundError):
                self._unix.unlink()

    @property
    def nexthop(self) -> str:
        """This server as a destination."""
        if self._unix is not None:
            return f"unix:{self.address}"
        host = f"ipv6:{self.address}" if ":" in str(self.address) else self.address
        return f"[{host}]:{self.port}"

    @property
    def problems(self) -> list[str]:
        """What was not as the scripts say."""
        return [problem for connection in self.connections for problem in connection.problems]

    def _accept(self) -> None:
        while True:
            try:
                connected, _ = self._socket.accept()
            except OSError:
                return
            connection = Connection(connected, self._context)
            script = self._sessions[min(len(self.connections), len(self._sessions) - 1)]
            thread = threading.Thread(target=connection.play, args=(script,), daemon=True)
            with self._changed:
                self.connections.append(connection)
                self._threads.append(thread)
                thread.start()
                self._changed.notify_all()

    def wait_for(self, connections: int, timeout: float = TIMEOUT) -> None:
        """Wait until there were so many connections."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._threads) >= connections, timeout):
                raise TimeoutError(f"only {len(self._threads)} connections")

    def wait(self, connections: int = 0, timeout: float = TIMEOUT) -> None:
        """Wait until there were so many connections, and all of them have ended."""
        self.wait_for(connections, timeout)
        for thread in list(self._threads):
            thread.join(timeout)


def sink_script(greeting: str = "220 sink.example ESMTP", messages: int = 1) -> list[list[Any]]:
    """A script that takes messages of one recipient, with no extension of the protocol."""
    script: list[list[Any]] = [["send", greeting], ["expect", "EHLO"], ["send", "250 sink.example"]]
    for number in range(messages):
        if number:
            script += [["expect", "RSET"], ["send", "250 2.0.0 Ok"]]
        script += [
            ["expect", "MAIL FROM"],
            ["send", "250 2.1.0 Ok"],
            ["expect", "RCPT TO"],
            ["send", "250 2.1.5 Ok"],
            ["expect", "DATA"],
            ["send", "354 go ahead"],
            ["data"],
            ["send", f"250 2.0.0 queued as {number + 1}"],
        ]
    return [*script, ["expect", "QUIT"], ["send", "221 2.0.0 Bye"], ["eof"]]
