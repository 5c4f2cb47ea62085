"""Host names and numeric addresses as Postfix judges them (config chapter 13, delivery chapter 3.2).

`check_hostname` says why a name is bad, because the log says it too.
"""

import re
import socket
import unicodedata

from postfix_smtp import log

MAX_NAME = 255
MAX_LABEL = 63
_LABEL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_DIGITS = frozenset("0123456789")
_OCTET = "0*(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_IPV4 = re.compile(rf"(?!0+\.(?![0.]*\Z)){_OCTET}(?:\.{_OCTET}){{3}}")
_GROUPS = re.compile(r"(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4})*)?")
_LEAST_COLONS, _MOST_COLONS = 6, 7


def is_ipv4(text: str) -> bool:
    """Four decimal octets, with leading zeros if need be; only 0.0.0.0 begins with a zero octet."""
    return _IPV4.fullmatch(text) is not None


def is_ipv6(text: str) -> bool:
    """The syntax of an IPv6 address, without brackets, prefix or zone, as Postfix counts groups.

    It counts colons, 7 at most, or 6 before an IPv4 address, and without ``::`` 6 at least. So ``1:2:3:4:5:6:7`` has
    the syntax of an address and is none, and ``1:2:3:4:5:6:7::`` is one and has not.
    """
    most = _MOST_COLONS
    if "." in text:
        text, _, ipv4 = text.rpartition(":")
        if not is_ipv4(ipv4):
            return False
        text += ":0"
        most = _LEAST_COLONS
    colons = text.count(":")
    sides = text.split("::")
    least = _LEAST_COLONS if len(sides) == 1 else 0
    return len(sides) <= 2 and least <= colons <= most and all(_GROUPS.fullmatch(side) for side in sides)


def is_address(text: str) -> bool:
    """The syntax of a numeric IPv4 or IPv6 address."""
    return is_ipv6(text) if ":" in text else is_ipv4(text)


def numeric_address(host: str) -> str | None:
    """The address that a host's name is, in its usual spelling; None if it is a name.

    The system's functions decide, so ``2001:DB8:0:0::1`` is ``2001:db8::1``, and ``0x7f.1``, which has the syntax of a
    host name, is ``127.0.0.1``.
    """
    try:
        if ":" in host:
            return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, host))
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


def hostname_problem(name: str, *, wildcard: bool = False) -> str | None:
    """Why `name` is no host name, in the words of Postfix's warning; None if it is one.

    Args:
        wildcard: a leading ``*`` label is allowed (names in the DNS).
    """
    if not name:
        return "valid_hostname: empty hostname"
    octets = name.encode("utf-8", "surrogateescape")
    label = 0
    seen_other = False
    for position, octet in enumerate(octets):
        char = chr(octet)
        if char in _LABEL and char != "-":
            label += 1
            if label > MAX_LABEL:
                return f"valid_hostname: hostname label too long: {_first(name, 100)}"
            if char not in _DIGITS:
                seen_other = True
        elif wildcard and char == "*" and position == 0:
            label += 1
            seen_other = True
        elif char == ".":
            if label == 0 or position == len(octets) - 1:
                return f"valid_hostname: misplaced delimiter: {_first(name, 100)}"
            label = 0
        elif char == "-":
            seen_other = True
            label += 1
            following = octets[position + 1 : position + 2]
            if label == 1 or following in (b"", b"."):
                return f"valid_hostname: misplaced hyphen: {_first(name, 100)}"
        else:
            return f"valid_hostname: invalid character {octet}(decimal): {_first(name, 100)}"
    if not seen_other:
        return f"valid_hostname: numeric hostname: {_first(name, 100)}"
    if len(octets) > MAX_NAME:
        return f"valid_hostname: bad length {len(octets)} for {_first(name, 100)}..."
    return None


def is_hostname(name: str, *, report: bool = False, wildcard: bool = False) -> bool:
    """Whether `name` is a syntactically valid ASCII host name; `report` logs why not as a warning."""
    problem = hostname_problem(name, wildcard=wildcard)
    if problem is not None and report:
        log.warning(problem)
    return problem is None


def _first(text: str, length: int) -> str:
    return text[:length]


def to_ascii(name: str) -> str | None:
    """The A-label form of a domain name; None if it has none, or without the package ``idna``.

    ASCII names are returned as they are.
    """
    if name.isascii():
        return name
    try:
        return a_label_form(name)
    except (ImportError, UnicodeError):
        return None


def a_label_form(name: str) -> str:
    """The A-label form of a domain name that is not ASCII, by UTS #46 without transition, as Postfix has it from ICU.

    The package ``idna`` by itself knows the letters of IDNA 2008 only; UTS #46 has symbols and ``_`` as well.

    Raises:
        UnicodeError: there is none; the text is ICU's name of the problem.
        ImportError: the package ``idna`` is missing.
    """
    import idna

    try:
        mapped = idna.uts46_remap(name, std3_rules=False, transitional=False)
    except idna.IDNAError:
        raise UnicodeError("UIDNA_ERROR_DISALLOWED") from None
    labels = mapped.split(".")
    if "" in labels[:-1]:
        raise UnicodeError("UIDNA_ERROR_EMPTY_LABEL")
    return ".".join(label if label.isascii() else _a_label(label) for label in labels)


def _a_label(label: str) -> str:
    problem = None
    converted = "xn--" + label.encode("punycode").decode("ascii")
    if label.startswith("xn--"):
        problem = "PUNYCODE"
    elif label[2:4] == "--":
        problem = "HYPHEN_3_4"
    elif label.startswith("-"):
        problem = "LEADING_HYPHEN"
    elif label.endswith("-"):
        problem = "TRAILING_HYPHEN"
    elif unicodedata.category(label[0]).startswith("M"):
        problem = "LEADING_COMBINING_MARK"
    elif len(converted) > MAX_LABEL:
        problem = "LABEL_TOO_LONG"
    if problem is not None:
        raise UnicodeError(f"UIDNA_ERROR_{problem}")
    return converted
