"""One handshake from the policy to the summary line (TLS chapter 5): what the session calls to get a TLS stream."""

import os
from dataclasses import dataclass
from typing import Any

from postfix_smtp import log
from postfix_smtp.delivery.stream import Stream, TlsFailure
from postfix_smtp.smtp.actions import ConnectionLost, TimedOut
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.tls import library, messages, session_id, summary
from postfix_smtp.tls.callbacks import Callbacks, Certificates
from postfix_smtp.tls.certificate import Certificate, bare_key, certificate, fingerprint
from postfix_smtp.tls.demand import find_demand, server_name_indication
from postfix_smtp.tls.dump import dump
from postfix_smtp.tls.engine import Engine
from postfix_smtp.tls.established import Established
from postfix_smtp.tls.layer import Layer
from postfix_smtp.tls.loglevel import LogFeature
from postfix_smtp.tls.policy import Policy, Server
from postfix_smtp.tls.protocols import NO_OLD_SSL
from postfix_smtp.tls.records import TRUST_ANCHOR
from postfix_smtp.tls.reporting import SessionReport
from postfix_smtp.tls.session_cache import SessionCache
from postfix_smtp.tls.session_id import SessionProperties
from postfix_smtp.tls.signatures import is_signed_by
from postfix_smtp.tls.verifier import HOST_MISMATCH, OK, Verifier, failure_lines

_WEAK_MISMATCH = (3, 10, 4)
_NEW_CERTIFICATE_LINE = (3, 9)
_FIRST_TICKET_ONLY = (3, 11)
_MAX_SNI = 255
_DETAILS = LogFeature.CERTMATCH | LogFeature.VERBOSE | LogFeature.PEERCERT


class _Refused(Exception):
    """The handshake is not begun; logged."""


@dataclass(slots=True)
class _Seen:
    """What passed in the handshake."""

    group: str = ""
    server_scheme: int = 0
    client_scheme: int = 0
    tickets: int = 0
    identified: bool = False
    saved: int = 0


class Starter:
    """Does the handshake for one connection.

    Args:
        report: told about successes and failures (TLSRPT); None: nobody wants to know.
    """

    def __init__(
        self,
        engine: Engine,
        callbacks: Callbacks,
        cache: SessionCache | None,
        policy: Policy,
        server: Server,
        peer: Peer,
        report: SessionReport | None = None,
    ) -> None:
        self._engine = engine
        self._callbacks = callbacks
        self._cache = cache
        self._policy = policy
        self._server = server
        self._peer = peer
        self._report = report

    async def start(self, stream: Stream, server_name: str) -> Established | None:
        """Do the handshake on `stream` and log how it went; None if it failed.

        Args:
            server_name: as the server called itself in its EHLO reply; empty in wrapper mode.
        """
        try:
            attempt = _Attempt(self._engine, self._callbacks, self._cache, self._policy, self._server, self._peer)
            attempt.prepare(server_name, self._report)
            await attempt.find_session()
            return await attempt.run(stream, self._report)
        except _Refused:
            return None


class _Attempt:
    """One handshake under way, and afterwards the receiver of tickets."""

    def __init__(
        self,
        engine: Engine,
        callbacks: Callbacks,
        cache: SessionCache | None,
        policy: Policy,
        server: Server,
        peer: Peer,
    ) -> None:
        self._engine = engine
        self._callbacks = callbacks
        self._cache = cache
        self._policy = policy
        self._server = server
        self._peer = peer
        self._hap = peer.endpoint.lower()
        self._version = engine.settings.version
        self._logs = engine.logs
        self._seen = _Seen()
        self._tls13 = True
        self._cache_id = ""
        self._context: Any = None
        self._connection: Any = None
        self._established = False
        # Where nobody asks who the server is and what was agreed, the library need not tell.
        self._watched = bool(
            engine.features or policy.reuse or policy.level.must_match or cache is not None or policy.external.failure
        )

    # Preparation (TLS chapter 5.1, steps 1 to 7)

    def prepare(self, server_name: str, report: SessionReport | None) -> None:
        """Everything before the session is looked up. Raises _Refused."""
        policy, engine, endpoint = self._policy, self._engine, self._peer.endpoint
        if self._logs(LogFeature.VERBOSE):
            log.info(f"setting up TLS connection to {endpoint}")
        lists = engine.lists(policy.protocols, policy.ciphers, policy.exclude, endpoint)
        if lists is None:
            raise _Refused
        protocols, ciphers = lists
        if policy.level.uses_tlsa:
            protocols = protocols.without(NO_OLD_SSL)
        if not engine.accepts(ciphers):
            log.warning(f'{self._hap}: error setting cipher grade: "{policy.ciphers}"')
            library.log_errors(library.error_stack())
            raise _Refused
        if self._logs(LogFeature.VERBOSE):
            log.info(f'{endpoint}: TLS cipher list "{ciphers}"')
        sni = server_name_indication(policy, self._server, self._peer)
        demand = self._demanded = find_demand(policy, self._server, self._peer, engine.digests, report)
        self._verifier = Verifier(
            demand,
            engine.digests,
            self._hap,
            self._version,
            is_signed_by,
            verbose=self._logs(LogFeature.VERBOSE),
        )
        anchors = tuple(record for record in demand.records if record.usage == TRUST_ANCHOR)
        self._context = engine.context(
            ciphers,
            protocols,
            self._hap,
            match=demand.level.must_match,
            watched=self._watched,
            records=anchors if demand.records else None,
            anchors=self._verifier.whole_anchors,
        )
        self._connection = engine.connection(self._context)
        if sni:
            if len(sni) > _MAX_SNI:
                log.warning(f"{endpoint}: ignoring too long SNI hostname: {sni[:100]}")
                raise _Refused
            self._connection.set_tlsext_host_name(sni.encode("utf-8", "surrogateescape"))
            if self._logs(LogFeature.SSL_DEBUG):
                log.info(f"{endpoint}: SNI hostname: {sni}")
        if self._watched:
            self._callbacks.watch(self._connection, self)
        if self._cache is not None:
            above = demand.level.must_match
            properties = SessionProperties(
                server_name,
                library.VERSION_NUMBER,
                policy.protocols,
                ciphers,
                policy.raw_keys,
                demand.must_fail,
                policy.records if above else (),
                sni if above else "",
            )
            base = session_id.base_id(
                self._version,
                engine.settings.service,
                self._server.nexthop,
                self._peer.name,
                self._peer.address,
                policy.level,
            )
            self._cache_id = session_id.session_id(base, self._version, properties)

    async def find_session(self) -> None:
        """Look for a session to resume."""
        if self._cache is None:
            return
        if self._logs(LogFeature.CACHE):
            log.info(f"looking for session {self._cache_id} in {self._cache.type} cache")
        der = await self._cache.find(self._cache_id)
        if der is None or self._policy.external.failure:
            return
        library.clear_errors()
        if not library.offer_session(self._connection, der):
            library.log_errors(library.error_stack())
            return
        if self._logs(LogFeature.CACHE):
            log.info(f"reloaded session {self._cache_id} from {self._cache.type} cache")

    # The handshake

    async def run(self, stream: Stream, report: SessionReport | None) -> Established | None:
        """Talk to the server, then judge it."""
        dumping = LogFeature.HANDSHAKE_PACKETS | LogFeature.SESSION_PACKETS
        layer = Layer(
            self._connection,
            self._after_read,
            self._dump if self._logs(dumping) else None,
            self._engine.closing_seconds,
        )
        problem = ""
        try:
            await stream.start_tls(layer)
        except TlsFailure:
            problem = "-1"
        except TimedOut:
            problem = "Connection timed out"
        except ConnectionLost:
            problem = os.strerror(stream.error) if stream.error else "lost connection"
        if problem:
            log.info(f"SSL_connect error to {self._peer.endpoint}: {problem}")
            library.log_errors(layer.errors)
            if report is not None:
                report.handshake_failed()
            if self._cache is not None:
                if self._logs(LogFeature.CACHE):
                    log.info(f"remove session {self._cache_id} from client cache")
                await self._cache.remove(self._cache_id)
            return None
        layer.established = self._established = True
        return self._conclude(report)

    def _dump(self, direction: str, octets: bytes) -> None:
        if not self._established or self._logs(LogFeature.SESSION_PACKETS):
            dump(direction, octets, id(self))

    def message(self, sent: bool, octets: bytes) -> None:
        """A handshake message passes."""
        seen = self._seen
        match octets[0]:
            case messages.SERVER_HELLO if not sent:
                group = messages.key_share_group(octets)
                seen.group = group or seen.group
                seen.identified = octets[38:39] not in (b"", b"\0")
            case messages.CERTIFICATE if not sent:
                chain = messages.certificates(octets, tls13=self._connection.get_protocol_version() == 0x304)
                for encoding in self._verifier.received(chain):
                    self._engine.trust(self._context, encoding)
            case messages.CERTIFICATE_VERIFY:
                if sent:
                    seen.client_scheme = messages.signature_scheme(octets)
                else:
                    seen.server_scheme = messages.signature_scheme(octets)
            case messages.NEW_SESSION_TICKET if not sent:
                seen.tickets += 1

    def verified(self, ok: bool, error: int, depth: int, encoding: Certificates) -> int | None:
        """One result of verification."""
        return self._verifier.event(ok, error, depth, encoding)

    def step(self) -> None:
        """A step was made: a ticket is kept before it is told that it was read."""
        self._after_read()

    # Afterwards

    def _conclude(self, report: SessionReport | None) -> Established:
        connection, verifier, demand = self._connection, self._verifier, self._demanded
        level = demand.level
        resumed = bool(library.LIB.SSL_session_reused(connection._ssl))
        self._tls13 = connection.get_protocol_version() == 0x304
        seen = self._seen
        if not self._tls13 and (seen.tickets or (seen.identified and not resumed)):
            seen.tickets = 1
            self._save()
        seen.tickets = 0
        if resumed and self._logs(LogFeature.CACHE):
            log.info(f"{self._hap}: Reusing old session")
        own = self._server_certificate()
        failure = self._policy.external.failure if self._policy.level.must_match else ""
        is_told = resumed or not self._watched
        result = library.LIB.SSL_get_verify_result(connection._ssl) if is_told else verifier.result
        is_good = own is not None and not failure and (result == OK if is_told else verifier.is_good)
        weak = self._version >= _WEAK_MISMATCH and level.must_match and result == HOST_MISMATCH
        info = Established(
            level,
            is_present=own is not None,
            is_trusted=own is not None and not failure and (is_good or weak),
            is_matched=level.must_match and is_good,
            connection=self._describe(own, resumed),
            version=self._version,
            is_logged=self._logs(LogFeature.SUMMARY) or self._policy.reuse,
        )
        self._log_certificate(own, info, report, failure)
        if info.is_logged:
            log.info(info.line("established", self._peer))
        return info

    def _server_certificate(self) -> Certificate | None:
        if self._verifier.chain:
            return certificate(self._verifier.chain[0])
        held = self._connection.get_peer_certificate()
        if held is None:
            return None
        from OpenSSL import crypto

        return certificate(crypto.dump_certificate(crypto.FILETYPE_ASN1, held))

    def _describe(self, own: Certificate | None, resumed: bool) -> summary.Connection:
        connection, seen = self._connection, self._seen
        cipher = library.LIB.SSL_get_current_cipher(connection._ssl)
        bits = library.FFI.new("int *")
        used = library.LIB.SSL_CIPHER_get_bits(cipher, bits)
        return summary.Connection(
            connection.get_protocol_version_name(),
            connection.get_cipher_name() or "",
            used,
            bits[0],
            resumed,
            seen.group,
            own.key if own is not None else None,
            seen.server_scheme,
            self._engine.client_key(seen.client_scheme) if seen.client_scheme else None,
            seen.client_scheme,
        )

    def _log_certificate(
        self, own: Certificate | None, info: Established, report: SessionReport | None, failure: str
    ) -> None:
        if own is None:
            return
        verifier, hap = self._verifier, self._hap
        subject = own.subject_name(hap)
        issuer = own.issuer_name(hap)
        details = self._logs(_DETAILS)
        if details and info.is_matched and not info.resumed:
            if verifier.name is not None:
                log.info(f"{hap}: matched peername: {verifier.name}")
            if verifier.match_line:
                log.info(f"{hap}: {verifier.match_line}")
        if not info.is_matched and (self._logs(LogFeature.UNTRUSTED) or self._policy.level.must_match):
            self._log_failure(info, report, failure)
        if details:
            settings = self._engine.settings
            digest = settings.fingerprint_digest
            key = bare_key(own.public_key) if settings.legacy_fingerprints else own.public_key
            shown = fingerprint(own.encoding, digest), fingerprint(key, digest)
            subject = subject if subject is not None else (verifier.name or "")
            if self._version >= _NEW_CERTIFICATE_LINE:
                log.info(
                    f"{hap}: subject_CN={subject}, issuer={issuer or ''}, "
                    f"cert fingerprint={shown[0]}, pkey fingerprint={shown[1]}"
                )
            else:
                log.info(
                    f"{self._peer.endpoint}: subject_CN={subject}, issuer_CN={issuer or ''}, "
                    f"fingerprint={shown[0]}, pkey_fingerprint={shown[1]}"
                )

    def _log_failure(self, info: Established, report: SessionReport | None, failure: str) -> None:
        if info.resumed:
            what = "peer credential" if self._version >= _NEW_CERTIFICATE_LINE else "certificate"
            log.info(
                f"{self._peer.endpoint}: re-using session with untrusted {what}, look for details earlier in the log"
            )
            return
        problem = self._verifier.problem
        if failure:
            log.info(f"certificate verification failed for {self._hap}: external policy failure ({failure})")
            if report is not None:
                report.external_failure(failure, info)
        elif problem is not None:
            text = library.verify_text(problem.error)
            for line in failure_lines(problem, self._hap, text):
                log.info(line)
            if report is not None:
                report.verification_failed(problem.error, text, info)

    # Tickets

    def _after_read(self) -> None:
        """Application data was read; a ticket may have come with it."""
        if self._seen.tickets and self._established:
            self._save()
            self._seen.tickets = 0

    def _save(self) -> None:
        if self._cache is None or (self._version >= _FIRST_TICKET_ONLY and self._seen.saved):
            return
        der = library.session_der(self._connection)
        if der is None:
            return
        self._seen.saved += 1
        if self._logs(LogFeature.CACHE):
            # Several tickets may have come in one read; only the last one is worth being kept.
            for _ in range(1 if self._version >= _FIRST_TICKET_ONLY else self._seen.tickets):
                log.info(f"save session {self._cache_id} to {self._cache.type} cache")
        self._cache.save(self._cache_id, der)
