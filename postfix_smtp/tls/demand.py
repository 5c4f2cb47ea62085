"""From a policy to what one handshake demands of the server (TLS chapter 3.5, 4.3, 5.6)."""

from collections.abc import Sequence
from dataclasses import dataclass

from postfix_smtp import log
from postfix_smtp.routing import names as hostnames
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.tls import names
from postfix_smtp.tls.certificate import certificate, is_public_key
from postfix_smtp.tls.levels import Level
from postfix_smtp.tls.names import References
from postfix_smtp.tls.policy import Policy, Server
from postfix_smtp.tls.records import CERTIFICATE, WHOLE, Digests, TlsaRecord
from postfix_smtp.tls.reporting import SessionReport


@dataclass(frozen=True, slots=True)
class Demand:
    """What a server must be, as far as verification goes.

    Attributes:
        level: after any fallback.
        references: names; none at levels that do not know the server by name.
        records: usable ones.
        fingerprints: the records are digests that the operator gave.
        anchor_file: they come from a trust anchor file: names count also when the server's own certificate is listed.
        must_fail: verification was set up so that it cannot succeed.
    """

    level: Level
    references: References
    records: tuple[TlsaRecord, ...] = ()
    fingerprints: bool = False
    anchor_file: bool = False
    must_fail: bool = False


def find_demand(policy: Policy, server: Server, peer: Peer, digests: Digests, report: SessionReport | None) -> Demand:
    """What the server must be; warns about records that cannot be used.

    Args:
        report: told if none can.
    """
    hap = peer.endpoint.lower()
    level = policy.level
    must_fail = False
    records: tuple[TlsaRecord, ...] = ()
    if policy.records:
        records = usable_records(policy.records, digests, hap)
        if not records:
            level, must_fail = _without_records(level, hap, report)
    references = References()
    if policy.match and level is not Level.FINGERPRINT:
        references = names.references(policy.match, server.domain, peer.name, hap)
    if level > Level.FINGERPRINT and not references:
        must_fail = True
    return Demand(
        level,
        references,
        records,
        fingerprints=level is Level.FINGERPRINT,
        anchor_file=level in (Level.VERIFY, Level.SECURE) and bool(policy.records),
        must_fail=must_fail,
    )


def _without_records(level: Level, peer: str, report: SessionReport | None) -> tuple[Level, bool]:
    """No record is usable: the level that is left, and whether verification can only fail."""
    kind = "TLSA records"
    if level is Level.FINGERPRINT:
        kind = "fingerprints"
    elif level in (Level.VERIFY, Level.SECURE):
        kind = "trust anchors"
    if report is not None:
        report.unusable(kind)
    if level in (Level.DANE, Level.HALFDANE):
        log.warning(f"{peer}: all TLSA records unusable, fallback to unauthenticated TLS")
        return Level.ENCRYPT, False
    log.warning(f"{peer}: all {kind} unusable")
    return level, True


def server_name_indication(policy: Policy, server: Server, peer: Peer) -> str:
    """The name to send in the ClientHello, empty: none."""
    if policy.level.uses_tlsa:
        name = policy.base_domain
    elif policy.servername == "hostname":
        name = peer.name
    elif policy.servername == "nexthop":
        name = server.domain
    else:
        name = policy.servername
    return hostnames.to_ascii(name) or name


def usable_records(records: Sequence[TlsaRecord], digests: Digests, peer: str) -> tuple[TlsaRecord, ...]:
    """The records that can be matched, weaker digests dropped; warns about those that are unusable."""
    usable = []
    for record in records:
        if digests.is_usable(record) and (record.matching != WHOLE or _is_complete(record)):
            usable.append(record)
        else:
            log.warning(f"{peer}: unusable TLSA RR: {record}")
    return digests.strongest(usable)


def _is_complete(record: TlsaRecord) -> bool:
    if record.selector == CERTIFICATE:
        return certificate(record.data) is not None
    return is_public_key(record.data)
