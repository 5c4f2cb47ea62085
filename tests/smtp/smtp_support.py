"""Plays the captured conversations against the engine alone: no socket, no clock, no waiting.

:class:`Client` is the driver that the engine asks for, with the output buffer of a real stream so that writes can be
compared one by one. Tables, TLS and SASL are scripted.
"""

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fake_parameters import FakeParameters
from real_sasl import open_vector_sasl
from scripted_security import ScriptedTls
from scripted_server import Server

from postfix_smtp.errors import TableError
from postfix_smtp.ipc.request import Notify, Recipient, RequestFlags, Ret, SendOptions, Submission
from postfix_smtp.sasl.authenticator import Sasl, ServerAuthenticator
from postfix_smtp.smtp import actions
from postfix_smtp.smtp.actions import ConnectionLost, Flow, Need, Source, TimedOut
from postfix_smtp.smtp.context import Context, RequireTls, TlsNeed
from postfix_smtp.smtp.engine import Engine
from postfix_smtp.smtp.envelope import Envelope
from postfix_smtp.smtp.failure import Failure
from postfix_smtp.smtp.mechanism import SaslError
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.smtp.quoting import quote_822
from postfix_smtp.smtp.settings import SmtpSettings
from postfix_smtp.text import to_octets

VECTORS = Path(__file__).parents[1] / "vectors" / "protocol"
VERSIONS = {"3.7": (3, 7, 11), "3.10": (3, 10, 3), "3.11": (3, 11, 6)}
#: Octets a server that does not read takes before a write blocks.
SOCKET_BUFFERS = 4_000_000
TCP_BUFFER, UNIX_BUFFER = 131072, 4096
QUEUE_ID = "4XyZ1abc"


def load(name: str) -> dict[str, Any]:
    """A vector by name."""
    vector: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text())
    return vector


@dataclass
class Result:
    """What a request came to."""

    recipients: list[dict[str, str]] = field(default_factory=list)
    hop_status: dict[str, str] | None = None
    connections: list[list[bytes]] = field(default_factory=list)


@dataclass
class Body:
    """Content of a request."""

    wire: bytes
    size: int

    @classmethod
    def of(cls, request: dict[str, Any], lines: list[dict[str, Any]]) -> "Body":
        """Content of a request; what the message room makes of it is taken from the lines that were captured."""
        content = request.get("content", "From: a\nTo: b\nSubject: test\n\nhello\n")
        if isinstance(content, dict):
            content = content["head"] + content["repeat"] * content["count"]
        size = len(to_octets(content))
        if "raw_records" in request or request.get("encoding") == "8bit":
            stuffed = [to_octets(line["data"]) for line in lines if "data" in line]
        else:
            stuffed = [(b"." if line[:1] == b"." else b"") + line for line in to_octets(content).split(b"\n")[:-1]]
        return cls(b"".join(line + b"\r\n" for line in stuffed), size)


class Client:
    """Delivers the requests of a vector to its server, as the delivery agent would."""

    def __init__(self, vector: dict[str, Any], version: tuple[int, ...]) -> None:
        self.vector = vector
        self.main_cf: dict[str, str] = vector.get("main_cf", {})
        program = vector["program"]
        self.prefix = program
        self.settings = SmtpSettings.from_parameters(FakeParameters(program, version, self.main_cf))
        listen = vector.get("listen", "127.0.0.1:0").rpartition(":")
        self.port = int(listen[2]) or 2525
        if "listen_unix" in vector:
            self.peer = Peer("client.example", vector["listen_unix"], 0)
            self.buffer_size = UNIX_BUFFER
        else:
            self.peer = Peer(listen[0], listen[0], self.port)
            self.buffer_size = TCP_BUFFER
        self.server = Server(vector["server"])
        self.sasl: Sasl | None = None
        if self.main_cf.get(f"{program}_sasl_auth_enable") == "yes":
            self.sasl = open_vector_sasl(program, version, self.main_cf)
        self.now = 1_800_000_000.0
        self.engine: Engine | None = None
        self.is_first_connection = True
        self.result = Result()
        self.writes: list[bytes] = []
        self.output = bytearray()
        self._stage = 0
        self._budget = 0.0
        self._undecided: dict[int, str] = {}

    # One request

    def deliver(self, request: dict[str, Any]) -> Result:
        """Deliver and tell what happened."""
        self.result = Result()
        self.request = request
        flags = RequestFlags(request.get("flags", 3))
        self.flags = flags
        self._undecided = {i: recipient["address"] for i, recipient in enumerate(request["recipients"])}
        body = Body.of(request, self.vector["expected"].get("client_lines", []))
        context = self._context(request)
        if self.engine is not None:
            self.writes = []
            self.result.connections.append(self.writes)
            self.engine.reuse_count += 1
            if not self._run(self.engine.probe(context), body):
                self._close()
        if self.engine is None:
            self._connect(flags)
            failure = self._run(self._live().handshake(context), body)
            if failure is not None:
                self._run(self._live().quit(), body)
                self._close()
                self._all_failed(failure)
                return self.result
        self._run(self._live().transaction(self._envelope(request, body)), body)
        if self._live().is_reusable:
            assert not self.output
        else:
            self._close()
        return self.result

    def _live(self) -> Engine:
        assert self.engine is not None
        return self.engine

    def _connect(self, flags: RequestFlags) -> None:
        if not self.is_first_connection:
            self.server.connect()
        self.is_first_connection = False
        self.engine = Engine(self.peer, self.settings)
        if flags & RequestFlags.CACHE_STORE and self.main_cf.get(f"{self.prefix}_connection_cache_on_demand") == "yes":
            self.engine.expires_at = self.now + self.settings.reuse_time_limit
        self.writes = []
        self.output = bytearray()
        self._stage = 0
        self.result.connections.append(self.writes)

    def _close(self) -> None:
        engine = self._live()
        if not engine.is_broken and not engine.discard_output:
            self.output += engine.take_output()
            self._write()
        self.output.clear()
        self.server.hang_up()
        self.engine = None

    def _context(self, request: dict[str, Any]) -> Context:
        if self.sasl is not None:
            nexthop = request["nexthop"].replace("{PORT}", str(self.port))
            self.authenticator = ServerAuthenticator(self.sasl, QUEUE_ID, request["sender"], nexthop, self.peer)
        level = self.main_cf.get(f"{self.prefix}_tls_security_level", "none")
        needs = {"none": TlsNeed.NONE, "may": TlsNeed.MAY, "encrypt": TlsNeed.ENCRYPT}
        requiretls = RequireTls.DISABLE
        options = SendOptions(request.get("sendopts", 0))
        if options & SendOptions.REQUIRETLS and self.main_cf.get("requiretls_enable", "yes") == "yes":
            policy = self.main_cf.get("smtp_requiretls_policy", "enforce")
            requiretls = RequireTls[policy.upper().replace("+", "_")]
        return Context(
            QUEUE_ID,
            nexthop=request["nexthop"].replace("{PORT}", str(self.port)),
            message_age=request.get("age", 1),
            options=options,
            detect_loops=self.prefix == "smtp" and self.port == 25,
            tls=needs.get(level, TlsNeed.MATCH),
            requiretls=requiretls,
            authenticate=self.main_cf.get(f"{self.prefix}_sasl_auth_enable") == "yes",
        )

    def _envelope(self, request: dict[str, Any], body: Body) -> Envelope:
        recipients = [
            Recipient(r.get("orig", r["address"]), r["address"], -1, r.get("orcpt", ""), Notify(r.get("notify", 0)))
            for r in request["recipients"]
        ]
        submission = Submission(
            client_name=request.get("client_name", ""),
            client_address=request.get("client_addr", ""),
            client_port=request.get("client_port", ""),
            protocol_name=request.get("client_proto", ""),
            helo_name=request.get("client_helo", ""),
            log_ident=request.get("log_ident", ""),
            rewrite_context=request.get("rewrite_context", "local"),
        )
        return Envelope(
            request["sender"],
            recipients,
            request.get("size", body.size),
            request.get("encoding", "7bit"),
            request.get("envid", ""),
            Ret(request.get("ret", 0)),
            SendOptions(request.get("sendopts", 0)),
            submission,
            self.settings.probe_target if self.flags & RequestFlags.PROBE else None,
        )

    # The loop around the engine

    def _run(self, flow: Flow[Any], body: Body) -> Any:
        answer: Any = None
        error: Exception | None = None
        while True:
            self._live().now = self.now
            try:
                action = flow.send(answer) if error is None else flow.throw(error)
            except StopIteration as end:
                return end.value
            answer = error = None
            try:
                answer = self._perform(action, body)
            except (ConnectionLost, TimedOut, TableError, SaslError) as problem:
                error = problem

    def _perform(self, action: actions.Action, body: Body) -> Any:
        engine = self._live()
        if engine.stage != self._stage:
            self._stage, self._budget = engine.stage, float(engine.limit)
        match action:
            case Need.DATA:
                self.output += engine.take_output()
                self._write()
                engine.receive(self._read())
            case actions.SendBody():
                self.output += engine.take_output()
                self._send_body(body.wire)
            case actions.LookUp(source, key):
                return self._look_up(source, key)
            case Need.SEND_BUFFER:
                return 87040
            case Need.TLS:
                self.output += engine.take_output()
                self._write()
                self.server.start_tls()
                trusted = f"{self.prefix}_tls_CAfile" in self.main_cf
                return ScriptedTls(trusted, trusted)
            case actions.Pause(seconds):
                self.output += engine.take_output()
                self._write()
                self.now += seconds
            case actions.RecipientDelivered(index, reply):
                word = "deliverable" if self.flags & RequestFlags.PROBE else "sent"
                self._decide(index, reply.status, word, reply.line)
            case actions.RecipientFailed(index, failure):
                self._failed(index, failure)
            case actions.AllFailed(failure):
                self._all_failed(failure)
            case Need.CREDENTIALS:
                return asyncio.run(self.authenticator.has_credentials(None))
            case actions.FilterMechanisms(words):
                return asyncio.run(self.authenticator.filter_mechanisms(words))
            case actions.ChooseMechanism(words):
                return asyncio.run(self.authenticator.choose(words, None))
            case actions.AuthenticationRefused(reply):
                return asyncio.run(self.authenticator.refused(reply))
            case actions.Respond(mechanism, challenge):
                return mechanism.initial() if challenge is None else mechanism.step(challenge)
        return None

    def _write(self) -> None:
        while self.output:
            piece = bytes(self.output[: self.buffer_size])
            del self.output[: self.buffer_size]
            self.writes.append(piece)
            self.server.received += piece
            self.server.run()

    def _read(self) -> bytes:
        server = self.server
        server.run()
        while not server.sent:
            if server.closed:
                raise ConnectionLost
            if not server.pause:
                raise AssertionError(f"both sides wait; received so far: {bytes(server.received)!r}")
            deadline = self.settings.per_request_deadline
            spent = server.wait(self._budget)
            self.now += spent
            if deadline:
                self._budget -= spent
            server.run()
        octets = bytes(server.sent)
        server.sent.clear()
        return octets

    def _send_body(self, content: bytes) -> None:
        self.output += content
        while len(self.output) >= self.buffer_size:
            if self.server.closed:
                self.output.clear()
                raise ConnectionLost
            if self.server.pause and len(self.server.received) > SOCKET_BUFFERS:
                self.now += self.server.wait(self._budget)
            piece = bytes(self.output[: self.buffer_size])
            del self.output[: self.buffer_size]
            self.writes.append(piece)
            self.server.received += piece
            self.server.run()

    # Scripted surroundings

    def _look_up(self, source: Source, key: str) -> str | None:
        name = {
            Source.DISCARDED_KEYWORDS: self.settings.discard_map_name,
            Source.PIX_WORKAROUNDS: f"{self.prefix}_pix_workaround_maps",
            Source.REPLY_FILTER: f"{self.prefix}_reply_filter",
        }[source]
        return _find(self.main_cf.get(name, ""), key)

    # Outcomes

    def _decide(self, index: int, status: str, word: str, text: str) -> None:
        address = quote_822(self._undecided.pop(index))
        self.result.recipients.append({"recipient": address, "dsn": status, "status": word, "text": text})

    def _failed(self, index: int, failure: Failure) -> None:
        dsn = failure.dsn
        word = "bounced" if dsn.is_hard else "deferred"
        status = dsn.status
        if self.flags & RequestFlags.PROBE:
            word = "undeliverable"
        elif dsn.is_hard and self.main_cf.get("soft_bounce") == "yes":
            word, status = "SOFTBOUNCE", "4" + status[1:]
        self._decide(index, status, word, dsn.reason.replace("\n", "?"))

    def _all_failed(self, failure: Failure) -> None:
        for index in sorted(self._undecided):
            self._failed(index, failure)
        dsn = failure.dsn
        if failure.throttle and dsn.is_soft:
            names = ("status", "diag_type", "diag_text", "mta_type", "mta_mname", "reason")
            values = (dsn.status, dsn.diag_type, dsn.diag_text, dsn.mta_type, dsn.mta_name, dsn.reason)
            self.result.hop_status = {name: value for name, value in zip(names, values, strict=True) if value}


def _inline(table: str) -> dict[str, str]:
    pairs = re.findall(r"\{?\{\s*([^={}]+?)\s*=\s*([^{}]*?)\s*\}", table)
    return {key.lower(): value for key, value in pairs}


def _find(table: str, key: str) -> str | None:
    """Ask a table as the vectors define them."""
    if table.startswith("fail:"):
        raise TableError
    if table.startswith("inline:"):
        return _inline(table).get(key.lower())
    if table.startswith(("regexp:", "pcre:")):
        found = re.search(r"\{\{/(.*)/ (.*)\}\}", table)
        assert found is not None
        match = re.search(found[1], key)
        if match is None:
            return None
        template = re.sub(r"\$\{?(\d)\}?", r"\\g<\1>", found[2].replace("$$", "$"))
        return match.expand(template)
    assert not table, table
    return None


def expected(vector: dict[str, Any], version: str) -> dict[str, Any]:
    """What a version is expected to do."""
    return {**vector["expected"], **vector.get("variants", {}).get(version, {})}


def texts(value: Any, port: int) -> Any:
    """A copy with placeholders filled in."""
    if isinstance(value, str):
        return value.replace("{PORT}", str(port)).replace("{QID}", QUEUE_ID)
    if isinstance(value, list):
        return [texts(item, port) for item in value]
    if isinstance(value, dict):
        return {key: texts(item, port) for key, item in value.items()}
    return value


def writes(connection: list[dict[str, Any]]) -> Iterator[bytes | None]:
    """Expected writes of a connection; None: anything."""
    for write in connection:
        if "text" in write:
            yield to_octets(write["text"])
        elif "b64" in write:
            yield base64.b64decode(write["b64"])
        else:
            yield None
