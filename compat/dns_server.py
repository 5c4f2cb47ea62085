"""A small authoritative name server for tests: UDP and TCP, scripted trouble included.

Records are lines ``NAME TYPE RDATA``. RDATA may be ``!SERVFAIL``, ``!REFUSED``, ``!FORMERR``, ``!NXDOMAIN``,
``!TIMEOUT``, ``!EMPTY``, ``!GARBAGE`` or ``!TRUNCATE`` (answered over TCP only): that answer for the name and type
(``*``: any type). ``NAME NOCHASE x``: answer the alias alone. Unlisted names do not exist.
"""

import contextlib
import errno
import socket
import struct
import threading
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

TTL = 300
MAX_CHAIN = 10
_RCODES = {
    "!SERVFAIL": dns.rcode.SERVFAIL,
    "!REFUSED": dns.rcode.REFUSED,
    "!FORMERR": dns.rcode.FORMERR,
    "!NXDOMAIN": dns.rcode.NXDOMAIN,
}


def _sockets(address: tuple[str, int]) -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on the same port: any port that is free for both when ``address`` names port 0."""
    for attempts_left in reversed(range(50)):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(address)
            return udp, socket.create_server(udp.getsockname())
        except OSError as error:
            udp.close()
            if error.errno != errno.EADDRINUSE or address[1] or not attempts_left:
                raise
    raise AssertionError("unreachable")


class DnsServer:
    """Serves in a thread of its own, as a context manager.

    Attributes:
        address: host and port it listens on.
        queries: ``name TYPE`` of every question, in order.
        secure: suffixes that are answered as validated.
    """

    def __init__(
        self, records: Iterable[str], address: tuple[str, int] = ("127.0.0.1", 0), secure: Sequence[str] = ()
    ) -> None:
        self._zone: dict[str, list[tuple[str, str]]] = {}
        for line in records:
            name, rtype, data = line.split(None, 2)
            self._zone.setdefault(_plain(name), []).append((rtype.upper(), data))
        self.secure = tuple(map(_plain, secure))
        self.queries: list[str] = []
        self._udp, self._tcp = _sockets(address)
        self.address: tuple[str, int] = self._udp.getsockname()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._serve_udp, self._serve_tcp)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sock in (self._udp, self._tcp):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(5)

    def _serve_udp(self) -> None:
        while True:
            try:
                wire, peer = self._udp.recvfrom(4096)
            except OSError:
                return
            if not wire:
                return
            reply = self._answer(wire, over_tcp=False)
            if reply is not None:
                self._udp.sendto(reply, peer)

    def _serve_tcp(self) -> None:
        while True:
            try:
                client, _ = self._tcp.accept()
            except OSError:
                return
            with client:
                client.settimeout(5)
                (length,) = struct.unpack("!H", client.recv(2, socket.MSG_WAITALL))
                reply = self._answer(client.recv(length, socket.MSG_WAITALL), over_tcp=True)
                if reply is not None:
                    client.sendall(struct.pack("!H", len(reply)) + reply)

    def _answer(self, wire: bytes, *, over_tcp: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        name = _plain(query.question[0].name.to_text())
        rtype = dns.rdatatype.to_text(query.question[0].rdtype)
        self.queries.append(f"{name} {rtype}")
        response = dns.message.make_response(query, recursion_available=True)
        response.flags |= dns.flags.AD
        for _ in range(MAX_CHAIN):
            if not any(name == suffix or name.endswith("." + suffix) or not suffix for suffix in self.secure):
                response.flags &= ~dns.flags.AD
            records = self._zone.get(name)
            if records is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
                break
            trouble = next((data for kind, data in records if data.startswith("!") and kind in (rtype, "*")), None)
            if trouble == "!TRUNCATE" and not over_tcp:
                response.flags |= dns.flags.TC
                break
            if trouble == "!TIMEOUT":
                return None
            if trouble == "!GARBAGE":
                header = response.to_wire()
                return header[:6] + b"\0\1" + header[8:] + b"\xc0\x0c\0"
            if trouble in _RCODES:
                response.set_rcode(_RCODES[trouble])
                break
            wanted = [data for kind, data in records if kind == rtype and not data.startswith("!")]
            if wanted:
                response.answer += [_rrset(name, rtype, data) for data in wanted]
                break
            alias = next((data for kind, data in records if kind == "CNAME"), None)
            if alias is None:
                break
            response.answer.append(_rrset(name, "CNAME", alias))
            if any(kind == "NOCHASE" for kind, _ in records):
                break
            name = _plain(alias)
        wire = response.to_wire(max_size=65535)
        if not over_tcp and len(wire) > 512 and query.edns < 0:
            response.answer.clear()
            response.flags |= dns.flags.TC
            wire = response.to_wire()
        return wire


def _plain(name: str) -> str:
    return name.rstrip(".").lower()


def _rrset(name: str, rtype: str, data: str) -> dns.rrset.RRset:
    """One record a set: dnspython shuffles the records of a set, and the order matters here."""
    rdata = dns.rdata.from_text(
        dns.rdataclass.IN, dns.rdatatype.from_text(rtype), data, origin=dns.name.root, relativize=False
    )
    return dns.rrset.from_rdata(dns.name.from_text(name or "."), TTL, rdata)
