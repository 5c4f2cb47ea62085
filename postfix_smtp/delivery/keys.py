"""Names under which open connections are kept: connection cache keys (delivery chapter 14.4).

They are the same in the process's own pool and in scache(8), so that Postfix's programs and this one find each other's
connections.
"""

import base64
import functools
from dataclasses import dataclass

#: First release of each series whose keys tell whether the message requires SMTPUTF8.
_WITH_SMTPUTF8 = ((3, 7, 17), (3, 8, 12), (3, 9, 6), (3, 10, 5), (3, 11))


@dataclass(frozen=True, slots=True)
class KeyForm:
    """Which fields the keys of a Postfix version have."""

    level_in_destination: bool
    smtputf8: bool
    requiretls: bool


@functools.lru_cache(maxsize=1)
def key_form(version: tuple[int, ...]) -> KeyForm:
    """The form of the installed version."""
    smtputf8 = any(version[:2] == first[:2] and version >= first for first in _WITH_SMTPUTF8) or version >= (3, 11)
    return KeyForm(
        level_in_destination=smtputf8 or version >= (3, 10, 3),
        smtputf8=smtputf8,
        requiretls=version >= (3, 11),
    )


@dataclass(frozen=True, slots=True)
class KeyContext:
    """What the keys of one request have in common.

    Attributes:
        service: master.cf service name.
        sender: set if it matters: sender-dependent authentication with passwords.
        has_passwords: ``smtp_sasl_password_maps`` is not empty.
        smtputf8: the message requires SMTPUTF8.
        requiretls: numeric REQUIRETLS enforcement (3.11).
    """

    service: str
    sender: str | None = None
    has_passwords: bool = False
    smtputf8: bool = False
    requiretls: int = 0


def _field(text: str) -> str:
    if not text:
        return "*\n"
    if "\n" in text or "*" in text:
        text = base64.b64encode(text.encode("utf-8", "surrogateescape")).decode("ascii")
    return text + "\n"


def destination_key(form: KeyForm, context: KeyContext, request_nexthop: str, level: int) -> str:
    """The next-hop key.

    Args:
        level: numeric TLS level; 0 for look-ups over TCP.
    """
    fields = [context.service]
    if context.sender is not None:
        fields.append(context.sender)
    fields.append(request_nexthop)
    return _finish(form, context, fields, level if form.level_in_destination else None)


def endpoint_key(
    form: KeyForm,
    context: KeyContext,
    current_nexthop: str,
    host: str,
    address: str,
    port: int,
    level: int,
    *,
    certificate_match: bool,
) -> str:
    """The endpoint key.

    Args:
        current_nexthop: destination text of the session; part of the key if a password or a certificate depends on it.
        port: 0 for a UNIX-domain socket.
        certificate_match: the TLS level demands a matching certificate.
    """
    fields = [context.service]
    if context.sender is not None:
        fields.append(context.sender)
    if context.has_passwords or certificate_match:
        fields.append(current_nexthop)
    if context.has_passwords:
        fields.append(host)
    fields += [address, str(port)]
    return _finish(form, context, fields, level)


def _finish(form: KeyForm, context: KeyContext, fields: list[str], level: int | None) -> str:
    if level is not None:
        fields.append(str(level))
    if form.requiretls:
        fields.append(str(context.requiretls))
    if form.smtputf8:
        fields.append("1" if context.smtputf8 else "0")
    return "".join(map(_field, fields))
