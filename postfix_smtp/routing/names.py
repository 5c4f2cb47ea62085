"""Host names and numeric addresses as Postfix judges them (config chapter 13, delivery chapter 3.2).

`check_hostname` says why a name is bad, because the log says it too.
"""

import socket
import unicodedata

from postfix_smtp import log

MAX_NAME = 255
MAX_LABEL = 63
_LABEL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_DIGITS = frozenset("0123456789")
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")
_FIELDS_MAX = 8
#: An IPv4 address at the end of an IPv6 address stands for two of its eight fields, and follows two colons at least.
_EMBEDDED_AT = range(2, 7)
_SHOWN = 100  #: octets of an address in a warning


def is_ipv4(text: str) -> bool:
    """The syntax of an IPv4 address."""
    return ipv4_problem(text) is None


def is_ipv6(text: str) -> bool:
    """The syntax of an IPv6 address, without brackets, prefix or zone."""
    return ipv6_problem(text) is None


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


def ipv4_problem(text: str) -> str | None:
    """Why `text` is no IPv4 address, in the words of Postfix's warning; None if it may be one.

    Four decimal octets, with leading zeros if need be; only 0.0.0.0 begins with a zero octet.
    """
    count = value = 0
    digits = False  # the last character was one
    for position, char in enumerate(text):
        if char in _DIGITS:
            count += not digits
            value = int(char) + (10 * value if digits else 0)
            digits = True
            if value > 255:
                return _ipv4("invalid octet value", text)
        elif char == ".":
            rest = text[position + 1 :]
            if not digits or not rest:
                return _ipv4("misplaced dot", text)
            if count == 1 and not value and rest.strip("0."):
                return _ipv4("bad initial octet value", text)
            digits = False
        else:
            return _ipv4(f"invalid character {_code(char)}(decimal)", text)
    return None if count == 4 else _ipv4("invalid octet count", text)


def ipv6_problem(text: str) -> str | None:
    """Why `text` is no IPv6 address, in the words of Postfix's warning; None if it may be one.

    Only colons are counted: ``1:2:3`` has the syntax of an address and is none, ``1:2:3:4:5:6:7::`` is one and has not.
    """
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
        elif char in _HEXADECIMAL:
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
