"""Network patterns ``address/len`` of match lists and cidr tables (config chapter 7, tables chapter 9)."""

import socket
from dataclasses import dataclass

_WIDTH = {socket.AF_INET: 32, socket.AF_INET6: 128}


class NetworkError(Exception):
    """A malformed pattern; the text is Postfix's."""


@dataclass(frozen=True, slots=True)
class Network:
    """A network, or a single address."""

    family: int
    address: int
    length: int

    def __contains__(self, packed: bytes) -> bool:
        width = len(packed) * 8
        if width != (32 if self.family == socket.AF_INET else 128):
            return False
        return (int.from_bytes(packed, "big") ^ self.address) >> (width - self.length) == 0


def pack(address: str) -> bytes | None:
    """The octets of a numeric address, None if it is none."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except (OSError, ValueError):
        return None


def parse_network(pattern: str) -> Network:
    """Parse ``a.b.c.d``, ``a.b.c.d/n``, ``v6/n``, ``[v6]``, ``[v6]/n`` or ``[v6/n]``.

    Raises:
        NetworkError: with the text for the log.
    """
    text = pattern
    if text.startswith("["):
        inside, bracket, rest = text[1:].partition("]")
        if not bracket:
            raise NetworkError(f"missing ']' character after \"{pattern}\"")
        if rest and not rest.startswith("/"):
            raise NetworkError(f'garbage after "[{inside}]"')
        text = inside + rest
    address, slash, mask = text.partition("/")
    packed = pack(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if not slash:
        if packed is None:
            raise NetworkError(f'bad address pattern: "{text}"')
        return Network(family, int.from_bytes(packed, "big"), len(packed) * 8)
    if not mask or not mask.isdigit() or not mask.isascii():
        raise NetworkError(f'bad mask value in "{text}"')
    length = int(mask)
    if length > _WIDTH[family]:
        raise NetworkError(f'bad mask length in "{text}"')
    if packed is None:
        raise NetworkError(f'bad network value in "{text}"')
    width = _WIDTH[family]
    value = int.from_bytes(packed, "big")
    network = value >> (width - length) << (width - length)
    if network != value:
        better = f"{socket.inet_ntop(family, network.to_bytes(len(packed), 'big'))}/{length}"
        raise NetworkError(f'non-null host address bits in "{text}", perhaps you should use "{better}" instead')
    return Network(family, network, length)
