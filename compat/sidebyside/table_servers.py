"""Servers of socketmap and tcp tables, and a collector of TLS reports.

Each is given as ``(kind, where, data)``, `where` being ``unix:PATH`` or ``HOST:PORT``. Data of ``socketmap``: {map:
{key: reply}}, replies whole (``OK x``, ``NOTFOUND ``, ``TEMP x``, ``PERM x``; bytes as they are; None: hang up). Data
of ``tcp``: {key: reply line}. ``tlsrpt`` has none.
"""

import asyncio
import contextlib
import json
import os
import re
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from compat.sidebyside.observations import Observations

Specification = tuple[str, str, Mapping[str, Any]]


class TableServers:
    """All of one scenario."""

    def __init__(self, observations: Observations) -> None:
        self._observations = observations
        self._servers: list[asyncio.Server | asyncio.DatagramTransport] = []

    async def start(self, specifications: Sequence[Specification]) -> None:
        """Listen."""
        for kind, where, data in specifications:
            if kind == "tlsrpt":
                self._servers.append(await self._collector(where.removeprefix("unix:")))
            else:
                self._servers.append(await self._table(kind, where, data))

    async def _table(self, kind: str, where: str, data: Mapping[str, Any]) -> asyncio.Server:
        converse = self._socketmap if kind == "socketmap" else self._tcp

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError, ValueError):
                await converse(reader, writer, data)
            writer.close()

        if where.startswith("unix:"):
            path = where.removeprefix("unix:")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            server = await asyncio.start_unix_server(serve, path)
            os.chmod(path, 0o666)
            return server
        host, _, port = where.rpartition(":")
        return await asyncio.start_server(serve, host, int(port), reuse_address=True)

    async def _collector(self, path: str) -> asyncio.DatagramTransport:
        """One JSON datagram for each TLS session, as libtlsrpt sends it."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        receiver.bind(path)
        receiver.setblocking(False)
        os.chmod(path, 0o666)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Collector(self._observations), sock=receiver)
        return transport

    def stop(self) -> None:
        """Do not listen any more."""
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def _socketmap(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: Mapping[str, Any]
    ) -> None:
        while True:
            head = b""
            while not head.endswith(b":"):
                head += await reader.readexactly(1)
            body = await reader.readexactly(int(head[:-1]))
            await reader.readexactly(1)
            self._observations.bump()
            name, _, key = body.decode().partition(" ")
            self._observations.lookups.append(f"socketmap {name} {key}")
            reply = data.get(name, {}).get(key, "NOTFOUND ")
            if reply is None:
                return
            writer.write(reply if isinstance(reply, bytes) else b"%d:%s," % (len(reply.encode()), reply.encode()))

    async def _tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: Mapping[str, Any]) -> None:
        while line := await reader.readline():
            self._observations.bump()
            request = re.sub(r"%([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), line.decode().strip())
            self._observations.lookups.append(f"tcp {request}")
            reply = data.get(request.partition(" ")[2], "500 not found")
            if reply is None:
                return
            writer.write(f"{reply}\n".encode())


class _Collector(asyncio.DatagramProtocol):
    def __init__(self, observations: Observations) -> None:
        self._observations = observations

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._observations.bump()
        try:
            rows = json.dumps(json.loads(data), indent=1, sort_keys=True, ensure_ascii=True).split("\n")
        except ValueError:
            rows = [f"not JSON: {data!r}"]
        self._observations.reports.append(rows)
