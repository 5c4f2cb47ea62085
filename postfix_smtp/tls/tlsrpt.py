"""TLSRPT: what became of TLS, told to the collector that reports it to the domain's owner (RFC 8460; 3.10).

The collector listens on a datagram socket; one packet tells about one session (TLS chapter 8.1, 8.2).
"""

import errno
import os
import socket
from dataclasses import dataclass

from postfix_smtp import log
from postfix_smtp.config.expand import compatibility_level
from postfix_smtp.delivery.session import Session
from postfix_smtp.routing import names
from postfix_smtp.routing.dns import Resolver, Result
from postfix_smtp.smtp.context import StartTls, TlsInfo
from postfix_smtp.smtp.peer import Peer
from postfix_smtp.text import to_octets
from postfix_smtp.tls.levels import Level, parse_level
from postfix_smtp.tls.policy import Policy
from postfix_smtp.tls.settings import TlsParameters

_NAME_LIMIT = 107
_TOO_LONG = 10711
_SKIP_DEFAULT_CHANGED = (3, 11)
_TYPES = {
    201: "starttls_not_supported",
    202: "certificate_host_mismatch",
    203: "certificate_not_trusted",
    204: "certificate_expired",
    205: "validation_failure",
    301: "sts_policy_fetch_error",
    302: "sts_policy_invalid",
    303: "sts_webpki_invalid",
    304: "tlsa_invalid",
}
_EXTERNAL = {
    "sts-policy-fetch-error": 301,
    "sts-policy-invalid": 302,
    "sts-webpki-invalid": 303,
    "validation-failure": 205,
}
_EXPIRED = (10, 14)
_INVALID = (9, 13, 18, 19, 20, 22, 26)
_REJECTED = 27
_TLSA, _STS, _NONE_FOUND = 1, 2, 9
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True, slots=True)
class TlsRptSettings:
    """What reporting needs from main.cf.

    Attributes:
        skip_resumed: nothing is reported about resumed TLS sessions.
        skip_is_old_default: that is so only for compatibility.
        reports_refusal: STARTTLS refused is a failure also where TLS is optional.
        validate: ask for validated TXT records.
    """

    socket_name: str
    skip_resumed: bool
    skip_is_old_default: bool
    reports_refusal: bool
    validate: bool

    @classmethod
    def from_parameters(cls, p: TlsParameters, *, dns: bool, validate: bool) -> "TlsRptSettings | None":
        """Read the parameters; None if reporting is off. Warns if it cannot be switched on.

        Args:
            dns: there is DNS; validate: its answers are validated.
        """
        if not p.flag("smtp_tlsrpt_enable"):
            return None
        name = p.text("smtp_tlsrpt_socket_name")
        if p.program == "lmtp":
            log.warning("TLSRPT support is not implemented for LMTP")
        elif not dns:
            log.warning("Cannot enable TLSRPT support: DNS is disabled")
        elif not name:
            log.warning(
                "TLSRPT support: parameter smtp_tlsrpt_socket_name has empty value -- TLSRPT support will be disabled"
            )
        elif (parse_level(p.text("smtp_tls_security_level")) or Level.NONE) > Level.NONE:
            changed = p.version >= _SKIP_DEFAULT_CHANGED
            old = changed and compatibility_level(p.text("compatibility_level")) < compatibility_level("3.11")
            old = old and not p.is_set("smtp_tlsrpt_skip_reused_handshakes")
            return cls(
                name,
                skip_resumed=old or p.flag("smtp_tlsrpt_skip_reused_handshakes"),
                skip_is_old_default=old,
                reports_refusal=changed,
                validate=validate,
            )
        return None


class TlsRpt:
    """Finds out who wants reports; implements :class:`postfix_smtp.tls.reporting.Reporting`."""

    def __init__(self, settings: TlsRptSettings, resolver: Resolver) -> None:
        self._settings = settings
        self._resolver = resolver
        self._told = False

    async def find(self, domain: str) -> "DomainReport | None":
        """The report of a destination; None if its domain does not want any."""
        name = names.to_ascii(domain) or domain
        if names.is_address(name):
            return None
        answer = await self._resolver.lookup(f"_smtp._tls.{name}", "TXT", validate=self._settings.validate)
        if answer.result is not Result.OK:
            if answer.result not in (Result.NOTFOUND, Result.POLICY):
                log.warning(f"TLSRPT support: policy lookup failed for {name}: {answer.text}")
            return None
        found: list[str] = []
        for record in answer.records:
            if not record.data.startswith("v=TLSRPTv1"):
                continue
            if not record.data.removeprefix("v=TLSRPTv1").lstrip(" \t").startswith(";"):
                log.warning(f'TLSRPT support: ignoring malformed policy for {name}:, "{record.data}"')
                continue
            found.append(record.data)
        if len(found) > 1:
            log.warning(f"TLSRPT support: Too many TLSRPT policies for {name}")
        if len(found) != 1:
            return None
        if self._settings.skip_is_old_default and not self._told:
            self._told = True
            log.info("using using backwards-compatible default setting smtp_tlsrpt_skip_reused_handshakes=yes")
        return DomainReport(self._settings, name, found[0])


@dataclass(frozen=True, slots=True)
class DomainReport:
    """Where to report about one destination; implements :class:`postfix_smtp.tls.reporting.Report`."""

    settings: TlsRptSettings
    domain: str
    record: str

    def session(self, policy: Policy, peer: Peer) -> "SessionEvents":
        """The report on a session that is about to begin."""
        return SessionEvents(self, policy, peer)


class SessionEvents:
    """The report on one session; implements :class:`postfix_smtp.tls.reporting.SessionReport`."""

    def __init__(self, report: DomainReport, policy: Policy, peer: Peer) -> None:
        self._report = report
        self._policy = policy
        self._peer = peer
        self._session: Session | None = None
        self._done = False

    def begin(self, session: Session) -> None:
        """The session that the report is about is going to shake hands."""
        self._session = session
        self._done = False

    def unusable(self, kind: str) -> None:
        """No record of a kind is usable."""
        self._fail(304 if kind == "TLSA records" else 205, f"all-{kind.replace(' ', '-')}-unusable")

    def handshake_failed(self) -> None:
        """The handshake was broken off."""
        self._fail(205, "tls-handshake-failure")

    def verification_failed(self, error: int, text: str, info: TlsInfo) -> None:
        """The certificate has an error."""
        if error in _EXPIRED:
            self._fail(204)
        elif error in _INVALID:
            self._fail(205, text.replace(" ", "_"))
        elif error == _REJECTED:
            self._fail(203)

    def external_failure(self, failure: str, info: TlsInfo) -> None:
        """The policy came with a failure."""
        self._fail(_EXTERNAL[failure])

    def ended(self, start: StartTls, info: TlsInfo | None, *, accepted: bool) -> None:
        """The handshake with the server is over."""
        is_required = self._policy.level.is_required
        match start:
            case StartTls.NOT_OFFERED if is_required:
                self._fail(201)
            case StartTls.REFUSED if is_required or self._report.settings.reports_refusal:
                self._fail(201)
            case StartTls.ESTABLISHED if info is not None:
                if self._report.settings.skip_resumed and getattr(info, "resumed", False):
                    return
                if info.must_match and not info.is_matched:
                    self._fail(202 if info.is_trusted else 203)
                elif accepted:
                    self._succeed()

    # Sending

    def _fail(self, code: int, reason: str = "") -> None:
        if self._done:
            return
        kind = f"status=failure, {self._where}, failure_type={_TYPES[code]}"
        log.info(f"TLSRPT: {kind}, failure_reason={reason}" if reason else f"TLSRPT: {kind}")
        self._send(self._details(code, reason), 1, 1)

    def _succeed(self) -> None:
        if self._done:
            return
        log.info(f"TLSRPT: status=success, {self._where}")
        self._send("", 0, 0)

    @property
    def _where(self) -> str:
        return f"domain={self._report.domain}, receiving_mx={self._peer.host}"

    def _details(self, code: int, reason: str) -> str:
        session, peer = self._session, self._peer
        parts = [f'"c":{code}']
        own = session.stream.own_address if session is not None else ""
        hello = ""
        if session is not None:
            hello = session.hello_text if session.plaintext_hello is None else session.plaintext_hello
            hello = hello.replace("\n", "\r\n")
        for key, value in (("s", own), ("n", peer.name), ("h", hello), ("r", peer.address), ("f", reason)):
            if value:
                parts.append(f'"{key}": {_string(value)}')
        return f',"failure-details":[{{{",".join(parts)}}}]'

    def _send(self, details: str, total: int, failed: int) -> None:
        self._done = True
        report = self._report
        packet = (
            f'{{"dpv": "1","d": {_string(report.domain)},"pr": {_string(report.record)},'
            f'"policies":[{{{self._describe()}{details},"t":{total},"f":{failed}}}]}}'
        )
        name = report.settings.socket_name
        problem, number = "", 0
        if len(to_octets(name)) > _NAME_LIMIT:
            problem, number = os.strerror(errno.ENAMETOOLONG), _TOO_LONG
            problem = f"{problem} (error {number})"
        else:
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
                    sender.sendto(to_octets(packet), to_octets(name))
            except OSError as error:
                problem = f"{error.strerror} (errno {error.errno})"
        if problem:
            log.warning(f"Could not report TLS handshake result to tlsrpt library: {problem}")

    def _describe(self) -> str:
        policy, external = self._policy, self._policy.external
        domain = self._report.domain
        if policy.level.uses_tlsa:
            return _policy(_TLSA, policy.base_domain, [record.full_text for record in policy.records], ())
        if external.type == "sts":
            return _policy(_STS, external.domain or domain, external.strings, external.mx_patterns)
        return _policy(_NONE_FOUND, domain, (), ())


def _policy(
    kind: int, domain: str, strings: "list[str] | tuple[str, ...]", hosts: "list[str] | tuple[str, ...]"
) -> str:
    text = f'"policy-type":{kind},"policy-domain": {_string(domain)}'
    if strings:
        text += f',"policy-string":[{",".join(map(_string, strings))}]'
    if hosts:
        text += f',"mx-host":[{",".join(map(_string, hosts))}]'
    return text


def _string(text: str) -> str:
    shown = "".join(
        _ESCAPES.get(char) or (f"\\u{ord(char):04x}" if char < " " or char == "\x7f" else char) for char in text
    )
    return f'"{shown}"'
