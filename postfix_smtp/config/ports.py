"""``known_tcp_ports``: port numbers that need no services database (config chapter 6)."""

from postfix_smtp import log
from postfix_smtp.config.lines import BLANK


def known_ports(text: str) -> dict[str, str]:
    """Port by service name, from ``name = name ... = port`` items separated by commas. A bad item is logged."""
    ports: dict[str, str] = {}
    if not text.strip(BLANK):
        return ports
    for item in filter(None, text.split(",")):
        if trouble := _enter(item, ports):
            log.warning(f'known_tcp_ports: in "{item}"{trouble}')
    return ports


def _enter(item: str, ports: dict[str, str]) -> str:
    """Enter the names of `item`; what is wrong with it, if anything is. Names before the error stay."""
    *names, port = (part.strip(BLANK) for part in item.split("="))
    if not names:
        return ' is not in "name = value" form'
    if not port:
        return ': missing port value after "="'
    if not all(names):
        return ': missing service name before "="'
    if _has_blank(port):
        return ": whitespace in port number"
    if not _is_number(port):
        return ": non-numerical service port"
    for name in names:
        if _has_blank(name):
            return ": whitespace in service name"
        if _is_number(name):
            return ": numerical service name"
        if name in ports:
            return ": duplicate service name"
        ports[name] = port
    return ""


def _has_blank(text: str) -> bool:
    return any(blank in text for blank in BLANK)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
