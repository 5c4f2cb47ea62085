"""Sessions on real sockets: the captured conversations again, and what only a driver can do wrong."""

import asyncio
import base64
import contextlib
import logging
import re
import socket
import struct
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "smtp"))

from memory_tls import MemoryTls, client_tls, server_tls
from scripted_security import ScriptedTls
from smtp_support import QUEUE_ID, VECTORS, VERSIONS, Body, Client, expected, load, texts, writes

from postfix_smtp.delivery.session import Session, SessionContext
from postfix_smtp.delivery.stream import Stream
from postfix_smtp.errors import TableError
from postfix_smtp.ipc.request import RequestFlags
from postfix_smtp.smtp.actions import Source
from postfix_smtp.smtp.context import Context
from postfix_smtp.smtp.failure import BodyError, Failure, LocalDataError, local_failure
from postfix_smtp.smtp.mechanism import Mechanism
from postfix_smtp.smtp.reply import Reply
from postfix_smtp.text import to_octets, to_text

WAIT = 5.0


class Recorder(Stream):
    """A stream that notes what it writes."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.writes: list[bytes] = []

    async def _send_raw(self, octets: bytes | bytearray | memoryview) -> None:
        if not self.write_failed:
            self.writes.append(bytes(octets))
        await super()._send_raw(octets)


class StepServer:
    """Performs a vector's steps on a listening socket."""

    def __init__(self, steps: list[dict[str, Any]]) -> None:
        self.steps = [step for step in steps if "sleep" not in step]
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.problem: BaseException | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        connection: socket.socket | None = None
        try:
            connection, reader, writer = await self._accept(loop)
            for step in self.steps:
                match step:
                    case {"send": text}:
                        lines = [text] if isinstance(text, str) else text
                        writer.write(b"".join(to_octets(line) + b"\r\n" for line in lines))
                    case {"send_b64": data}:
                        writer.write(base64.b64decode(data))
                    case {"expect": pattern}:
                        line = to_text((await reader.readuntil(b"\r\n"))[:-2])
                        assert re.fullmatch(pattern, line, re.DOTALL), (pattern, line)
                    case {"data": _}:
                        while await reader.readuntil(b"\r\n") != b".\r\n":
                            pass
                    case {"read": count}:
                        await reader.readexactly(count)
                    case {"close": _}:
                        writer.close()
                    case {"reset": _}:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        writer.close()
                    case {"eof": _}:
                        assert await reader.read() == b""
                        writer.close()
                    case {"accept": _}:
                        writer.close()
                        connection, reader, writer = await self._accept(loop)
                    case {"hang": _}:
                        await asyncio.Event().wait()
                    case {"starttls": _}:
                        await writer.start_tls(server_tls())
                    case _:
                        raise NotImplementedError(step)
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()
        except (AssertionError, asyncio.IncompleteReadError) as problem:
            self.problem = problem
            raise
        finally:
            self.listener.close()

    async def _accept(
        self, loop: asyncio.AbstractEventLoop
    ) -> tuple[socket.socket, asyncio.StreamReader, asyncio.StreamWriter]:
        connection, _ = await loop.sock_accept(self.listener)
        made: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = loop.create_future()

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            made.set_result((reader, writer))

        reader = asyncio.StreamReader(limit=1 << 20)
        await loop.connect_accepted_socket(lambda: asyncio.StreamReaderProtocol(reader, accepted), connection)
        return connection, *await made


class Hooks:
    """Listener, authenticator, TLS and tables of a vector's client."""

    def __init__(self, client: Client) -> None:
        self.client = client

    # Listener

    def mail_started(self) -> None:
        pass

    def data_done(self) -> None:
        pass

    async def recipient_delivered(self, index: int, reply: Reply) -> None:
        word = "deliverable" if self.client.flags & RequestFlags.PROBE else "sent"
        self.client._decide(index, reply.status, word, reply.line)

    async def recipient_failed(self, index: int, failure: Failure) -> None:
        self.client._failed(index, failure)

    async def all_failed(self, failure: Failure) -> None:
        self.client._all_failed(failure)

    # Authenticator

    async def filter_mechanisms(self, words: str) -> str:
        return await self.client.authenticator.filter_mechanisms(words)

    async def has_credentials(self, tls: object) -> bool:
        return await self.client.authenticator.has_credentials(None)

    async def choose(self, mechanisms: str, tls: object, connection: object = None) -> Mechanism | Failure:
        return await self.client.authenticator.choose(mechanisms, None)

    async def refused(self, reply: Reply) -> Mechanism | str | None:
        return await self.client.authenticator.refused(reply)

    # TLS

    async def start(self, stream: Stream, server_name: str) -> ScriptedTls:
        await stream.start_tls(MemoryTls(client_tls()))
        trusted = "smtp_tls_CAfile" in self.client.main_cf
        return ScriptedTls(trusted, trusted)

    # Tables and content

    def table(self, source: Source) -> Any:
        async def look_up(key: str) -> str | None:
            return self.client._look_up(source, key)

        return look_up


class Content:
    """A body in one or more chunks."""

    def __init__(self, octets: bytes, problem: Exception | None = None, chunk: int = 1 << 18) -> None:
        self.octets = octets
        self.problem = problem
        self.chunk = chunk

    async def chunks(self, converting: bool) -> AsyncIterator[bytes]:
        for start in range(0, len(self.octets), self.chunk):
            yield self.octets[start : start + self.chunk]
            await asyncio.sleep(0)
        if self.problem is not None:
            raise self.problem


def session_context(base: Context, hooks: Hooks) -> SessionContext:
    """What the agent would give."""
    fields = {name: getattr(base, name) for name in Context.__dataclass_fields__}
    return SessionContext(
        **fields,
        discard_map=hooks.table(Source.DISCARDED_KEYWORDS),
        pix_map=hooks.table(Source.PIX_WORKAROUNDS),
        reply_filter=hooks.table(Source.REPLY_FILTER),
        starter=hooks,
        authenticator=hooks,
    )


async def connect(port: int) -> Recorder:
    """A stream to a port on loopback."""
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return Recorder(sock)


def _names() -> Iterator[Any]:
    for path in sorted(VECTORS.glob("*.json")):
        vector = load(path.stem)
        waits = any("sleep" in step or "sasl" in step for step in vector["server"])
        fixed = "listen" in vector or "listen_unix" in vector
        if not waits and not fixed and "sasl-auth-cache" not in path.stem and "level-may" not in path.stem:
            yield pytest.param(path.stem)


@pytest.mark.parametrize("name", list(_names()))
def test_captured_conversations_on_a_socket(name: str, caplog: pytest.LogCaptureFixture) -> None:
    vector = load(name)
    version = "3.11" if vector.get("since") == "3.11" else "3.7"
    client = Client(vector, VERSIONS[version])
    caplog.set_level(logging.INFO)
    connections = asyncio.run(asyncio.wait_for(_deliver_all(vector, client), WAIT))
    want = texts(expected(vector, version), client.port)
    wanted = [entry for request in want["requests"] for entry in request["recipients"]]
    if name == "sasl-long-initial-nonempty-challenge":
        wanted[0]["text"] = wanted[0]["text"].rpartition(" ")[0] + " "
    fields = ("recipient", "dsn", "status", "text")
    assert client.result.recipients == [{key: entry[key] for key in fields} for entry in wanted]
    if vector["boundaries"]:
        expected_writes = [
            list(writes(connection)) for request in want["requests"] for connection in request["connections"]
        ]
        for made, expected_ones in zip(connections, expected_writes, strict=True):
            assert len(made) == len(expected_ones)
            assert all(one is None or one == other for one, other in zip(expected_ones, made, strict=True))


async def _deliver_all(vector: dict[str, Any], client: Client) -> list[list[bytes]]:
    server = StepServer(vector["server"])
    port = server.listener.getsockname()[1]
    client.port = port
    object.__setattr__(client.settings, "pix_delay", 0)
    client.peer = type(client.peer)("127.0.0.1", "127.0.0.1", port)
    task = asyncio.create_task(server.run())
    session: Session | None = None
    connections = []
    hooks = Hooks(client)
    try:
        for request in vector["requests"]:
            client.request, client.flags = request, RequestFlags(request.get("flags", 3))
            client._undecided = {i: recipient["address"] for i, recipient in enumerate(request["recipients"])}
            body = Body.of(request, vector["expected"].get("client_lines", []))
            context = session_context(client._context(request), hooks)
            if session is not None:
                session.reuse_count += 1
                session.stream.writes = made = []  # type: ignore[attr-defined]
                connections.append(made)
                if not await session.probe(context):
                    session.close()
                    session = None
            if session is None:
                session = Session(await connect(port), client.peer, client.settings)
                if request.get("flags", 3) & 4096 and "smtp_connection_cache_on_demand" in client.main_cf:
                    session.keep_until = session._clock() + client.settings.reuse_time_limit
                connections.append(session.stream.writes)  # type: ignore[attr-defined]
                failure = await session.handshake(context)
                if failure is not None:
                    await hooks.all_failed(failure)
                    await session.quit()
                    session.close()
                    session = None
                    continue
            await session.transact(client._envelope(request, body), Content(body.wire), hooks)
            if not session.reusable:
                session.close()
                session = None
    finally:
        if session is not None:
            session.close()
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        await task
    if server.problem is not None and not vector["name"].startswith("lost"):
        raise server.problem
    return connections


# What only a driver can do wrong

EHLO = ["250-server.example", "250-PIPELINING", "250 8BITMIME"]
UP_TO_DATA: list[dict[str, Any]] = [
    {"send": "220 server.example ESMTP"},
    {"expect": "EHLO.*"},
    {"send": EHLO},
    {"expect": "MAIL.*"},
    {"expect": "RCPT.*"},
    {"expect": "DATA"},
    {"send": ["250 ok", "250 ok", "354 go"]},
]
REQUEST = {"sender": "a@example.com", "recipients": [{"address": "b@example.com"}], "nexthop": "x"}


def _with_body(steps: list[dict[str, Any]], body: Content, **limits: float) -> tuple[Client, Session, list[bytes]]:
    """One delivery of `body`."""
    vector = {"name": "local", "program": "smtp", "server": steps, "requests": [REQUEST]}
    client = Client(vector, VERSIONS["3.7"])
    for name, value in limits.items():
        object.__setattr__(client.settings.limits, name, value)

    async def deliver() -> Session:
        server = StepServer(steps)
        port = server.listener.getsockname()[1]
        task = asyncio.create_task(server.run())
        client.request, client.flags = REQUEST, RequestFlags(3)
        client._undecided = {0: "b@example.com"}
        hooks = Hooks(client)
        session = Session(await connect(port), client.peer, client.settings)
        failure = await session.handshake(session_context(client._context(REQUEST), hooks))
        if failure is not None:
            await hooks.all_failed(failure)
            await session.quit()
        else:
            envelope = client._envelope(REQUEST, Body(b"", 5))
            await session.transact(envelope, body, hooks)
        session.close()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            await task
        return session

    session = asyncio.run(asyncio.wait_for(deliver(), WAIT))
    return client, session, session.stream.writes  # type: ignore[attr-defined]


def test_content_trouble_sends_what_is_buffered_and_no_dot() -> None:
    problem = BodyError(local_failure("5.6.0", "MIME nesting exceeds safety limit"))
    client, session, made = _with_body(UP_TO_DATA, Content(b"Subject: x\r\n", problem))
    assert client.result.recipients[0]["text"] == "MIME nesting exceeds safety limit"
    assert made[-1] == b"Subject: x\r\n"
    assert session.completed
    assert not session.reusable


def test_damaged_queue_file_sends_nothing_more() -> None:
    failure = Failure(local_failure("5.3.0", "unreadable mail queue entry").dsn, corrupt_queue_file=True)
    client, session, made = _with_body(UP_TO_DATA, Content(b"Subject: x\r\n", BodyError(failure)))
    assert client.result.recipients[0]["dsn"] == "5.3.0"
    assert made[-1].endswith(b"DATA\r\n")
    assert not session.completed


def test_table_trouble_in_content_throttles_the_destination() -> None:
    client, session, _ = _with_body(UP_TO_DATA, Content(b"Subject: x\r\n", LocalDataError()))
    assert client.result.recipients[0]["text"] == "local data error while talking to 127.0.0.1[127.0.0.1]"
    assert client.result.hop_status is not None
    assert not session.completed
    assert {str(kind) for kind in session.error_classes} == {"data"}


def test_server_that_does_not_read_the_content_times_out() -> None:
    steps: list[dict[str, Any]] = [*UP_TO_DATA, {"hang": True}]
    client, session, _ = _with_body(steps, Content(b"x" * 78 * 400_000), data_xfer=0.05)
    text = "conversation with 127.0.0.1[127.0.0.1] timed out while sending message body"
    assert client.result.recipients[0]["text"] == text
    assert not session.reusable


def test_server_that_does_not_answer_times_out() -> None:
    client, _, _ = _with_body([{"hang": True}], Content(b""), helo=0.05)
    text = "conversation with 127.0.0.1[127.0.0.1] timed out while receiving the initial server greeting"
    assert client.result.recipients[0]["text"] == text


def test_body_leaves_in_writes_of_the_buffer_size() -> None:
    steps = [*UP_TO_DATA, {"data": True}, {"send": "250 ok"}, {"expect": "QUIT"}, {"eof": True}]
    content = (b"y" * 76 + b"\r\n") * 10_000
    client, session, made = _with_body(steps, Content(content, chunk=50_000))
    assert client.result.recipients[0]["status"] == "sent"
    size = session.stream.buffer_size
    assert [len(piece) for piece in made[2:-1]] == [size] * (len(content) // size)
    assert b"".join(made[2:]) == content + b".\r\nQUIT\r\n"


def test_listener_failure_passes_through_and_ends_the_session() -> None:
    vector = {"name": "local", "program": "smtp", "server": UP_TO_DATA, "requests": [REQUEST]}
    client = Client(vector, VERSIONS["3.7"])
    client.flags = RequestFlags(3)

    class Failing(Hooks):
        async def all_failed(self, failure: Failure) -> None:
            raise TableError

    async def deliver() -> Session:
        near, far = socket.socketpair()
        far.sendall(b"220 x\r\n250 x\r\n550 no\r\n")
        hooks = Failing(client)
        session = Session(Stream(near), client.peer, client.settings)
        assert await session.handshake(session_context(client._context(REQUEST), hooks)) is None
        with pytest.raises(TableError):
            await session.transact(client._envelope(REQUEST, Body(b"", 5)), Content(b""), hooks)
        session.close()
        far.close()
        return session

    assert not asyncio.run(deliver()).reusable


def test_queue_id_of_the_context_is_used_in_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    steps = [
        *UP_TO_DATA[:2],
        {"send": EHLO},
        *UP_TO_DATA[3:6],
        {"send": ["hello", "550 no", "550 no", "554 no", "250 ok"]},
    ]
    with caplog.at_level(logging.WARNING):
        _with_body(steps, Content(b""))
    assert f"{QUEUE_ID}: non-ESMTP response from 127.0.0.1[127.0.0.1]:2525: hello" in caplog.messages
