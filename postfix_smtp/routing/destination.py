"""Destination syntax: what a nexthop says (delivery chapter 3).

A nexthop is a list of destinations; one is found malformed only when its turn comes.
"""

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from postfix_smtp import log
from postfix_smtp.errors import FatalError, PanicError
from postfix_smtp.routing import names

_SEPARATORS = re.compile(r"[, \t\r\n]+")
UNIX_PREFIX = "unix:"
INET_PREFIX = "inet:"
WRAPPER_PORT = 465
LOOP_PORT = 25
_LOGGED = 100  #: octets of a name in a warning


@dataclass(frozen=True, slots=True)
class Destination:
    """One destination over TCP.

    Attributes:
        text: as written, with brackets and service: the "current next-hop" of cache keys and policy tables.
        host: the bare host or numeric address, for look-ups.
        service: service name or number, as written or the default.
        port: TCP port.
        literal: written in brackets: no MX and no SRV look-up.
    """

    text: str
    host: str
    service: str
    port: int
    literal: bool


def split_nexthop(nexthop: str, fallback_relays: str = "") -> list[str]:
    """The destinations of a nexthop, and behind them the fallback relays.

    Raises:
        PanicError: there is none.
    """
    listed = [item for item in _SEPARATORS.split(nexthop) if item]
    if not listed:
        raise PanicError(f'null destination: "{nexthop}"')
    return listed + split_list(fallback_relays)


def split_list(value: str) -> list[str]:
    """A plain list: split at commas and blanks, no empty items."""
    return [item for item in _SEPARATORS.split(value) if item]


def parse_destination(
    text: str, default_service: str, known_ports: Mapping[str, str], *, allow_utf8: bool
) -> Destination:
    """One destination ``[host]:service``, ``host:service``, ``host`` (delivery chapter 3.2).

    Args:
        default_service: name or number used when the destination names none.
        known_ports: service name to port number, asked before the services database.
        allow_utf8: internationalised host names are valid.

    Raises:
        FatalError: with Postfix's text for each kind of malformed destination.
    """
    literal = text.startswith("[")
    if literal:
        host, service = _split_bracketed(text)
    else:
        host, colon, service = text.rpartition(":")
        if not colon:
            host, service = text, ""
    if not host and not literal:
        raise FatalError(f"missing host information in server description: {text}")
    service = service or default_service
    if not service:
        raise FatalError(f"missing service information in server description: {text}")
    if not _valid_host(host, allow_utf8=allow_utf8):
        raise FatalError(f"valid hostname or network address required in server description: {text}")
    return Destination(text, host, service, _port(text, service, known_ports), literal)


def _split_bracketed(text: str) -> tuple[str, str]:
    inside = text[1:]
    ipv6 = inside[:5].lower() == "ipv6:"
    if ipv6:
        inside = inside[5:]
    host, bracket, rest = inside.partition("]")
    if not bracket:
        raise FatalError(f'missing "]" in server description: {text}')
    if rest and not rest.startswith(":"):
        raise FatalError(f'garbage after "]" in server description: {text}')
    if ipv6 and not names.is_ipv6(host):
        raise FatalError(f"malformed IPv6 address in server description: {text}")
    return host, rest[1:]


def _valid_host(host: str, *, allow_utf8: bool) -> bool:
    if names.is_address(host):
        return True
    if not host.isascii() and allow_utf8:
        try:
            if names.is_hostname(names.a_label_form(host)):
                return True
            problem = "malformed ASCII label(s)"
        except ImportError:
            return False
        except UnicodeError as error:
            problem = str(error)
        shown = host.encode("utf-8", "surrogateescape")[:_LOGGED].decode("utf-8", "surrogateescape")
        log.warning(f'midna_domain_to_ascii_create: Problem translating domain "{shown}" to ASCII form: {problem}')
        return False
    return names.is_hostname(host)


def _port(text: str, service: str, known_ports: Mapping[str, str]) -> int:
    service = known_ports.get(service, service)
    if service[:1].isdigit() and service.isascii():
        if not service.isdigit():
            raise FatalError(f"garbage after numerical service in server description: {text}")
        port = int(service)
        if not 1 <= port <= 65535:
            raise FatalError(f"bad network port: {service} for destination: {text}")
        return port
    try:
        return socket.getservbyname(service, "tcp")
    except (OSError, UnicodeError):
        raise FatalError(f"unknown service: {service}/tcp") from None
