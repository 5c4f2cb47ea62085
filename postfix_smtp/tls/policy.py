"""The policy of one server (TLS chapter 2): level, protocols, ciphers, and who the server must be."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from postfix_smtp import log
from postfix_smtp.config.lists import split
from postfix_smtp.errors import FatalError, TableError
from postfix_smtp.routing import names
from postfix_smtp.routing.address import Address
from postfix_smtp.tables.maps import Maps
from postfix_smtp.tls import per_site
from postfix_smtp.tls.levels import Level, parse_level
from postfix_smtp.tls.policy_entry import Entry, External, PolicyError, parse_entry
from postfix_smtp.tls.records import TlsaRecord, fingerprint_records, parse_fingerprint
from postfix_smtp.tls.settings import LevelSettings, PolicySettings
from postfix_smtp.tls.trust_anchors import TrustAnchorFiles

_NAME_SEPARATORS = ", \t\r\n:"
_DIGEST_LIST_SINCE = (3, 9)
_PATTERNS_SINCE = (3, 10, 5)
_OLD_DIGEST = "using backwards-compatible default setting {title}=md5 to compute certificate fingerprints"


@dataclass(frozen=True, slots=True)
class Server:
    """What a policy is looked up for.

    Attributes:
        nexthop: destination as written, with brackets and port.
        domain: the same without.
        host: server name.
        port: 0 for a UNIX-domain socket.
        address: what the DNS said of it; None for a UNIX-domain socket.
    """

    nexthop: str
    domain: str
    host: str
    port: int
    address: Address | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What is demanded of one server.

    Attributes:
        protocols, ciphers, exclude: protocol list, cipher grade, cipher exclusions, as configured.
        match: names the certificate must have; digests at level ``fingerprint``.
        servername: what SNI to send: a name, ``hostname``, ``nexthop`` or nothing.
        records: TLSA, fingerprints or trust anchors, in the order of evaluation.
        base_domain: name whose TLSA records these are.
        reuse: Postfix's own program would reuse the connection, through tlsproxy(8).
        keep: this process keeps the connection for its next delivery.
        raw_keys: raw public keys may be asked for.
        external: found by somebody else.
    """

    level: Level
    protocols: str = ""
    ciphers: str = ""
    exclude: str = ""
    match: tuple[str, ...] = ()
    servername: str = ""
    records: tuple[TlsaRecord, ...] = ()
    base_domain: str = ""
    reuse: bool = False
    raw_keys: bool = False
    external: External = field(default_factory=External)
    keep: bool = False


@dataclass(frozen=True, slots=True)
class DaneResult:
    """What DANE makes of levels ``dane`` and ``dane-only``."""

    level: Level
    records: tuple[TlsaRecord, ...] = ()
    base_domain: str = ""
    names: tuple[str, ...] = ()


#: Finds TLSA records: level, server -> result. Raises PolicyError.
DaneLookup = Callable[[Level, Server], Awaitable[DaneResult]]


def general_level(settings: LevelSettings) -> tuple[Level, bool]:
    """The level of the whole program, and whether TLS is to be initialised.

    Raises:
        FatalError: unknown level.
    """
    if settings.security_level:
        level = parse_level(settings.security_level)
        if level is None:
            raise FatalError(f'Invalid TLS level "{settings.security_level}"')
    elif settings.enforce:
        level = Level.VERIFY if settings.enforce_peername else Level.ENCRYPT
    else:
        level = Level.MAY if settings.use else Level.NONE
    return level, level > Level.NONE or settings.has_tables


class PolicyFinder:
    """Looks policies up.

    Args:
        general: level of the whole program.
        policies: ``smtp_tls_policy_maps``.
        sites: ``smtp_tls_per_site``, if there is no policy table.
        dane: looks TLSA records up.
        anchors: reads trust anchor files.
        log_records: tell about records that are made of fingerprints.
    """

    def __init__(
        self,
        settings: PolicySettings,
        general: Level,
        policies: Maps | None,
        sites: Maps | None,
        dane: DaneLookup,
        anchors: TrustAnchorFiles,
        *,
        log_records: bool = False,
    ) -> None:
        self._settings = settings
        self._general = general
        self._policies = policies
        self._sites = sites
        self._dane = dane
        self._anchors = anchors
        self._log_records = log_records
        self._told = False

    async def find(self, server: Server, *, tls_required_no: bool = False) -> Policy:
        """The policy for a server.

        Args:
            tls_required_no: the message says so, and that counts.

        Raises:
            PolicyError: there is none; logged.
        """
        settings = self._settings
        if log.verbose() and not self._told:
            self._told = True
            log.info(f"global TLS level: {self._general.text}")
        entry = Entry(self._general)
        lenient_after = tls_required_no and settings.version < (3, 10, 3)
        if tls_required_no and not lenient_after:
            ceiling = Level.ENCRYPT if settings.wrapper_mode and settings.version >= (3, 10, 4) else Level.MAY
            entry.level = min(entry.level, ceiling)
        elif self._policies is not None:
            entry = await self._look_up(self._policies, server) or entry
        elif self._sites is not None:
            entry.level = await per_site.site_level(
                self._sites, settings.per_site_title, server.nexthop, server.host, self._general
            )
        level = entry.level
        found = DaneResult(level)
        if level in (Level.DANE, Level.DANE_ONLY):
            found = await self._dane(level, server)
            level = found.level
        policy = self._complete(entry, level, found, server)
        if lenient_after and policy.level > Level.MAY:
            policy = replace(policy, level=Level.MAY)
        if log.verbose() and policy.level is not self._general:
            log.info(f"effective TLS level: {policy.level.text}")
        return policy

    async def _look_up(self, maps: Maps, server: Server) -> Entry | None:
        settings = self._settings
        for key, partial in _keys(server.nexthop, utf8=settings.smtputf8):
            where = f'{settings.policy_title}, next-hop destination "{key}"'
            try:
                found = await maps.alookup(key, partial=partial)
            except TableError:
                log.warning(f"{where}: policy table lookup error")
                raise PolicyError from None
            if found is not None:
                return parse_entry(
                    found[0],
                    where,
                    settings.version,
                    self._anchors.load,
                    enforce_patterns=settings.enforce_mx_patterns,
                )
        return None

    def _complete(self, entry: Entry, level: Level, found: DaneResult, server: Server) -> Policy:
        settings = self._settings
        reuse = settings.reuse if entry.reuse is None else entry.reuse
        raw_keys = settings.raw_keys if entry.raw_keys is None else entry.raw_keys
        if level is Level.NONE:
            return Policy(level, reuse=reuse, raw_keys=raw_keys)
        opportunistic = level is Level.MAY
        protocols = entry.protocols
        if protocols is None:
            protocols = settings.protocols if opportunistic else settings.mandatory_protocols
        servername = entry.servername
        if servername is None:
            servername = settings.servername
            if servername and not names.is_hostname(servername):
                log.warning(f'"{settings.servername_title} = {servername}" specifies an invalid hostname')
                raise PolicyError
        ciphers = entry.ciphers
        if ciphers is None:
            ciphers = settings.ciphers if opportunistic else settings.mandatory_ciphers
        match, records = self._identity(entry, level, server)
        if level.uses_tlsa:
            match, records = list(found.names), list(found.records)
        return Policy(
            level,
            protocols,
            ciphers,
            self._exclusions(entry, level),
            tuple(match),
            servername,
            tuple(records),
            found.base_domain if level.uses_tlsa else "",
            reuse,
            raw_keys,
            entry.external,
            keep=reuse or (entry.reuse is None and settings.keep_in_process),
        )

    def _exclusions(self, entry: Entry, level: Level) -> str:
        settings = self._settings
        parts = [settings.exclude] if entry.exclude is None else [entry.exclude]
        if level > Level.MAY:
            if entry.exclude is None:
                parts.append(settings.mandatory_exclude)
            parts.append("aNULL" if level.must_match else "eNULL")
        return " ".join(filter(None, parts))

    def _identity(self, entry: Entry, level: Level, server: Server) -> tuple[list[str], list[TlsaRecord]]:
        """Names and records that the server must match."""
        settings = self._settings
        match level:
            case Level.FINGERPRINT:
                return self._fingerprints(entry, server)
            case Level.VERIFY | Level.SECURE:
                default = settings.verify_match if level is Level.VERIFY else settings.secure_match
                wanted = entry.match or split(default, _NAME_SEPARATORS)
                records = entry.anchors
                if not entry.has_anchors:
                    for path in split(settings.trust_anchor_files):
                        records = self._anchors.load(path) + records
                return wanted, records
            case _:
                return [], []

    def _fingerprints(self, entry: Entry, server: Server) -> tuple[list[str], list[TlsaRecord]]:
        settings = self._settings
        texts = entry.match or split(settings.fingerprint_match)
        each = settings.version >= _DIGEST_LIST_SINCE and entry.match
        if settings.old_digest:
            for _ in texts if each else texts[:1]:
                log.info(_OLD_DIGEST.format(title=settings.digest_title))
        records: list[TlsaRecord] = []
        for text in texts:
            digest = parse_fingerprint(text)
            if digest is None:
                continue
            made = fingerprint_records(digest)
            if self._log_records or log.verbose():
                log.info(f"fingerprint: digest as private-use TLSA record: {made[1]}")
                if settings.version >= _DIGEST_LIST_SINCE:
                    log.info(f"fingerprint: digest as private-use TLSA record: {made[0]}")
            records[:0] = made
        if not records:
            log.warning(
                f"nexthop domain {server.nexthop}: configured at fingerprint security level, "
                "but with no fingerprints to match."
            )
            raise PolicyError
        return (entry.match if settings.version >= _DIGEST_LIST_SINCE else []), records


def _keys(nexthop: str, *, utf8: bool) -> list[tuple[str, bool]]:
    """Keys to look a next-hop up by, and whether each is only a part of it."""
    keys = [(nexthop, False)]
    if names.is_hostname(nexthop) or (
        utf8 and not nexthop.isascii() and names.is_hostname(names.to_ascii(nexthop) or "")
    ):
        position = nexthop.find(".", 1)
        while position >= 0:
            keys.append((nexthop[position:], False))
            position = nexthop.find(".", position + 1)
    return keys


def is_authorized(policy: Policy, host: str, settings: PolicySettings) -> bool:
    """Whether an MX host may be used under a policy found by MTA-STS; logs why not (TLS chapter 2.9)."""
    external = policy.external
    if (
        external.type != "sts"
        or not external.mx_patterns
        or not policy.match
        or not settings.enforce_mx_patterns
        or settings.version < _PATTERNS_SINCE
    ):
        return True
    name = (names.to_ascii(host) or host).lower()
    parent = name.partition(".")[2]
    for pattern in external.mx_patterns:
        folded = pattern.lower()
        if folded == name or (folded.startswith("*.") and parent and folded[2:] == parent):
            return True
    log.warning(f"MX name '{host}' does not match STS MX pattern for '{external.domain}'")
    return False
