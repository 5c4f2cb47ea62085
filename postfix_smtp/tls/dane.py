"""DANE: from levels ``dane`` and ``dane-only`` to records, or to something less (TLS chapter 3.1 to 3.4, RFC 7672)."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from postfix_smtp import log
from postfix_smtp.routing import names
from postfix_smtp.tls.levels import Level
from postfix_smtp.tls.policy import DaneResult, Server
from postfix_smtp.tls.policy_entry import PolicyError
from postfix_smtp.tls.records import END_ENTITY, PRIVATE, TRUST_ANCHOR, TlsaRecord
from postfix_smtp.tls.settings import PolicySettings, has_feature

if TYPE_CHECKING:
    from postfix_smtp.routing.dns import Answer, Resolver
    from postfix_smtp.routing.dns_client import Record

_MAX_NAMES = 20
_MAX_SECONDS = 100
_HEAD = 3  #: octets of usage, selector and matching type
_EMPTY_IS_TRUNCATED = ((3, 8, 18), (3, 9, 12), (3, 10, 11), (3, 11, 4))


class Dane:
    """Looks TLSA records up and decides what they make of a level.

    Args:
        resolver: None if there is no DNS.
        log_records: tell about each record found.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        settings: PolicySettings,
        resolver: "Resolver | None",
        *,
        log_records: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._resolver = resolver
        self._log_records = log_records
        self._clock = clock
        self._known: dict[str, tuple[float, tuple[TlsaRecord, ...] | None]] = {}

    async def decide(self, level: Level, server: Server) -> DaneResult:
        """What `level` (``dane`` or ``dane-only``) becomes for a server.

        Raises:
            PolicyError: nothing; the next server is to be tried.
        """
        settings, address = self._settings, server.address
        if not server.port or address is None:
            log.warning(f'{server.nexthop}: the "dane" security level is invalid for delivery via unix-domain sockets')
            raise PolicyError
        problem = ""
        if not (settings.dns and settings.dnssec) or self._resolver is None:
            problem = f"{level.text} configured with dnssec lookups disabled"
        elif settings.ignore_mx_errors:
            problem = f"{level.text} configured with MX lookup errors ignored"
        elif settings.resolver_options:
            problem = f"dns resolver options incompatible with {level.text} TLS"
        if problem:
            log.warning(f"{server.nexthop}: {problem}")
            if level is Level.DANE_ONLY:
                raise PolicyError
            return DaneResult(Level.MAY)
        insecure = address.from_mx and not address.mx_secure
        if insecure and (level is Level.DANE_ONLY or settings.insecure_mx_policy in ("", "may")):
            return self._less(level, Level.MAY, "non DNSSEC destination")
        base, records = await self._records(server)
        if records is None:
            return self._less(level, Level.MAY, "no TLSA records found")
        if not records:
            return self._less(level, Level.ENCRYPT, "TLSA records unusable")
        if insecure and settings.insecure_mx_policy == "encrypt":
            return self._less(level, Level.ENCRYPT, "Verification not possible, MX RRset is insecure")
        return DaneResult(Level.HALFDANE if insecure else level, records, base, _names(server, base))

    def _less(self, level: Level, result: Level, reason: str) -> DaneResult:
        if level is Level.DANE_ONLY:
            raise PolicyError(reason)
        if log.verbose():
            log.info(reason)
        return DaneResult(result)

    # Names that carry records

    async def _records(self, server: Server) -> tuple[str, tuple[TlsaRecord, ...] | None]:
        """The base domain and its records; None if there are none."""
        address = server.address
        assert address is not None
        query, owner = address.query, address.owner
        if not query:
            # An address that the destination names: the DNS knows nothing of it, but may be asked all the same
            records = await self._find(server.host, server) if self._settings.insecure_host_lookup else None
            return server.host, records
        is_alias = owner.lower() != query.lower()
        candidates = [query]
        if address.secure:
            candidates = [owner, query] if is_alias else [owner]
        elif not self._settings.insecure_host_lookup and not (is_alias and await self._is_secure_alias(query, server)):
            return query, None
        for name in candidates:
            records = await self._find(name, server)
            if records is not None:
                return name, records
        return candidates[-1], None

    async def _is_secure_alias(self, query: str, server: Server) -> bool:
        from postfix_smtp.routing.dns import Result

        assert self._resolver is not None
        answer = await self._resolver.lookup(query, "CNAME", validate=True)
        if answer.result is Result.OK:
            return answer.secure
        text = "no longer a CNAME" if answer.result is Result.NOTFOUND else answer.text
        log.warning(f"DNSSEC status lookup error for {query}: {text}")
        raise _lookup_error(server)

    # Records

    async def _find(self, name: str, server: Server) -> tuple[TlsaRecord, ...] | None:
        """The records of one name, None if there are none; an empty tuple if none is worth anything."""
        question = f"_{server.port}._tcp.{names.to_ascii(name) or name}"
        known = self._known.get(question)
        if known is not None and known[0] > self._clock():
            return known[1]
        from postfix_smtp.routing.dns import Result

        assert self._resolver is not None
        # An error is remembered as out of date at once: Postfix asks again, but only once if it knows the name already.
        for _ in range(2 if known is None else 1):
            answer = await self._resolver.lookup(question, "TLSA", validate=True)
            if answer.result in (Result.OK, Result.NOTFOUND):
                break
            log.warning(f"DANE TLSA lookup problem: {answer.text}")
        else:
            self._remember(question, 0.0, None)
            raise _lookup_error(server)
        records: tuple[TlsaRecord, ...] | None = None
        seconds = 1
        if answer.result is Result.OK and answer.secure:
            records = self._read(question, answer)
            seconds = max(1, min(_MAX_SECONDS, min(record.ttl for record in answer.records)))
        self._remember(question, self._clock() + seconds + 1, records)
        return records

    def _remember(self, question: str, until: float, records: tuple[TlsaRecord, ...] | None) -> None:
        self._known.pop(question, None)
        if len(self._known) >= _MAX_NAMES:
            del self._known[next(iter(self._known))]
        self._known[question] = until, records

    def _read(self, question: str, answer: "Answer") -> tuple[TlsaRecord, ...]:
        kept: list[TlsaRecord] = []
        for item in answer.records:
            record = self._read_one(question, item)
            if record is not None:
                kept.insert(0, record)
        return tuple(kept)

    def _read_one(self, question: str, item: "Record") -> TlsaRecord | None:
        source = question if item.owner.lower() == question.lower() else f"{question} -> {item.owner}"
        size = len(item.raw)
        needed = _HEAD + has_feature(self._settings.version, *_EMPTY_IS_TRUNCATED)
        if size < needed:
            log.warning(f"{source}: truncated TLSA RR length == {size}")
            return None
        usage, selector, matching = item.raw[:_HEAD]
        record = TlsaRecord(usage, selector, matching, item.raw[_HEAD:])
        if record.usage not in (TRUST_ANCHOR, END_ENTITY):
            log.warning(f"{source} unsupported TLSA certificate usage: {record}")
            return None
        if record.matching == PRIVATE:
            log.warning(f"{source} reserved private-use matching type: {record}")
            return None
        if self._log_records or log.verbose():
            log.info(f"DNSSEC-signed TLSA record: {item.owner}: {record}")
        return record


def _lookup_error(server: Server) -> PolicyError:
    return PolicyError(f"TLSA lookup error for {server.host}:{server.port}")


def _names(server: Server, base: str) -> tuple[str, ...]:
    """The names that a certificate below a trust anchor must have one of."""
    found = [base]
    if server.address is not None and server.address.from_mx:
        if server.address.mx_owner and server.address.mx_owner.lower() != server.domain.lower():
            found.append(server.address.mx_owner)
        found.append(server.domain)
    return tuple(found)
