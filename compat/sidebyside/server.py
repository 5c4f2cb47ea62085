"""Scripted SMTP and LMTP servers.

A server is a mapping. ``at``: ``192.0.2.1:25``, ``[2001:db8::1]:25``, ``unix:/run/sidebyside/sockets/x``; ``lmtp``;
``host`` (its name); ``greet``; ``kw`` (EHLO keywords), ``kw_tls`` (those under TLS); ``tls`` (see
:func:`compat.sidebyside.certificates.server_context`; ``do`` instead of a handshake, ``wrap`` at once, ``offer``);
``auth`` ({user: password}), ``auth_ok``, ``auth_bad``, ``scram``; ``body`` ({after: octets, do: action}); ``one_write``
(false: each reply on its own); ``linger`` (wait for the client to close after QUIT); ``conns`` (overrides by
connection); and ``on``: {verb: answer} for GREET EHLO HELO MAIL RCPT DATA DOT RSET QUIT AUTH STARTTLS XFORWARD.

An answer is text (CRLF is added), bytes, a list (first, second, ... time), {regular expression on the command:
answer}, or an action: ``("reply", text)``, ``("close",)``, ``("rst",)``, ``("shut",)``, ``("hang",)``, ``("stall",)``,
``("sleep", seconds)``, ``("raw", octets)``, ``("half", text)``, ``("pieces", [text, ...])``,
``("drip", text, seconds)``, ``("flood", line, number)``, ``("mark", text)``, or a tuple of several.
"""

import asyncio
import base64
import contextlib
import os
import re
import socket
import ssl
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compat.sidebyside import certificates
from compat.sidebyside.authentication import exchange
from compat.sidebyside.connection import Connection, Hangup
from compat.sidebyside.observations import Observations

_KEYWORDS = ("PIPELINING", "SIZE 10240000", "ENHANCEDSTATUSCODES", "8BITMIME", "DSN")
_REPLIES = {
    "HELO": "250 {host}",
    "MAIL": "250 2.1.0 Ok",
    "RCPT": "250 2.1.5 Ok",
    "DATA": "354 End data with <CR><LF>.<CR><LF>",
    "DOT": "250 2.0.0 Ok: queued as 12345",
    "RSET": "250 2.0.0 Ok",
    "NOOP": "250 2.0.0 Ok",
    "QUIT": "221 2.0.0 Bye",
    "XFORWARD": "250 2.0.0 Ok",
    "VRFY": "252 2.0.0 maybe",
    "STARTTLS": "220 2.0.0 Ready to start TLS",
}


class Server:
    """Listens at one place.

    Attributes:
        count: of connections.
        sessions: the conversations on them.
    """

    def __init__(self, observations: Observations, keywords: Mapping[str, Any]) -> None:
        self.observations = observations
        self.keywords = keywords
        self.at = str(keywords["at"])
        self.count = 0
        self.used: dict[str, int] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.sessions: list[Session] = []
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._socket: socket.socket
        self._acceptor: asyncio.Task[None]

    def start(self) -> None:
        """Listen; in the loop."""
        if self.at.startswith("unix:"):
            path = Path(self.at.removeprefix("unix:"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(os.fspath(path))
            path.chmod(self.keywords.get("mode", 0o666))
        else:
            host, _, port = self.at.rpartition(":")
            host = host.strip("[]")
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._socket = socket.socket(family)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._socket.bind((host, int(port)))
        self._socket.listen(self.keywords.get("backlog", 128))
        self._socket.setblocking(False)
        self._acceptor = asyncio.get_running_loop().create_task(self._accept())

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connected, peer = await loop.sock_accept(self._socket)
            except OSError:
                return
            self.observations.bump()
            self.count += 1
            connected.setblocking(False)
            if connected.family != socket.AF_UNIX:
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            session = Session(self, connected, peer, self.count)
            self.sessions.append(session)
            where = peer[0] if isinstance(peer, tuple) else "unix"
            self.observations.connections.append(f"{self.at} #{self.count} from {where}")
            self.observations.transcripts[f"{self.at}#{self.count:02d}"] = session.connection.script
            self.observations.pending += 1
            task = loop.create_task(session.run())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def stop(self) -> None:
        """Do not listen any more, and close all connections."""
        self._acceptor.cancel()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(self._acceptor, *self.tasks, return_exceptions=True)
        self._socket.close()
        for session in self.sessions:
            session.connection.socket.close()

    def context(self, tls: dict[str, Any]) -> ssl.SSLContext:
        """One context for the server: session tickets must outlive connections."""
        key = repr(sorted((name, repr(value)) for name, value in tls.items()))
        if key not in self._contexts:
            self._contexts[key] = certificates.server_context(tls)
        return self._contexts[key]


def _crlf(text: str | bytes) -> bytes:
    if isinstance(text, bytes):
        return text
    return text.replace("\n", "\r\n").encode("utf-8", "surrogateescape") + b"\r\n"


def _octets(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


class Session:
    """The conversation on one connection."""

    def __init__(self, server: Server, connected: socket.socket, peer: Any, number: int) -> None:
        self._server = server
        self._own: Mapping[str, Any] = {}
        keywords = dict(server.keywords)
        overrides = keywords.get("conns")
        if overrides:
            self._own = overrides[min(number, len(overrides)) - 1]
            keywords.update({name: value for name, value in self._own.items() if name != "on"})
        self._keywords = keywords
        self._host = keywords.get("host", "mx.test")
        self._lmtp = keywords.get("lmtp", False)
        self._used: dict[str, int] = {}
        self._deaf = False
        self._accepted: list[str] = []
        self.connection = Connection(server.observations, connected, peer, in_one_write=keywords.get("one_write", True))

    async def run(self) -> None:
        """Talk until the connection is over."""
        connection, observations = self.connection, self._server.observations
        try:
            await self._talk()
            if connection.eof:
                connection.socket.close()
        except Hangup:
            connection.eof = True
            connection.socket.close()
        except ConnectionError as failure:
            connection.note("*", f"server: {type(failure).__name__}")
            connection.socket.close()
        except asyncio.CancelledError:
            pass
        except Exception as failure:  # a mistake of ours must be seen
            observations.connections.append(f"server: {failure!r}")
            connection.note("*", f"server: {failure!r}")
            connection.socket.close()
            raise
        finally:
            observations.pending -= 1

    async def _talk(self) -> None:
        connection = self.connection
        tls = self._keywords.get("tls") or {}
        if tls.get("wrap"):
            await self._start_tls(tls)
        greeting = self._pick("GREET")
        await self._perform(self._keywords.get("greet", "220 {host} ESMTP lab") if greeting is None else greeting)
        while not self._deaf:
            await connection.flush()
            line = await connection.line()
            if line is None:
                return
            await self._command(line.decode("utf-8", "surrogateescape"))
        while not connection.eof:
            await connection.flush()
            connection.buffer = b""
            await connection.receive()
            await connection.settle()

    # Choosing answers

    def _pick(self, key: str, line: str = "") -> Any:
        """The scripted answer; None: there is none."""
        own = self._own.get("on", {})
        for answers, used in ((own, self._used), (self._server.keywords.get("on", {}), self._server.used)):
            if key in answers:
                found = self._choose(answers[key], key, line, used)
                if found is not None:
                    return found
        return None

    def _choose(self, answer: Any, key: str, line: str, used: dict[str, int]) -> Any:
        if isinstance(answer, Mapping):
            for pattern, value in answer.items():
                if pattern and re.search(pattern, line, re.I):
                    return self._choose(value, f"{key}/{pattern}", line, used)
            return self._choose(answer[""], f"{key}/", line, used) if "" in answer else None
        if isinstance(answer, list):
            at = used.get(key, 0)
            used[key] = at + 1
            return self._choose(answer[min(at, len(answer) - 1)], key, line, used)
        return answer

    # Performing them

    async def _perform(self, answer: Any) -> str:
        """Do what an answer says; the reply code that the client gets, or nothing."""
        if isinstance(answer, (str, bytes)):
            octets = _crlf(answer.replace("{host}", self._host) if isinstance(answer, str) else answer)
            self.connection.replies.append(octets)
            return octets.rstrip(b"\r\n").rsplit(b"\n", 1)[-1][:3].decode("ascii", "replace")
        if answer and isinstance(answer[0], tuple):
            code = ""
            for part in answer:
                code = await self._perform(part) or code
            return code
        name, *arguments = answer
        if name == "reply":
            return await self._perform(arguments[0])
        if name == "stall":
            await self._stall()
        await self.connection.flush()
        await self.connection.settle()
        return await self._act(name, arguments)

    async def _act(self, name: str, arguments: list[Any]) -> str:
        connection = self.connection
        match name:
            case "close":
                connection.note("*", "server closes")
                self._close()
                raise Hangup
            case "rst":
                connection.note("*", "server resets")
                connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.socket.close()
                raise Hangup
            case "shut":
                connection.note("*", "server shuts down its side")
                connection.socket.shutdown(socket.SHUT_WR)
                self._deaf = True
            case "hang":
                connection.note("*", "server hangs")
                self._deaf = True
            case "sleep":
                await asyncio.sleep(arguments[0])
            case "raw":
                await connection.send(arguments[0])
                return str(arguments[0].lstrip()[:3].decode("ascii", "replace"))
            case "half":
                await connection.send(arguments[0].encode())
                self._deaf = True
            case "pieces":  # several writes, each only when the client sleeps again
                pieces = [_octets(piece) for piece in arguments[0]]
                for piece in pieces:
                    await connection.send(piece)
                    await connection.observations.quiet()
                return b"".join(pieces).rsplit(b"\n", 2)[-2][:3].decode("ascii", "replace")
            case "drip":
                for octet in _crlf(arguments[0]):
                    await connection.send(bytes([octet]))
                    await asyncio.sleep(arguments[1])
                return str(arguments[0][:3])
            case "flood":
                for _ in range(arguments[1]):
                    await connection.send(_crlf(arguments[0]))
            case "mark":
                connection.note("*", arguments[0])
            case _:
                raise ValueError(name)
        return ""

    async def _stall(self) -> None:
        """Stop reading, in the middle of what comes."""
        connection = self.connection
        connection.group = connection.group[:2000]
        connection.note("*", "server stops reading")
        connection.observations.pending -= 1
        try:
            await asyncio.Event().wait()
        finally:
            connection.observations.pending += 1

    def _close(self) -> None:
        self.connection.close(notify=(self._keywords.get("tls") or {}).get("close_notify", True))

    # Commands

    async def _command(self, line: str) -> None:
        verb = line.split(" ", 1)[0].split(":", 1)[0].upper()
        if verb == "AUTH":
            await self._authenticate(line)
            return
        key, default = verb, _REPLIES.get(verb, "500 5.5.2 Error: command not recognized")
        if verb in ("EHLO", "LHLO"):
            key, default = "EHLO", self._capabilities()
            if self._lmtp != (verb == "LHLO"):
                default = "500 5.5.1 Wrong protocol"
        if verb == "STARTTLS" and self._keywords.get("tls") is None:
            default = "502 5.5.1 no TLS here"
        answer = self._pick(key, line)
        code = await self._perform(default if answer is None else answer)
        if verb == "STARTTLS" and isinstance(answer, bytes):  # something may follow the reply
            code = answer[:3].decode()
        await self._afterwards(verb, line, code)

    async def _afterwards(self, verb: str, line: str, code: str) -> None:
        connection = self.connection
        match verb:
            case "MAIL" | "RSET" | "EHLO" | "HELO" | "LHLO":
                self._accepted = []
            case "RCPT" if code.startswith("2"):
                self._accepted.append(line)
            case "STARTTLS" if code.startswith("2") and self._keywords.get("tls") is not None:
                await connection.flush()
                await self._start_tls(self._keywords["tls"])
            case "DATA" if code.startswith("3"):
                await self._message()
            case "QUIT" if not self._deaf:
                await connection.flush()
                if not self._keywords.get("linger"):
                    await connection.settle()
                    if not connection.eof:
                        self._close()
                    raise Hangup

    def _capabilities(self) -> str:
        words = list(self._keywords.get("kw", _KEYWORDS))
        tls = self._keywords.get("tls")
        if self.connection.tls and self._keywords.get("kw_tls") is not None:
            words = list(self._keywords["kw_tls"])
        if tls is not None and not self.connection.tls and not tls.get("wrap") and tls.get("offer", True):
            words.append("STARTTLS")
        lines = [self._host, *words]
        return "\n".join(f"250{'-' if at < len(lines) - 1 else ' '}{word}" for at, word in enumerate(lines))

    async def _message(self) -> None:
        if not await self._read_message():
            return
        for recipient in self._accepted if self._lmtp else [""]:
            answer = self._pick("DOT", recipient)
            await self._perform(_REPLIES["DOT"] if answer is None else answer)
        self._accepted = []

    async def _read_message(self) -> bool:
        """Read up to and including the final dot; false if it does not come."""
        connection = self.connection
        interruption = self._keywords.get("body")
        start = 0
        while True:
            if connection.buffer.startswith(b".\r\n"):
                connection.buffer = connection.buffer[3:]
                return True
            at = connection.buffer.find(b"\r\n.\r\n", start)
            if interruption and len(connection.buffer) >= interruption["after"]:
                await self._perform(interruption["do"])
                return False
            if at >= 0:
                connection.buffer = connection.buffer[at + 5 :]
                return True
            seen = len(connection.buffer)
            start = max(0, seen - 4)
            if connection.eof:
                return False
            await connection.flush()
            if len(connection.buffer) != seen:
                continue
            if connection.eof:
                return False
            await connection.receive()

    async def _start_tls(self, tls: dict[str, Any]) -> None:
        if tls.get("do"):  # something else instead of a handshake
            await self._perform(tls["do"])
            return
        await self.connection.handshake(self._server.context(tls), tls)

    async def _authenticate(self, line: str) -> None:
        answer = self._pick("AUTH", line)
        if answer is not None:
            await self._perform(answer)
            return
        _, mechanism, *rest = [*line.split(" "), ""]
        talk = exchange(
            mechanism.upper(), rest[0] or None, self._keywords.get("auth", {}), self._keywords.get("scram", {})
        )
        if talk is None:
            await self._perform("504 5.5.4 Unrecognized authentication type")
            return
        good, response = False, None
        try:
            challenge = next(talk)
            while True:
                await self._perform(f"334 {base64.b64encode(challenge).decode()}")
                response = await self.connection.line()
                if response is None:
                    raise Hangup
                challenge = talk.send(_response(response.strip()))
        except StopIteration as end:
            good = end.value
        if good:
            await self._perform(self._keywords.get("auth_ok", "235 2.7.0 Authentication successful"))
        else:
            await self._perform(self._keywords.get("auth_bad", "535 5.7.8 Error: authentication failed"))


def _response(line: bytes) -> bytes | None:
    """A client's response; None: it gave up."""
    if line == b"*":
        return None
    with contextlib.suppress(ValueError):
        return base64.b64decode(line)
    return b""
