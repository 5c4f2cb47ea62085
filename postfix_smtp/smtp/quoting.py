"""Addresses from internal form to the forms of commands and headers, and back (message chapter 8.1)."""

import re

# Local parts that are no dot-atom: empty, dot at an end or doubled, specials, blanks and controls. Octets of 128 and
# more are no reason to quote.
_NEEDS_QUOTES = re.compile(r'[\x00-\x20\x7f()<>@,;:\\"\[\]]|\.\.|^\.|\.\Z|^\Z')
_ESCAPED_IN_COMMANDS = re.compile(r'["\\\r\n]')
_ESCAPED_IN_HEADERS = re.compile(r'["\\\r]')
_UNQUOTABLE = re.compile(r'\\(.)|"', re.DOTALL)


def _quote(address: str, escaped: re.Pattern[str]) -> str:
    local, at, domain = address.rpartition("@")
    if not at:
        local, domain = domain, ""
    if not _NEEDS_QUOTES.search(local):
        return address
    return f'"{escaped.sub(_with_backslash, local)}"{at}{domain}'


def _with_backslash(match: re.Match[str]) -> str:
    return "\\" + match[0]


def quote_821(address: str) -> str:
    """`address` as it stands between the angle brackets of MAIL and RCPT (RFC 5321 §4.1.2); empty stays empty."""
    return _quote(address, _ESCAPED_IN_COMMANDS) if address else ""


def quote_822(address: str) -> str:
    """`address` as it stands in a header, a map key or ORCPT; a source route in front of it is copied."""
    if not address:
        return ""
    if address[0] == "@":
        route, colon, rest = address.partition(":")
        if colon:
            return route + colon + _quote(rest, _ESCAPED_IN_HEADERS)
    return _quote(address, _ESCAPED_IN_HEADERS)


def unquote_822(address: str) -> str:
    """The internal form of a quoted address.

    The last ``@`` outside quotes starts the domain, which is copied; before it quotes are dropped, and of a backslash
    and what follows it only the latter stays.
    """
    route = ""
    if address[:1] == "@":
        head, colon, rest = address.partition(":")
        if colon:
            route, address = head + colon, rest
    quoted, at, i = False, -1, 0
    while i < len(address):
        char = address[i]
        if char == "\\":
            i += 1
        elif char == '"':
            quoted = not quoted
        elif char == "@" and not quoted:
            at = i
        i += 1
    local, domain = (address, "") if at < 0 else (address[:at], address[at:])
    return route + _UNQUOTABLE.sub(lambda match: match[1] or "", local) + domain
