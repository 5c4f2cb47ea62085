"""Packets in the log (``smtp_tls_loglevel`` 3 and 4, TLS chapter 5.9)."""

from postfix_smtp import log

_WIDTH = 16


def dump(direction: str, octets: bytes, place: int) -> None:
    """Show what was read from or written to the network.

    Args:
        direction: ``read`` or ``write``.
        place: a number that tells connections apart.
    """
    preposition = "from" if direction == "read" else "to"
    size = len(octets)
    result = f"{size} (0x{size:x})" if octets else "-1"
    log.info(f"{direction} {preposition} {place:016X} [{place:016X}] ({size} bytes => {result})")
    shown = octets.rstrip(b" \0")
    for offset in range(0, len(shown), _WIDTH):
        row = shown[offset : offset + _WIDTH]
        digits = "".join(f"{octet:02x}{'|' if position == 7 else ' '}" for position, octet in enumerate(row))
        text = "".join(chr(octet) if 0x20 <= octet < 0x7F else "." for octet in row)
        log.info(f"{offset:04x} {digits:<{3 * _WIDTH}} {text[:8]} {text[8:]}".rstrip())
    if len(shown) < size:
        log.info(f"{size:04x} - <SPACES/NULS>")
