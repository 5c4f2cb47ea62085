"""Postfix's other daemons in small: what a delivery agent reports to or asks, each strict about its protocol.

None of them does more than a delivery agent can see. They answer from memory and remember what they were told.
"""

import asyncio
import os
import secrets
import time
from pathlib import Path

from compat.service import Call, Recorder, Service
from postfix_smtp.ipc.attributes import Kind, Layout, ListError, data, encode, int32
from postfix_smtp.ipc.channel import Channel
from postfix_smtp.ipc.delivery import RECIPIENT, REQUEST, decode_times, encode_reply
from postfix_smtp.ipc.request import DeliveryReply

_DSN = (
    ("status", Kind.STR),
    ("diag_type", Kind.STR),
    ("diag_text", Kind.STR),
    ("mta_type", Kind.STR),
    ("mta_mname", Kind.STR),
    ("action", Kind.STR),
    ("reason", Kind.STR),
)
_RECIPIENT = (
    ("original_recipient", Kind.STR),
    ("recipient", Kind.STR),
    ("offset", Kind.LONG),
    ("dsn_orig_rcpt", Kind.STR),
    ("notify_flags", Kind.INT),
)
_ACTIONS = frozenset(("failed", "delayed", "relayed", "delivered", "deliverable", "undeliverable"))
_ENVELOPE = (
    ("flags", Kind.INT),
    ("queue_name", Kind.STR),
    ("queue_id", Kind.STR),
    ("encoding", Kind.STR),
)
_SENDER = (("sender", Kind.STR), ("envelope_id", Kind.STR), ("ret_flags", Kind.INT))


def _status(number: int) -> bytes:
    return encode((("status", int32(number)),))


class BounceService(Service):
    """bounce(8) under one of its names.

    Attributes:
        fail: answer that the record could not be made.
    """

    protocol = "delivery_status_protocol"
    _command = Layout(("nrequest", Kind.INT), more=True)
    _append = Layout(("flags", Kind.INT), ("queue_id", Kind.STR), *_RECIPIENT, *_DSN)

    def __init__(self, directory: Path, name: str, recorder: Recorder, options_name: str = "smtputf8") -> None:
        super().__init__(directory, name, recorder)
        self.fail = False
        options = (options_name, Kind.INT)
        whole = (*_ENVELOPE, options, *_SENDER)
        self._layouts = {
            0: self._append,
            1: Layout(*whole),
            2: Layout(*whole),
            3: Layout(*whole, ("verp_delimiters", Kind.STR)),
            4: Layout(*whole, *_RECIPIENT, *_DSN),
            5: Layout(*whole),
        }

    async def converse(self, channel: Channel) -> None:
        """One request."""
        (number,) = await channel.receive(self._command)
        if number not in self._layouts:
            self.problem(f"unknown command: {number}")
            await channel.send(_status(-1))
            return
        layout = self._layouts[number]
        call = self.record(layout, await channel.receive(layout), [("nrequest", number)])
        if number == 0:
            self._check(call)
        await channel.send(_status(-1 if self.fail else 0))

    def _check(self, call: Call) -> None:
        if call["action"] not in _ACTIONS:
            self.problem(f"action is {call['action']!r}")
        classes = {"bounce": "5", "defer": "4"}.get(self.name, "245")
        if not call["status"] or call["status"][0] not in classes:
            self.problem(f"status is {call['status']!r}")
        if bool(call["diag_type"]) != bool(call["diag_text"]) or bool(call["mta_type"]) != bool(call["mta_mname"]):
            self.problem("a type without a value, or a value without a type")


class VerifyService(Service):
    """verify(8)."""

    protocol = "address_verification_prrotocol"
    _layout = Layout(
        ("request", Kind.FIXED, "update"),
        ("address", Kind.STR),
        ("recipient_status", Kind.INT),
        ("reason", Kind.STR),
    )

    def __init__(self, directory: Path, name: str, recorder: Recorder) -> None:
        super().__init__(directory, name, recorder)
        self.fail = False

    async def converse(self, channel: Channel) -> None:
        """Requests until the client closes."""
        while True:
            call = self.record(self._layout, await channel.receive(self._layout), [("request", "update")])
            if call["recipient_status"] not in (0, 1, 2):
                self.problem(f"recipient_status is {call['recipient_status']}")
            await channel.send(_status(-1 if self.fail else 0))


class FlushService(Service):
    """flush(8)."""

    protocol = "queue_flush_protocol"
    folder = "public"
    _layout = Layout(("request", Kind.FIXED, "add"), ("site", Kind.STR), ("queue_id", Kind.STR))

    def __init__(self, directory: Path, name: str, recorder: Recorder) -> None:
        super().__init__(directory, name, recorder)
        self.status = 0

    async def converse(self, channel: Channel) -> None:
        """One request."""
        self.record(self._layout, await channel.receive(self._layout), [("request", "add")])
        await channel.send(_status(self.status))


class CacheService(Service):
    """scache(8): sessions by endpoint label, oldest first, and next-hop labels bound to them.

    Attributes:
        ttl_limit: upper limit of how long anything is kept, in seconds.
    """

    protocol = "connection_cache_protocol"
    stream_suffix = ""
    _request = Layout(("request", Kind.STR), more=True)
    _save_endpoint = Layout(("ttl", Kind.INT), ("label", Kind.STR), ("property", Kind.STR))
    _save_destination = Layout(("ttl", Kind.INT), ("label", Kind.STR), ("property", Kind.STR), ("label", Kind.STR))
    _find = Layout(("label", Kind.STR))
    _dummy = Layout(("dummy", Kind.FIXED, ""))

    def __init__(self, directory: Path, name: str, recorder: Recorder, ttl_limit: float = 60.0) -> None:
        super().__init__(directory, name, recorder)
        self.ttl_limit = ttl_limit
        self._sessions: dict[str, list[tuple[int, str, float]]] = {}
        self._bindings: dict[str, list[tuple[str, str, float]]] = {}

    async def converse(self, channel: Channel) -> None:
        """Requests until the client closes."""
        channel.timeout = None
        while True:
            (request,) = await channel.receive(self._request)
            head = [("request", request)]
            match request:
                case "save_endp":
                    call = self.record(self._save_endpoint, await channel.receive(self._save_endpoint), head)
                    await self._save(channel, call)
                case "save_dest":
                    call = self.record(self._save_destination, await channel.receive(self._save_destination), head)
                    self._bind(call)
                    await channel.send(_status(0))
                case "find_endp":
                    call = self.record(self._find, await channel.receive(self._find), head)
                    await self._answer(channel, self._take(call["label"]), None)
                case "find_dest":
                    call = self.record(self._find, await channel.receive(self._find), head)
                    await self._find_destination(channel, call["label"])
                case _:
                    self.problem(f"unknown request {request!r}")
                    await channel.send(_status(1))
                    return

    async def _save(self, channel: Channel, call: Call) -> None:
        await channel.send(encode((("dummy", ""),)))
        descriptor = await channel.receive_descriptor()
        if not os.get_blocking(descriptor):
            self.problem("the saved descriptor does not block")
        expiry = time.monotonic() + min(call["ttl"], self.ttl_limit)
        self._sessions.setdefault(call["label"], []).append((descriptor, call["property"], expiry))
        await channel.send(_status(0))

    def _bind(self, call: Call) -> None:
        endpoint = call.attributes[-1][1]
        expiry = time.monotonic() + min(call["ttl"], self.ttl_limit)
        bindings = self._bindings.setdefault(call["label"], [])
        bindings[:] = [entry for entry in bindings if entry[:2] != (call["property"], endpoint)]
        bindings.append((call["property"], endpoint, expiry))

    def _take(self, label: str) -> tuple[int, str] | None:
        sessions = self._sessions.get(label, [])
        while sessions:
            descriptor, endpoint_property, expiry = sessions.pop(0)
            if expiry > time.monotonic():
                return descriptor, endpoint_property
            os.close(descriptor)
        return None

    async def _find_destination(self, channel: Channel, label: str) -> None:
        for destination_property, endpoint, expiry in self._bindings.get(label, []):
            if expiry > time.monotonic():
                found = self._take(endpoint)
                if found is not None:
                    await self._answer(channel, found, destination_property)
                    return
        await self._answer(channel, None, "")

    async def _answer(self, channel: Channel, found: tuple[int, str] | None, destination: str | None) -> None:
        properties = [("property", found[1] if found else "")]
        if destination is not None:
            properties.insert(0, ("property", destination))
        await channel.send(encode([("status", "0" if found else "2"), *properties]))
        if found is None:
            return
        try:
            await channel.receive(self._dummy)
            await channel.send_descriptor(found[0])
            await channel.receive(self._dummy)
        finally:
            os.close(found[0])

    def stop(self) -> None:
        """Close the saved sessions as well."""
        super().stop()
        for sessions in self._sessions.values():
            for descriptor, _, _ in sessions:
                os.close(descriptor)
        self._sessions.clear()


class TlsManagerService(Service):
    """tlsmgr(8).

    Attributes:
        cachable: whether there is a cache; timeout: of its sessions, in seconds.
        sessions: (cache type, id) to session.
    """

    protocol = "tlsmgr_protocol"
    stream_suffix = ""
    _request = Layout(("request", Kind.STR), more=True)
    _seed = Layout(("size", Kind.INT))
    _policy = Layout(("cache_type", Kind.STR))
    _key = Layout(("cache_type", Kind.STR), ("cache_id", Kind.STR))
    _update = Layout(("cache_type", Kind.STR), ("cache_id", Kind.STR), ("session", Kind.DATA))

    def __init__(self, directory: Path, name: str, recorder: Recorder) -> None:
        super().__init__(directory, name, recorder)
        self.cachable = True
        self.timeout = 3600
        self.sessions: dict[tuple[str, str], bytes] = {}

    async def converse(self, channel: Channel) -> None:
        """Requests until the client closes."""
        while True:
            (request,) = await channel.receive(self._request)
            head = [("request", request)]
            match request:
                case "seed":
                    call = self.record(self._seed, await channel.receive(self._seed), head)
                    seed = secrets.token_bytes(call["size"])
                    await channel.send(encode((("status", "0"), ("seed", data(seed)))))
                case "policy":
                    self.record(self._policy, await channel.receive(self._policy), head)
                    await channel.send(
                        encode((("status", "0"), ("cachable", str(int(self.cachable))), ("timeout", str(self.timeout))))
                    )
                case "lookup":
                    call = self.record(self._key, await channel.receive(self._key), head)
                    session = self.sessions.get((call["cache_type"], call["cache_id"]))
                    status = "0" if session else int32(-1)
                    await channel.send(encode((("status", status), ("session", data(session or b"")))))
                case "update":
                    call = self.record(self._update, await channel.receive(self._update), head)
                    self.sessions[call["cache_type"], call["cache_id"]] = call["session"]
                    await channel.send(_status(0))
                case "delete":
                    call = self.record(self._key, await channel.receive(self._key), head)
                    known = self.sessions.pop((call["cache_type"], call["cache_id"]), None)
                    await channel.send(_status(0 if known else -1))
                case _:
                    self.problem(f"unknown request {request!r}")
                    return


class RewriteService(Service):
    """trivial-rewrite(8), as far as it completes local addresses.

    Attributes:
        origin: domain for addresses without one.
    """

    protocol = "trivial_rewrite_protocol"
    _layout = Layout(("request", Kind.FIXED, "rewrite"), ("rule", Kind.STR), ("address", Kind.STR))

    def __init__(self, directory: Path, name: str, recorder: Recorder, origin: str = "client.example") -> None:
        super().__init__(directory, name, recorder)
        self.origin = origin

    async def converse(self, channel: Channel) -> None:
        """Requests until the client closes."""
        while True:
            call = self.record(self._layout, await channel.receive(self._layout), [("request", "rewrite")])
            self.expect("rule", call["rule"], "local")
            address = call["address"]
            if address and "@" not in address:
                address = f"{address}@{self.origin}"
            await channel.send(encode((("flags", "0"), ("address", address))))


class ProxyMapService(Service):
    """proxymap(8) or proxywrite.

    Attributes:
        tables: ``type:name`` to content.
        table_flags: what the flags of every table are.
    """

    protocol = "proxymap_protocol"
    _request = Layout(("request", Kind.STR), more=True)

    def __init__(self, directory: Path, name: str, recorder: Recorder, version: tuple[int, ...] = (3, 7, 11)) -> None:
        super().__init__(directory, name, recorder)
        self.tables: dict[str, dict[str, str]] = {}
        self.table_flags = 16
        self._new = version >= (3, 11)
        first = ("instance_flags", Kind.INT)
        middle = (first, ("flags", Kind.INT)) if self._new else (("flags", Kind.INT),)
        table = ("table", Kind.STR)
        self._layouts = {
            "open": Layout(table, first if self._new else ("flags", Kind.INT)),
            "lookup": Layout(table, *middle, ("key", Kind.STR)),
            "update": Layout(table, *middle, ("key", Kind.STR), ("value", Kind.STR)),
            "delete": Layout(table, *middle, ("key", Kind.STR)),
        }

    async def converse(self, channel: Channel) -> None:
        """Requests until the client closes."""
        while True:
            (request,) = await channel.receive(self._request)
            if request not in self._layouts:
                self.problem(f"unknown request {request!r}")
                return
            layout = self._layouts[request]
            call = self.record(layout, await channel.receive(layout), [("request", request)])
            await channel.send(encode(self._reply(request, call)))

    def _reply(self, request: str, call: Call) -> list[tuple[str, str]]:
        table = self.tables.get(call["table"])
        flags = [("flags", str(self.table_flags))]
        if request == "open":
            return [("status", "4" if table is None else "0"), *flags]
        status, value = ("4", None) if table is None else ("0", None)
        if table is not None:
            key = call["key"]
            if request == "update":
                table[key] = call["value"]
            elif request == "delete":
                status = "0" if table.pop(key, None) is not None else "1"
            else:
                value = table.get(key)
                status = "1" if value is None else "0"
        reply = [("status", status), *(flags if self._new else [])]
        return [*reply, ("value", value or "")] if request == "lookup" else reply


class CleanupService(Service):
    """cleanup(8): takes messages. Their records are the attribute ``records`` of the call, as (type, text)."""

    protocol = "cleanup_protocol"
    folder = "public"
    _flags = Layout(("flags", Kind.INT))

    def __init__(self, directory: Path, name: str, recorder: Recorder) -> None:
        super().__init__(directory, name, recorder)
        self._serial = 0xC28E3244B00

    def announcement(self) -> bytes:
        """Protocol and the id of the new message."""
        self._serial += 1
        return encode((("protocol", self.protocol), ("queue_id", f"{self._serial:X}")))

    async def converse(self, channel: Channel) -> None:
        """One message."""
        (flags,) = await channel.receive(self._flags)
        records: list[tuple[str, bytes]] = []
        reader = _OctetReader(channel)
        while not records or records[-1][0] != "E":
            kind = chr(await reader.octet())
            length = shift = 0
            while True:
                octet = await reader.octet()
                length |= (octet & 0x7F) << shift
                shift += 7
                if not octet & 0x80:
                    break
            records.append((kind, bytes([await reader.octet() for _ in range(length)])))
        self.recorder.add(Call(self.name, [("flags", flags), ("records", records)]))
        await channel.send(encode((("status", "0"), ("reason", ""))))


class _OctetReader:
    """Octets after a list, one by one: through the list reader, which has read ahead."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._rest = bytearray(channel.take_pending())

    async def octet(self) -> int:
        """The next octet."""
        while not self._rest:
            await self._channel.wait_input()
            octets = self._channel.socket.recv(65536)
            if not octets:
                raise ListError
            self._rest += octets
        return self._rest.pop(0)


class AgentService(Service):
    """A delivery agent that is handed recipients: answers every request with `reply`.

    Attributes:
        reply: the answer; None closes without one.
        hold: requests are answered only while this is set.
    """

    protocol = "delivery_request_protocol"

    def __init__(self, directory: Path, name: str, recorder: Recorder, options_name: str = "smtputf8") -> None:
        super().__init__(directory, name, recorder)
        self.reply: DeliveryReply | None = DeliveryReply(True)
        self.hold = asyncio.Event()
        self.hold.set()
        wanted = REQUEST[options_name].wanted
        self._layout = Layout(*((name, kind) for name, kind, _ in wanted))

    async def converse(self, channel: Channel) -> None:
        """One request."""
        values = await channel.receive(self._layout)
        decode_times(values[11])
        call = Call(self.name, list(zip([name for name, _, _ in self._layout.wanted], values, strict=True)))
        for _ in range(values[22]):
            names = [name for name, _, _ in RECIPIENT.wanted]
            call.attributes += zip(names, await channel.receive(RECIPIENT), strict=True)
        self.recorder.add(call)
        await self.hold.wait()
        if self.reply is not None:
            await channel.send(encode_reply(self.reply))
            await channel.drain()


__all__ = [
    "AgentService",
    "BounceService",
    "CacheService",
    "CleanupService",
    "FlushService",
    "ProxyMapService",
    "RewriteService",
    "TlsManagerService",
    "VerifyService",
]
