"""What one DNS look-up means for mail (delivery chapter 4.2): CNAME steps, checks of names, the reply filter."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TypeVar

from postfix_smtp import log
from postfix_smtp.errors import TableError
from postfix_smtp.routing import names
from postfix_smtp.routing.dns_client import DnsClient, RawAnswer, Record

MAX_CHAIN = 10
MAX_RECORDS = 100


class Result(IntEnum):
    """Result of a look-up, in rising precedence when several types are asked."""

    NOTFOUND = 1
    NULLMX = 2
    NULLSRV = 3
    FAIL = 4
    INVAL = 5
    RETRY = 6
    POLICY = 7
    OK = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one look-up.

    Attributes:
        result: what it means.
        text: reason for people, empty if OK.
        records: at least one if OK.
        truncated: there were more.
        secure: every step of the answer was validated.
        name: the name of the last question, after CNAME steps.
    """

    result: Result
    text: str = ""
    records: tuple[Record, ...] = ()
    secure: bool = False
    name: str = ""
    truncated: bool = False


ReplyFilter = Callable[[str], Awaitable[str | None]]
_NOT_FOUND = "Host or domain name not found. Name service error for name={name} type={type}: {why}"
_MALFORMED = "Name service error for name={name} type={type}: Malformed or unexpected name server reply"


class Resolver:
    """Look-ups by Postfix's rules.

    Args:
        client: asks the servers.
        reply_filter: ``smtp_dns_reply_filter`` as a function of the record's text; None if there is none.
        filter_title: parameter name for its warnings.
        dnssec_probe: ``type:name`` asked when the first reply of all is not validated; empty: never.
        defnames, dnsrch: ``smtp_dns_resolver_options``, for address look-ups.
    """

    def __init__(
        self,
        client: DnsClient,
        *,
        reply_filter: ReplyFilter | None = None,
        filter_title: str = "smtp_dns_reply_filter",
        dnssec_probe: str = "",
        defnames: bool = False,
        dnsrch: bool = False,
    ) -> None:
        self._client = client
        self._filter = reply_filter
        self._filter_title = filter_title
        self._probe = dnssec_probe
        self._defnames = defnames
        self._dnsrch = dnsrch

    async def lookup(self, name: str, rtype: str, *, validate: bool = False, search: bool = False) -> Answer:
        """Look up records of one type.

        Args:
            name: without trailing dot; internationalised names are converted.
            validate: ask for DNSSEC validation.
            search: apply the resolver's search rules, as address look-ups do when configured.
        """
        ascii_name = names.to_ascii(name) or name
        if names.is_address(ascii_name) or not names.is_hostname(ascii_name, wildcard=True):
            return Answer(Result.NOTFOUND, f"Name service error for {ascii_name}: invalid host or domain name")
        search = search and (self._defnames or self._dnsrch)
        asked: list[RawAnswer] = []
        answer = await self._follow(ascii_name, rtype, validate, search, asked)
        if validate and self._probe:
            await self._consider_probe(asked)
        return answer

    async def addresses(self, name: str, families: tuple[str, ...], *, validate: bool = False) -> Answer:
        """Look up A and AAAA records.

        Args:
            families: ``A``, ``AAAA``, in the order to ask.

        Records are those of all families, up to the limit, with which the asking ends; without any, result and text of
        the highest precedence.
        """
        if len(families) > 1:
            self.prefetch_addresses(name, families, validate=validate)
        best = Answer(Result.NOTFOUND)
        found: list[Record] = []
        secure, truncated = True, False
        for rtype in families:
            answer = await self.lookup(name, rtype, validate=validate, search=True)
            if answer.result is Result.OK:
                truncated = append_within_limit(found, answer.records, lambda record: (name, record.type))
                truncated = truncated or answer.truncated
                secure = secure and answer.secure
            if answer.result >= best.result:
                best = answer
            if truncated:
                break
        if best.result is Result.OK:
            return replace(best, records=tuple(found), secure=secure, truncated=truncated)
        return best

    def prefetch_addresses(self, name: str, families: tuple[str, ...], *, validate: bool = False) -> None:
        """Begin to ask for addresses that will be needed soon."""
        if names.is_hostname(name) and not (self._defnames or self._dnsrch):
            for rtype in families:
                self._client.prefetch(name, rtype, validate=validate)

    async def _search(self, name: str, rtype: str, validate: bool) -> RawAnswer:
        """The system resolver's rules: search list if dots are few or nothing is found, default domain likewise.

        Any record is a find, an alias too: the rules apply to its target anew.
        """
        config = self._client.config
        dots = name.count(".")
        best: RawAnswer | None = None
        if dots >= config.ndots:
            best = await self._client.ask(name, rtype, validate=validate)
            if best.rcode == "NOERROR" and best.records:
                return best
        missing: RawAnswer | None = None
        if self._dnsrch if dots else self._defnames:
            for domain in config.search if self._dnsrch else config.search[:1]:
                raw = await self._client.ask(f"{name}.{domain}", rtype, validate=validate)
                if raw.rcode == "NOERROR":
                    if raw.records:
                        return raw
                    missing = raw
                elif raw.rcode not in ("NXDOMAIN", "SERVFAIL"):
                    return best or raw
        if best is None:
            best = await self._client.ask(name, rtype, validate=validate)
            if missing is not None and not best.records:
                return missing
        return best

    async def _follow(self, name: str, rtype: str, validate: bool, search: bool, asked: list[RawAnswer]) -> Answer:
        """Ask, and follow aliases; what came back is added to `asked`."""
        secure = validate
        for _ in range(MAX_CHAIN):
            if search:
                raw = await self._search(name, rtype, validate)
            else:
                raw = await self._client.ask(name, rtype, validate=validate)
            asked.append(raw)
            problem = _problem(raw, name, rtype)
            if problem is not None:
                return problem
            secure = secure and raw.authentic
            alias = None
            wanted: list[Record] = []
            for record in raw.records:
                if record.type == rtype:
                    wanted.append(record)
                if record.type in (rtype, "CNAME") and not _valid_owner(record, name):
                    return Answer(Result.RETRY, _MALFORMED.format(name=name, type=rtype), name=name)
                if record.type == "CNAME" and rtype != "CNAME":
                    if not _valid_target(record, name):
                        return Answer(Result.INVAL, _MALFORMED.format(name=name, type=rtype), name=name)
                    alias = record.data
            if wanted:
                return await self._judge(name, rtype, wanted, secure)
            if alias is None:
                why = "Host found but no data record of requested type"
                return Answer(Result.NOTFOUND, _NOT_FOUND.format(name=name, type=rtype, why=why), name=name)
            name = alias
            validate = validate and raw.authentic
        log.warning(f"dns_lookup: Name server loop for {name}")
        return Answer(Result.NOTFOUND, f"Name server loop for {name}", name=name)

    async def _judge(self, name: str, rtype: str, wanted: list[Record], secure: bool) -> Answer:
        good: list[Record] = []
        truncated = False
        for record in wanted:
            match rtype, record.data:
                case (("MX" | "SRV"), ""):
                    what = "does not accept mail (nullMX)" if rtype == "MX" else "does not support SRV requests"
                    return Answer(Result.NULLMX if rtype == "MX" else Result.NULLSRV, f"Domain {name} {what}")
            if len(good) >= MAX_RECORDS:
                _report_excess(name, rtype)
                truncated = True
                break
            if rtype not in ("MX", "SRV", "NS", "CNAME") or _valid_target(record, name):
                good.append(record)
        if not good:
            return Answer(Result.INVAL, _MALFORMED.format(name=name, type=rtype), name=name)
        answer = Answer(Result.OK, "", tuple(good), secure, name, truncated)
        return answer if self._filter is None else await self._filtered(rtype, answer)

    async def _filtered(self, rtype: str, answer: Answer) -> Answer:
        assert self._filter is not None
        name = answer.name
        kept: list[Record] = []
        for record in answer.records:
            text = presentation(record)
            try:
                action = await self._filter(text)
            except TableError:
                action = ""
            if action is None:
                kept.append(record)
                continue
            if action.split(maxsplit=1)[:1] and action.split(maxsplit=1)[0].upper() == "IGNORE":
                log.info(f"ignoring DNS RR: {text}")
                continue
            if action:
                log.warning(f'{self._filter_title}: unknown DNS filter action: "{action}"')
            why = "Invalid DNS reply filter syntax"
            return Answer(Result.RETRY, f"Error looking up name={name} type={rtype}: {why}", name=name)
        if not kept:
            why = "DNS reply filter drops all results"
            return Answer(Result.POLICY, f"Error looking up name={name} type={rtype}: {why}", name=name)
        return replace(answer, records=tuple(kept))

    async def _consider_probe(self, asked: list[RawAnswer]) -> None:
        """The first reply that comes at all, an error too, decides: a validated one proves that there is validation."""
        first = next((raw for raw in asked if raw.rcode != "TIMEOUT"), None)
        if first is None:
            return
        if first.authentic:
            self._probe = ""
        else:
            await self._probe_dnssec()

    async def _probe_dnssec(self) -> None:
        """Tell the operator when the resolver does not validate at all."""
        probe, self._probe = self._probe, ""
        rtype, _, name = probe.partition(":")
        raw = await self._client.ask(name.rstrip("."), rtype.upper(), validate=True)
        problem = _problem(raw, name, rtype.upper())
        if problem is not None and problem.result is not Result.NOTFOUND:
            reason = f"received no response: {problem.text}"
        elif not raw.authentic:
            reason = "received a response that is not DNSSEC validated"
        else:
            return
        log.warning("DNSSEC validation may be unavailable")
        log.warning(f"reason: dnssec_probe '{probe}' {reason}")


T = TypeVar("T")


def append_within_limit(found: list[T], more: Sequence[T], question: Callable[[T], tuple[str, str]]) -> bool:
    """Add to a list of records or addresses as long as it has less than :data:`MAX_RECORDS`.

    Args:
        question: name and type that were asked for an item, to report the last one that is kept.

    Returns:
        Whether there were too many.
    """
    room = MAX_RECORDS - len(found)
    found += more[:room]
    if len(more) <= room:
        return False
    _report_excess(*question(found[-1]))
    return True


def _report_excess(name: str, rtype: str) -> None:
    log.warning(
        f"DNS record count limit ({MAX_RECORDS}) exceeded -- dropping excess record(s) after qname={name} qtype={rtype}"
    )


def presentation(record: Record) -> str:
    """A record as the reply filter sees it: ``OWNER. TTL IN TYPE DATA``."""
    data = record.data
    if record.type == "MX":
        data = f"{record.preference} {record.data}."
    elif record.type == "SRV":
        data = f"{record.preference} {record.weight} {record.port} {record.data}."
    elif record.type in ("CNAME", "NS"):
        data += "."
    return f"{record.owner}. {record.ttl} IN {record.type} {data}"


def _problem(raw: RawAnswer, name: str, rtype: str) -> Answer | None:
    """What an answer without usable records means."""
    match raw.rcode:
        case "NOERROR":
            return None
        case "NXDOMAIN":
            result, why = Result.NOTFOUND, "Host not found"
        case "SERVFAIL" | "REFUSED" | "NOTIMP" | "TIMEOUT":
            result, why = Result.RETRY, "Host not found, try again"
        case "MALFORMED":
            return Answer(Result.RETRY, _MALFORMED.format(name=name, type=rtype), name=name)
        case _:
            result, why = Result.FAIL, "Non-recoverable error"
    return Answer(result, _NOT_FOUND.format(name=name, type=rtype, why=why), name=name)


def _valid_owner(record: Record, query: str) -> bool:
    return _valid_name(record.owner, "resource name", record, query)


def _valid_target(record: Record, query: str) -> bool:
    return _valid_name(record.data, "resource data", record, query)


def _valid_name(name: str, where: str, record: Record, query: str) -> bool:
    """Whether a name in a record may be used. An address instead of a name is used, under protest."""
    if names.is_address(name):
        log.warning(f"numeric domain name in {where} of {record.type} record for {query}: {name}")
        return True
    if name == "" or names.is_hostname(name, report=True, wildcard=True):
        return True
    log.warning(f"malformed domain name in {where} of {record.type} record for {query}: {name}")
    return False
