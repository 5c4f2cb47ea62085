"""REQUIRETLS against the TLS level, and ``tls=`` in log lines (3.11; TLS chapter 7.3, 8.4)."""

from postfix_smtp import log
from postfix_smtp.dsn import Dsn
from postfix_smtp.smtp.context import RequireTls, StartTls, TlsInfo
from postfix_smtp.smtp.failure import Failure
from postfix_smtp.tls.levels import Level

UNKNOWN = "unknown?"


def requiretls_failure(level: Level, requiretls: RequireTls | None, host: str, queue_id: str) -> Failure | None:
    """Whether a TLS level rules a server out for a message that requires TLS.

    Args:
        requiretls: enforcement; None: its policy is an error.
    """
    last = f"The last attempted server was {host}"
    if requiretls is None:
        return Failure(Dsn("4.7.10", f"REQUIRETLS policy configuration error. {last}"))
    begin = f"Sender requested REQUIRETLS, but my configured TLS security level '{level.text}' disables"
    no_match = f"{begin} certificate matching. {last}"
    if requiretls is RequireTls.ENFORCE and not level.must_match:
        return Failure(Dsn("5.7.10", no_match), soft_unless_final=True)
    if requiretls is RequireTls.OPPORTUNISTIC_STARTTLS:
        if level is Level.NONE:
            return Failure(Dsn("5.7.10", f"{begin} encryption. {last}"), soft_unless_final=True)
        if not level.must_match:
            log.info(f"{queue_id}: {no_match}")
    return None


def describe(
    level: Level,
    requiretls: RequireTls,
    start: StartTls,
    info: TlsInfo | None,
    *,
    announced: bool,
    begun: bool,
) -> str:
    """What a log line says of TLS on this connection.

    Args:
        level: of the policy.
        start: what became of TLS.
        announced: the server knows REQUIRETLS.
        begun: mail could be sent.
    """
    first = _tls(level, start, info, begun=begun)
    second = _requiretls(level, requiretls, start, info, announced=announced, begun=begun)
    if second.startswith("!") and not first.startswith("!") and start in (StartTls.NOT_OFFERED, StartTls.REFUSED):
        first = f"{level.text}?"
    return f"{first}/{second}" if second else first


def _tls(level: Level, start: StartTls, info: TlsInfo | None, *, begun: bool) -> str:
    name = level.text
    if level is Level.NONE:
        return name if begun else f"{name}?"
    match start:
        case StartTls.ESTABLISHED:
            if info is not None and level.must_match:
                if not info.must_match:
                    return f"{name}:{Level.ENCRYPT.text}"
                if not info.is_matched:
                    return f"!{name}"
            return name
        case StartTls.NOT_OFFERED | StartTls.REFUSED:
            return f"!{name}" if level.is_required else f"{name}:none"
        case StartTls.UNAVAILABLE:
            return f"{name}?" if level.is_required else f"{name}:none"
        case StartTls.FAILED:
            return f"{name}?"
    return f"{name}:none" if begun and level is Level.MAY else f"{name}?"


def _requiretls(
    level: Level, requiretls: RequireTls, start: StartTls, info: TlsInfo | None, *, announced: bool, begun: bool
) -> str:
    if requiretls is RequireTls.DISABLE:
        return ""
    if start is StartTls.FAILED or (start is StartTls.UNUSED and not begun):
        return "requiretls?"
    must_start = requiretls >= RequireTls.OPPORTUNISTIC_STARTTLS
    if start is StartTls.ESTABLISHED:
        matched = info is not None and info.is_matched
        if requiretls is RequireTls.ENFORCE:
            if not matched:
                return "!requiretls:nocertmatch"
            return "requiretls" if announced else "!requiretls:none"
        if not announced:
            return "requiretls:none"
        return "requiretls" if matched else "requiretls:nocertmatch"
    if must_start and level > Level.NONE and start in (StartTls.NOT_OFFERED, StartTls.REFUSED):
        return "!requiretls:nostarttls"
    if must_start and start is StartTls.UNAVAILABLE:
        return "requiretls?"
    return "requiretls:none"


def ruled_out(level: Level, requiretls: RequireTls | None) -> str:
    """What a log line says when :func:`requiretls_failure` has ruled the server out."""
    if requiretls is None:
        return f"{level.text}?"
    reason = "noencryption" if requiretls is RequireTls.OPPORTUNISTIC_STARTTLS else "nocertmatch"
    return f"{level.text}?/!requiretls:{reason}"
