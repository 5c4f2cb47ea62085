"""resolv.conf(5) and ``RES_OPTIONS``, the parts that matter to a mail client."""

import os
import socket
from dataclasses import dataclass, replace

MAX_SERVERS = 3
PATH = "/etc/resolv.conf"


@dataclass(frozen=True, slots=True)
class ResolverConfig:
    """How to reach the name servers.

    Attributes:
        servers: numeric addresses, in order; an IPv6 address may carry a zone.
        search: domains for look-ups that ask for a search list.
        ndots: dots a name needs to be tried as it is first.
        timeout: seconds for the first try of one server.
        attempts: rounds over all servers.
        rotate: start with another server each time.
        use_tcp: never UDP.
    """

    servers: tuple[str, ...] = ("127.0.0.1",)
    search: tuple[str, ...] = ()
    ndots: int = 1
    timeout: int = 5
    attempts: int = 2
    rotate: bool = False
    use_tcp: bool = False


def read_resolver_config(path: str = PATH) -> ResolverConfig:
    """The configuration in force now; a missing file means the resolver on this host.

    Without a search list the domain of the host name takes its place.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as source:
            text = source.read()
    except OSError:
        text = ""
    config = parse_resolver_config(text, os.environ.get("RES_OPTIONS", ""))
    domain = socket.gethostname().partition(".")[2]
    return replace(config, search=(domain,)) if domain and not config.search else config


def parse_resolver_config(text: str, res_options: str = "") -> ResolverConfig:
    """Parse the text of a resolv.conf; options of the environment come last and win."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0][0] in "#;":
            continue
        match words[0]:
            case "nameserver" if len(words) > 1 and len(servers) < MAX_SERVERS:
                servers.append(words[1])
            case "domain" if len(words) > 1:
                search = (words[1].rstrip("."),)
            case "search":
                search = tuple(word.rstrip(".") for word in words[1:])
            case "options":
                options += words[1:]
    config = ResolverConfig(search=search)
    if servers:
        config = replace(config, servers=tuple(servers))
    for option in options + res_options.split():
        config = _with_option(config, option)
    return config


def _with_option(config: ResolverConfig, option: str) -> ResolverConfig:
    name, _, value = option.partition(":")
    number = int(value) if value.isdigit() else None
    match name:
        case "timeout" if number is not None:
            return replace(config, timeout=max(1, min(number, 30)))
        case "attempts" if number is not None:
            return replace(config, attempts=max(1, min(number, 5)))
        case "ndots" if number is not None:
            return replace(config, ndots=min(number, 15))
        case "rotate":
            return replace(config, rotate=True)
        case "use-vc":
            return replace(config, use_tcp=True)
    return config
