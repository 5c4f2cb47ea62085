"""Internal and external (quoted) address forms in headers and look-up keys (message chapter 8.1; RFC 822 §6)."""

import re

_NEEDS_QUOTES = re.compile(r'\A\Z|\A\.|\.\Z|\.\.|[\x00-\x20\x7f()<>@,;:\\"\[\]]')
_ESCAPED = re.compile(r'["\\\r]')
_UNQUOTE = re.compile(r'\\(.)|["\\]', re.DOTALL)


def quote_822(address: str) -> str:
    """External form of an internal address. Only the local part, up to the last ``@``, is ever quoted."""
    if not address:
        return ""
    route, address = _split_route(address)
    at = address.rfind("@")
    local = address if at < 0 else address[:at]
    if _NEEDS_QUOTES.search(local):
        local = '"' + _ESCAPED.sub(r"\\\g<0>", local) + '"'
    return route + local + ("" if at < 0 else address[at:])


def unquote_822(address: str) -> str:
    """Internal form of an external address."""
    route, address = _split_route(address)
    at = _domain_start(address)
    return route + _UNQUOTE.sub(lambda match: match[1] or "", address[:at]) + address[at:]


def _split_route(address: str) -> tuple[str, str]:
    """A source route ``@a,@b:`` and the rest."""
    if address.startswith("@") and (colon := address.find(":")) >= 0:
        return address[: colon + 1], address[colon + 1 :]
    return "", address


def _domain_start(address: str) -> int:
    """Index of the last ``@`` that is not quoted, or the length."""
    start = len(address)
    quoted = False
    index = 0
    while index < len(address):
        octet = address[index]
        if octet == "\\":
            index += 1
        elif octet == '"':
            quoted = not quoted
        elif octet == "@" and not quoted:
            start = index
        index += 1
    return start
