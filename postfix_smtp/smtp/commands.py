"""Command lines (smtp-protocol chapter 7), without their line end.

Everything that comes from a message is encoded here; a command never contains CR or LF of foreign origin unless
quoting is turned off.
"""

import re

from postfix_smtp import log
from postfix_smtp.ipc.request import Notify, Recipient, Ret, SendOptions, Submission
from postfix_smtp.smtp import features
from postfix_smtp.smtp.context import RequireTls
from postfix_smtp.smtp.envelope import Envelope
from postfix_smtp.smtp.quoting import quote_821, quote_822
from postfix_smtp.smtp.settings import SmtpSettings
from postfix_smtp.text import to_octets

_NOT_XTEXT = re.compile(rb"[^!-*,-~]")
_NOT_XTEXT_VALUE = re.compile(rb"[^!-*,-<>-~]")
_NOT_UNITEXT = re.compile(r"[^!-*,-<>-\[\]-~]")
_BODY = {"8bit": " BODY=8BITMIME", "7bit": " BODY=7BIT", "": ""}
_REQUESTED = int(SendOptions.SMTPUTF8_REQUESTED)
_SMTPUTF8_ALL = int(SendOptions.SMTPUTF8_ALL)
_UNKNOWN = "unknown"


def xtext(text: str, *, keep_equals: bool = False) -> str:
    """`text` with everything but printable ASCII, and ``+``, as ``+HH`` (RFC 3461 §4).

    Args:
        keep_equals: leave ``=`` alone, as XFORWARD does.
    """
    pattern = _NOT_XTEXT if keep_equals else _NOT_XTEXT_VALUE
    return pattern.sub(lambda match: b"+%02X" % match[0][0], to_octets(text)).decode("ascii")


def unitext(text: str) -> str | None:
    r"""`text` with everything but printable ASCII, and ``\``, ``+``, ``=``, as ``\x{H..}`` (RFC 6533 §3).

    Returns:
        None if it is not UTF-8.
    """
    if any("\ud800" <= char <= "\udfff" for char in text):
        return None
    return _NOT_UNITEXT.sub(lambda match: f"\\x{{{ord(match[0]):02X}}}", text)


def is_converting(settings: SmtpSettings, offered: int, encoding: str) -> bool:
    """Whether content is converted from 8 to 7 bit for this server (message chapter 2)."""
    return settings.convert_8bit and not offered & features.EIGHTBITMIME and encoding != "7bit"


def mail(settings: SmtpSettings, offered: int, envelope: Envelope, queue_id: str, requiretls: RequireTls) -> str:
    """MAIL FROM with its parameters.

    Args:
        offered: feature bits of the server.
        requiretls: policy in force.
    """
    sender = quote_821(envelope.sender) if settings.quote_envelope else envelope.sender
    parts = [f"MAIL FROM:<{sender}>"]
    if offered & features.SIZE and not is_converting(settings, offered, envelope.encoding):
        parts.append(f" SIZE={envelope.size}")
    if offered & features.EIGHTBITMIME:
        body = _BODY.get(envelope.encoding)
        if body is None:
            log.warning(f"{queue_id}: unknown content encoding: {envelope.encoding}")
        else:
            parts.append(body)
    can_require_tls = bool(offered & features.REQUIRETLS)
    if offered & features.DSN:
        if envelope.envelope_id:
            parts.append(f" ENVID={xtext(envelope.envelope_id)}")
        if requiretls and not can_require_tls:
            parts.append(" RET=HDRS")
        elif envelope.ret:
            parts.append(" RET=FULL" if int(envelope.ret) == Ret.FULL.value else " RET=HDRS")
    if offered & features.SMTPUTF8 and int(envelope.options) & _REQUESTED:
        parts.append(" SMTPUTF8")
    if requiretls and can_require_tls:
        parts.append(" REQUIRETLS")
    if settings.send_dummy_auth and offered & features.AUTH:
        parts.append(" AUTH=<>")
    return "".join(parts)


def rcpt(settings: SmtpSettings, offered: int, recipient: Recipient, options: SendOptions) -> str:
    """RCPT TO with its parameters."""
    address = quote_821(recipient.address) if settings.quote_envelope else recipient.address
    command = f"RCPT TO:<{address}>"
    if not offered & features.DSN:
        return command
    orcpt = _orcpt(settings, recipient, options)
    if orcpt is not None:
        command = f"{command} ORCPT={orcpt}"
    notify = int(recipient.notify)
    if notify:
        names = ",".join(str(flag.name) for flag in Notify if notify & flag.value)
        command = f"{command} NOTIFY={names}"
    return command


def _orcpt(settings: SmtpSettings, recipient: Recipient, options: SendOptions) -> str | None:
    original = recipient.dsn_original
    if not original:
        if not recipient.original:
            return None
        address = quote_822(recipient.original)
        kind = "rfc822"
        if not address.isascii() and int(options) & _SMTPUTF8_ALL:
            well_formed = not any("\ud800" <= char <= "\udfff" for char in address)
            if well_formed or not settings.dialect.orcpt_needs_valid_utf8:
                kind = "utf-8"
        original = f"{kind};{address}"
    if original[:6].lower() == "utf-8;":
        return unitext(original)
    return xtext(original)


def xforward(offered: int, submission: Submission) -> tuple[str, str]:
    """The two XFORWARD commands (smtp-protocol chapter 7.1); empty where there is nothing to say."""
    source = "LOCAL" if submission.rewrite_context == "local" else "REMOTE"
    first = (
        (features.XFORWARD_NAME, "NAME", _known(submission.client_name)),
        (features.XFORWARD_ADDR, "ADDR", _known(submission.client_address)),
        (features.XFORWARD_PORT, "PORT", _known(submission.client_port)),
    )
    second = (
        (features.XFORWARD_PROTO, "PROTO", _known(submission.protocol_name)),
        (features.XFORWARD_HELO, "HELO", submission.helo_name),
        (features.XFORWARD_IDENT, "IDENT", submission.log_ident),
        (features.XFORWARD_SOURCE, "SOURCE", source),
    )
    return _xforward(offered, first), _xforward(offered, second)


def _known(value: str) -> str:
    return "" if value.lower() == _UNKNOWN else value


def _xforward(offered: int, attributes: tuple[tuple[int, str, str], ...]) -> str:
    words = [f" {name}={xtext(value, keep_equals=True)}" for bit, name, value in attributes if offered & bit and value]
    return f"XFORWARD{''.join(words)}" if words else ""
