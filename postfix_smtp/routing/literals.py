"""Address literals, ``[192.0.2.1]`` and ``[IPv6:2001:db8::1]``, as domains of mail addresses (RFC 5321 §4.1.3)."""

import socket

from postfix_smtp import log
from postfix_smtp.routing.names import ipv4_problem, ipv6_problem

_IPV6_TAG = "ipv6:"


def literal_address(domain: str) -> bytes | None:
    """The address that `domain` means, in network order; None if there is none. What is wrong with it is logged."""
    if not domain.startswith("[") or not domain.endswith("]"):
        return None
    text = domain[1:-1]
    is_ipv6 = text[: len(_IPV6_TAG)].lower() == _IPV6_TAG
    if is_ipv6:
        text = text[len(_IPV6_TAG) :]
    problem = ipv6_problem(text) if is_ipv6 else ipv4_problem(text)
    if problem:
        log.warning(problem)
        return None
    try:
        # the C library's reading of IPv4: zeros in front make a number octal
        return socket.inet_pton(socket.AF_INET6, text) if is_ipv6 else socket.inet_aton(text)
    except OSError:
        return None
