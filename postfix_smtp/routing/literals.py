"""Address literals, ``[192.0.2.1]`` and ``[IPv6:2001:db8::1]``, as domains of mail addresses (RFC 5321 §4.1.3)."""

import re
import socket

from postfix_smtp import log

_IPV6_TAG = "ipv6:"
_FIELDS_MAX = 8
#: An IPv4 address at the end of an IPv6 address stands for two of its eight fields, and follows two colons at least.
_EMBEDDED_AT = range(2, 7)
_SHOWN = 100


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


def ipv4_problem(text: str) -> str | None:
    """Why `text` is no IPv4 address, in the words of Postfix's warning; None if it may be one."""
    count = 0
    octet = ""
    for position, char in enumerate(text):
        if char.isascii() and char.isdigit():
            if not octet:
                count += 1
            octet += char
            if int(octet) > 255:
                return _ipv4("invalid octet value", text)
        elif char == ".":
            rest = text[position + 1 :]
            if not octet or not rest:
                return _ipv4("misplaced dot", text)
            if count == 1 and not int(octet) and rest.strip("0."):
                return _ipv4("bad initial octet value", text)
            octet = ""
        else:
            return _ipv4(f"invalid character {_code(char)}(decimal)", text)
    return None if count == 4 else _ipv4("invalid octet count", text)


def ipv6_problem(text: str) -> str | None:
    """Why `text` is no IPv6 address, in the words of Postfix's warning; None if it may be one."""
    colons = length = field_start = 0
    gap = -1  # number of colons before "::"
    for position, char in enumerate(text):
        if char == ".":
            if colons not in _EMBEDDED_AT:
                return _ipv6("malformed IPv4-in-IPv6", text)
            return ipv4_problem(text[field_start:])
        if char == ":":
            doubled = text.startswith(":", position + 1)
            if not position and not doubled:
                return _ipv6("bad null first field in IPv6", text)
            if colons + 1 >= _FIELDS_MAX:
                return _ipv6("too many `:' in IPv6", text)
            colons += 1
            if doubled:
                if gap >= 0:
                    return _ipv6("too many `::' in IPv6", text)
                gap = colons
            length, field_start = 0, position + 1
        elif re.match("[0-9A-Fa-f]", char):
            length += 1
            if length > 4:
                return _ipv6("malformed IPv6", text)
        else:
            return _ipv6(f"invalid character {_code(char)}(decimal) in IPv6", text)
    if colons < 2:
        return _ipv6("too few `:' in IPv6", text)
    if not length and gap != colons - 1:
        return _ipv6("bad null last field in IPv6", text)
    return None


def _ipv4(what: str, text: str) -> str:
    return f"valid_ipv4_hostaddr: {what}: {_shown(text)}"


def _ipv6(what: str, text: str) -> str:
    return f"valid_ipv6_hostaddr: {what} address: {_shown(text)}"


def _code(char: str) -> int:
    return char.encode("utf-8", "surrogateescape")[0]


def _shown(text: str) -> str:
    return text.encode("utf-8", "surrogateescape")[:_SHOWN].decode("utf-8", "surrogateescape")
