"""Asking name servers: one question, all servers and attempts, UDP then TCP; and a cache of the answers.

What an answer means for mail is in :mod:`postfix_smtp.routing.dns`. Messages are made and read by dnspython; the
exchange itself follows the system's resolver: servers in turn, SERVFAIL, NOTIMP and REFUSED mean "next server", a
truncated answer is asked for again over TCP (delivery chapter 4.2).
"""

import asyncio
import os
import random
import socket
import struct
import time
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.NS
import dns.rdtypes.ANY.RRSIG
import dns.rdtypes.ANY.SOA
import dns.rdtypes.ANY.TLSA
import dns.rdtypes.ANY.TXT
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.rdtypes.IN.SRV

from postfix_smtp.routing import resolv_conf
from postfix_smtp.routing.resolv_conf import ResolverConfig

MAX_NEGATIVE_TTL = 60  #: seconds an answer without records is kept at most: mail retries should see repairs soon
MAX_TTL = 86400
MAX_UDP = 4096
MAX_PARALLEL = 32  #: questions in flight for one process
DNS_PORT = 53


@dataclass(frozen=True, slots=True)
class Record:
    """One resource record, as far as mail looks at it.

    Attributes:
        owner: name without trailing dot (the root is empty).
        ttl: seconds, as received.
        type: ``A``, ``MX``...
        data: address, target name without trailing dot, or the presentation form of other data.
        preference: of MX and SRV (priority), else 0.
        weight, port: of SRV, else 0.
        raw: wire form of the data for types that are compared octet by octet (TLSA), else empty.
    """

    owner: str
    ttl: int
    type: str
    data: str
    preference: int = 0
    weight: int = 0
    port: int = 0
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What came back for one question.

    Attributes:
        rcode: ``NOERROR``, ``NXDOMAIN``, ``SERVFAIL``...; ``TIMEOUT`` when no server answered, ``MALFORMED`` when an
            answer could not be read.
        records: the answer section in wire order.
        authentic: the server says that it validated the answer (AD bit).
    """

    rcode: str
    records: tuple[Record, ...] = ()
    authentic: bool = False


class DnsClient:
    """Asks the configured servers; keeps answers for their TTL, and asks each question once at a time."""

    def __init__(self, cache_size: int, config_path: str = resolv_conf.PATH, port: int = DNS_PORT) -> None:
        self._cache_size = cache_size
        self._cache: dict[tuple[str, str, bool], tuple[float, RawAnswer]] = {}
        self._asking: dict[tuple[str, str, bool], asyncio.Task[RawAnswer]] = {}
        self._config_path = config_path
        self._port = port
        self._config: ResolverConfig | None = None
        self._config_stamp: tuple[int, int] | None = None
        self._parallel = asyncio.Semaphore(MAX_PARALLEL)

    @property
    def config(self) -> ResolverConfig:
        """The resolver configuration; read again when the file was changed, as the system's resolver does."""
        try:
            status = os.stat(self._config_path)
            stamp = (status.st_mtime_ns, status.st_ino)
        except OSError:
            stamp = (0, 0)
        if self._config is None or stamp != self._config_stamp:
            self._config = resolv_conf.read_resolver_config(self._config_path)
            self._config_stamp = stamp
            self._cache.clear()
        return self._config

    async def ask(self, name: str, rtype: str, *, validate: bool = False) -> RawAnswer:
        """The answer to one question, from the cache if it is there.

        Args:
            name: absolute name without trailing dot.
            validate: ask for DNSSEC validation (DO bit); `RawAnswer.authentic` is meaningless without.
        """
        key = (name.lower(), rtype, validate)
        config = self.config
        kept = self._cache.get(key)
        if kept is not None:
            if kept[0] > time.monotonic():
                return kept[1]
            del self._cache[key]
        return await asyncio.shield(self._start(key, name, rtype, validate, config))

    def prefetch(self, name: str, rtype: str, *, validate: bool = False) -> None:
        """Begin to ask what will be asked soon; does nothing without a cache to put the answer in."""
        key = (name.lower(), rtype, validate)
        if self._cache_size > 0 and key not in self._cache:
            self._start(key, name, rtype, validate, self.config)

    def _start(
        self, key: tuple[str, str, bool], name: str, rtype: str, validate: bool, config: ResolverConfig
    ) -> asyncio.Task[RawAnswer]:
        task = self._asking.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._fetch(key, name, rtype, validate, config))
            self._asking[key] = task
        return task

    async def _fetch(
        self, key: tuple[str, str, bool], name: str, rtype: str, validate: bool, config: ResolverConfig
    ) -> RawAnswer:
        try:
            async with self._parallel:
                answer, lifetime = await _exchange(name, rtype, validate, config, self._port)
        finally:
            del self._asking[key]
        if self._cache_size > 0 and lifetime > 0:
            while len(self._cache) >= self._cache_size:
                del self._cache[next(iter(self._cache))]
            self._cache[key] = (time.monotonic() + lifetime, answer)
        return answer


async def _exchange(name: str, rtype: str, validate: bool, config: ResolverConfig, port: int) -> tuple[RawAnswer, int]:
    """One question over all servers and attempts: the answer, and the seconds it may be kept."""
    try:
        query = dns.message.make_query(
            dns.name.from_text(name + "."),
            rtype,
            use_edns=0 if validate else None,
            want_dnssec=validate,
            payload=1232 if validate else None,
        )
    except dns.exception.DNSException:
        return RawAnswer("FORMERR"), 0
    if validate:
        query.flags |= dns.flags.AD
    servers = list(config.servers)
    if config.rotate:
        shift = random.randrange(len(servers))
        servers = servers[shift:] + servers[:shift]
    last = RawAnswer("TIMEOUT")
    for _ in range(config.attempts):
        for position, server in enumerate(servers):
            limit = config.timeout << position
            if position:
                limit = max(1, limit // len(servers))
            try:
                async with asyncio.timeout(limit):
                    response = await _ask_server(query, (server, port), config.use_tcp)
            except (OSError, TimeoutError):
                continue
            except (dns.exception.DNSException, struct.error, ValueError):
                return RawAnswer("MALFORMED"), 0
            rcode = dns.rcode.to_text(response.rcode())
            if rcode in ("SERVFAIL", "NOTIMP", "REFUSED"):
                last = RawAnswer(rcode, authentic=bool(response.flags & dns.flags.AD))
                continue
            return _digest(response, rcode)
    return last, 0


async def _ask_server(query: dns.message.QueryMessage, server: tuple[str, int], use_tcp: bool) -> dns.message.Message:
    wire = query.to_wire()
    if not use_tcp:
        response = await _ask_udp(query, wire, server)
        if not response.flags & dns.flags.TC:
            return response
    return await _ask_tcp(query, wire, server)


def _socket(server: tuple[str, int], kind: socket.SocketKind) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in server[0] else socket.AF_INET, kind)
    sock.setblocking(False)
    return sock


async def _ask_udp(query: dns.message.QueryMessage, wire: bytes, server: tuple[str, int]) -> dns.message.Message:
    loop = asyncio.get_running_loop()
    with _socket(server, socket.SOCK_DGRAM) as sock:
        sock.connect(server)
        await loop.sock_sendall(sock, wire)
        while True:
            received = await loop.sock_recv(sock, MAX_UDP)
            # Only an answer to this very question counts: another ID is an old answer, or a forged one.
            if received[:2] != wire[:2]:
                continue
            response = _decoded(received)
            if query.is_response(response):
                return response


def _decoded(octets: bytes) -> dns.message.Message:
    """A message with its records as they came, those included that are there twice."""
    return dns.message.from_wire(octets, ignore_trailing=True, one_rr_per_rrset=True)


async def _ask_tcp(query: dns.message.QueryMessage, wire: bytes, server: tuple[str, int]) -> dns.message.Message:
    loop = asyncio.get_running_loop()
    with _socket(server, socket.SOCK_STREAM) as sock:
        await loop.sock_connect(sock, server)
        await loop.sock_sendall(sock, struct.pack("!H", len(wire)) + wire)
        (length,) = struct.unpack("!H", await _read_exactly(loop, sock, 2))
        response = _decoded(await _read_exactly(loop, sock, length))
        if not query.is_response(response):
            raise dns.exception.FormError
        return response


async def _read_exactly(loop: asyncio.AbstractEventLoop, sock: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        piece = await loop.sock_recv(sock, count - len(received))
        if not piece:
            raise ConnectionResetError
        received += piece
    return received


def _digest(response: dns.message.Message, rcode: str) -> tuple[RawAnswer, int]:
    records: list[Record] = []
    lifetime = MAX_TTL
    for rrset in response.answer:
        if rrset.rdclass != dns.rdataclass.IN:
            continue
        lifetime = min(lifetime, rrset.ttl)
        owner = _name(rrset.name)
        rtype = dns.rdatatype.to_text(rrset.rdtype)
        records += [_record(owner, rrset.ttl, rtype, rdata) for rdata in rrset]
    if rcode not in ("NOERROR", "NXDOMAIN"):
        return RawAnswer(rcode), 0
    if not records or rcode == "NXDOMAIN":
        lifetime = 0
        for rrset in response.authority:
            if rrset.rdtype == dns.rdatatype.SOA:
                lifetime = min(rrset.ttl, rrset[0].minimum, MAX_NEGATIVE_TTL)
    return RawAnswer(rcode, tuple(records), bool(response.flags & dns.flags.AD)), lifetime


def _record(owner: str, ttl: int, rtype: str, rdata: dns.rdata.Rdata) -> Record:
    match rdata:
        case dns.rdtypes.IN.A.A() | dns.rdtypes.IN.AAAA.AAAA():
            return Record(owner, ttl, rtype, rdata.address)
        case dns.rdtypes.ANY.MX.MX():
            return Record(owner, ttl, rtype, _name(rdata.exchange), rdata.preference)
        case dns.rdtypes.IN.SRV.SRV():
            return Record(owner, ttl, rtype, _name(rdata.target), rdata.priority, rdata.weight, rdata.port)
        case dns.rdtypes.ANY.CNAME.CNAME() | dns.rdtypes.ANY.NS.NS():
            return Record(owner, ttl, rtype, _name(rdata.target))
        case dns.rdtypes.ANY.TLSA.TLSA():
            return Record(owner, ttl, rtype, rdata.to_text(), raw=rdata.to_digestable())
        case dns.rdtypes.ANY.TXT.TXT():
            return Record(owner, ttl, rtype, b"".join(rdata.strings).decode("utf-8", "surrogateescape"))
    return Record(owner, ttl, rtype, rdata.to_text())


def _name(name: dns.name.Name) -> str:
    """Text of a name in its presentation form: an escaped octet, a dot in a label say, makes it no host name."""
    return "" if name == dns.name.root else name.to_text(omit_final_dot=True)
