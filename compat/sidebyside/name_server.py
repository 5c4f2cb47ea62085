"""Authoritative answers for a whole made-up world, on 127.0.0.1:53.

A zone is a mapping from names to lists of records, or to one of the words ``SERVFAIL``, ``TIMEOUT``, ``REFUSED``,
``NXDOMAIN``, ``NOTIMP``, ``FORMERR``, ``GARBAGE``, ``TRUNC`` (answered over TCP only). A record is ``("MX", 10,
"mx1.dest.test.")``, ``("A", "192.0.2.1")``, ``("TLSA", 3, 1, 1, hex)``, ``("CNAME", "x.")``, or ``("TYPE:word",)``
for trouble with one type. Answers keep the order of the zone.
"""

import asyncio
import struct
from collections.abc import Mapping, Sequence
from typing import Any, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from compat.sidebyside.observations import Observations

Record = tuple[Any, ...]
Zone = Mapping[str, str | Sequence[Record]]
_RCODES = {
    "SERVFAIL": dns.rcode.SERVFAIL,
    "REFUSED": dns.rcode.REFUSED,
    "NXDOMAIN": dns.rcode.NXDOMAIN,
    "NOTIMP": dns.rcode.NOTIMP,
    "FORMERR": dns.rcode.FORMERR,
}
_MOST_ALIASES = 20
_TTL = 300


def _rdata(rtype: dns.rdatatype.RdataType, text: str) -> dns.rdata.Rdata:
    try:
        return dns.rdata.from_text(dns.rdataclass.IN, rtype, text)
    except dns.exception.DNSException:
        if rtype != dns.rdatatype.TLSA:
            raise
        usage, selector, matching, data = text.split()  # malformed on purpose
        wire = bytes([int(usage), int(selector), int(matching)]) + bytes.fromhex(data)
        return dns.rdata.GenericRdata(dns.rdataclass.IN, rtype, wire)


def _plain(name: str) -> str:
    return name.rstrip(".").lower()


class NameServer:
    """Answers over UDP and TCP.

    Attributes:
        secure: suffixes whose names are answered with the AD bit.
    """

    def __init__(self, observations: Observations) -> None:
        self.observations = observations
        self._zone: dict[str, str | Sequence[Record]] = {}
        self._secure: list[str] = []

    def load(self, zone: Zone, secure: Sequence[str] = ()) -> None:
        """Answer from another zone from now on."""
        self._zone = {_plain(name): records for name, records in zone.items()}
        self._secure = [_plain(suffix) for suffix in secure]

    async def start(self, address: str = "127.0.0.1") -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: _Datagrams(self), local_addr=(address, 53))
        await asyncio.start_server(self._connection, address, 53)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                query = await reader.readexactly(length)
                self.observations.bump()
                answer = self.answer(query, over_tcp=True)
                if answer is not None:
                    writer.write(struct.pack("!H", len(answer)) + answer)
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    def _records(self, name: str) -> str | Sequence[Record] | None:
        found = self._zone.get(name)
        return self._zone.get("*." + name.partition(".")[2]) if found is None else found

    def answer(self, wire: bytes, *, over_tcp: bool) -> bytes | None:
        """The answer to a query; None: there is none."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        question = query.question[0]
        name = _plain(question.name.to_text())
        rtype = dns.rdatatype.to_text(question.rdtype)
        self.observations.questions.add((name, rtype))
        response = dns.message.make_response(query, recursion_available=True)
        if any(name == suffix or name.endswith(f".{suffix}") for suffix in self._secure):
            response.flags |= dns.flags.AD
        owner = name
        for _ in range(_MOST_ALIASES):
            records = self._records(owner)
            if records is None:
                if not any(known.endswith(f".{owner}") for known in self._zone):
                    response.set_rcode(dns.rcode.NXDOMAIN)
                break
            if isinstance(records, str):
                records = [(f"{rtype}:{records}",)]
            prefix = f"{rtype}:"
            trouble = next((entry[0].removeprefix(prefix) for entry in records if entry[0].startswith(prefix)), None)
            if trouble == "TIMEOUT":
                return None
            if trouble == "GARBAGE":
                return wire[:2] + b"\x81\x80\x00\x01\x00\x05\x00\x00\x00\x00" + b"\xff" * 20
            if trouble == "TRUNC":
                if not over_tcp:
                    response.flags |= dns.flags.TC
                    return response.to_wire()
            elif trouble:
                response.set_rcode(_RCODES[trouble])
                break
            target = self._add(response, owner, rtype, records)
            if target is None:
                break
            owner = target
        return self._wire(query, response, over_tcp=over_tcp)

    @staticmethod
    def _add(response: dns.message.Message, owner: str, rtype: str, records: Sequence[Record]) -> str | None:
        """Add what belongs to the answer; the name that `owner` is an alias of."""
        target = None
        for kind, *fields in records:
            if ":" in kind or kind not in (rtype, "CNAME"):
                continue
            text = " ".join(f'"{field}"' if kind == "TXT" else str(field) for field in fields)
            if kind == "CNAME" and rtype != "CNAME":
                target = _plain(text)
            # one record a set: dnspython shuffles the records of a set
            rdata = _rdata(dns.rdatatype.from_text(kind), text)
            response.answer.append(dns.rrset.from_rdata(dns.name.from_text(owner), _TTL, rdata))
        return target

    @staticmethod
    def _wire(query: dns.message.Message, response: dns.message.Message, *, over_tcp: bool) -> bytes:
        size = 65535 if over_tcp else max(query.payload or 512, 512)
        try:
            return response.to_wire(max_size=size)
        except dns.exception.TooBig:
            response.answer.clear()
            response.flags |= dns.flags.TC
            return response.to_wire()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._server.observations.bump()
        answer = self._server.answer(data, over_tcp=False)
        if answer is not None:
            self._transport.sendto(answer, addr)
