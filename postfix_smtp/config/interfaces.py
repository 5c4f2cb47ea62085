"""The addresses of this host: ``inet_interfaces``, ``proxy_interfaces`` and what follows from them (config chapter 13).

Addresses are texts in the form that inet_ntop gives them.
"""

import fcntl
import os
import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple

from postfix_smtp import log
from postfix_smtp.config.lists import split
from postfix_smtp.errors import FatalError

_SEPARATORS = " \t,"

# rtnetlink(7) and netdevice(7)
_NETLINK_ROUTE = 0
_REQUEST_DUMP = 0x301
_RTM_NEWADDR, _RTM_GETADDR = 20, 22
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_SIOCGIFFLAGS = 0x8913
_IFF_UP = 1


class Interface(NamedTuple):
    """An address of a network interface and the length of its network prefix, in bits."""

    family: socket.AddressFamily
    address: str
    prefix: int


def local_interfaces() -> list[Interface]:
    """The addresses of all interfaces that are up.

    Raises:
        FatalError: the kernel does not say.
    """
    try:
        with (
            socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE) as netlink,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control,
        ):
            netlink.send(
                struct.pack("=IHHIIBBBBI", 24, _RTM_GETADDR, _REQUEST_DUMP, 1, 0, socket.AF_UNSPEC, 0, 0, 0, 0)
            )
            up: dict[int, bool] = {}
            found: list[Interface] = []
            while True:
                data = netlink.recv(1 << 16)
                offset = 0
                while offset < len(data):
                    length, kind = struct.unpack_from("=IH", data, offset)
                    if kind == _NLMSG_DONE:
                        return sorted(found, key=lambda interface: interface.family)
                    if kind == _NLMSG_ERROR:
                        raise OSError(0, "netlink error")
                    if kind == _RTM_NEWADDR:
                        index, interface = _address(data[offset + 16 : offset + length])
                        if index not in up:
                            up[index] = _is_up(control, index)
                        if interface is not None and up[index]:
                            found.append(interface)
                    offset += (length + 3) & ~3
    except OSError as trouble:
        raise FatalError(f"cannot list the network interfaces: {trouble.strerror}") from None


def _address(message: bytes) -> tuple[int, Interface | None]:
    """Take an ifaddrmsg apart: (interface index, its address)."""
    family, prefix, _, _, index = struct.unpack_from("=BBBBI", message)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return index, None
    address = b""
    offset = 8
    while offset + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, offset)
        # On a point-to-point interface ADDRESS is the other end and LOCAL ours; LOCAL comes second.
        if kind == _IFA_LOCAL or (kind == _IFA_ADDRESS and not address):
            address = message[offset + 4 : offset + length]
        offset += (length + 3) & ~3 or 4
    family = socket.AddressFamily(family)
    return index, Interface(family, socket.inet_ntop(family, address), prefix)


def _is_up(control: socket.socket, index: int) -> bool:
    name = os.fsencode(socket.if_indextoname(index))
    answer = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16sH14x", name, 0))
    return bool(struct.unpack_from("H", answer, 16)[0] & _IFF_UP)


def families(inet_protocols: frozenset[str]) -> tuple[socket.AddressFamily, ...]:
    """The address families that ``inet_protocols`` names."""
    every = "all" in inet_protocols
    chosen = []
    if every or "ipv4" in inet_protocols:
        chosen.append(socket.AF_INET)
    if every or "ipv6" in inet_protocols:
        chosen.append(socket.AF_INET6)
    return tuple(chosen)


def is_available(family: socket.AddressFamily) -> bool:
    """Whether the system has this address family; if not, a warning says so."""
    try:
        socket.socket(family, socket.SOCK_STREAM).close()
    except OSError as trouble:
        protocol = "IPv6" if family == socket.AF_INET6 else "IPv4"
        log.warning(f"inet_protocols: disabling {protocol} name/address support: {trouble.strerror}")
        return False
    return True


def own_interfaces(text: str, enabled: Sequence[socket.AddressFamily]) -> list[Interface]:
    """The interface addresses that ``inet_interfaces`` selects.

    Args:
        text: ``all``, ``loopback-only``, or a list of host names and addresses.
        enabled: address families.

    Raises:
        FatalError: a name has no address, or an address is not of this host.
    """
    if not enabled:
        return []
    local = [interface for interface in local_interfaces() if interface.family in enabled]
    match text:
        case "all":
            chosen = local
        case "loopback-only":
            chosen = [interface for interface in local if _is_loopback(interface.address)]
        case _:
            chosen = []
            by_address = {interface.address: interface for interface in local}
            for address in addresses_of("inet_interfaces", text, enabled):
                if address not in by_address:
                    raise FatalError(f"parameter inet_interfaces: no local interface found for {address}")
                if by_address[address] not in chosen:
                    chosen.append(by_address[address])
            return chosen
    if not chosen:
        raise FatalError("could not find any active network interfaces")
    return chosen


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


def addresses_of(parameter: str, text: str, enabled: Sequence[socket.AddressFamily]) -> list[str]:
    """The addresses of a list of host names and addresses, as in ``inet_interfaces`` and ``proxy_interfaces``.

    Raises:
        FatalError: a name has no address in an enabled family.
    """
    addresses: list[str] = []
    for item in split(text, _SEPARATORS):
        host = item[1:-1] if item[:1] == "[" and item[-1:] == "]" else item
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            found = []
        here = [str(result[4][0]).partition("%")[0] for result in found if result[0] in enabled]
        if not here:
            raise FatalError(f"config variable {parameter}: host not found: {item}")
        addresses += [address for address in dict.fromkeys(here) if address not in addresses]
    return addresses


def networks(interfaces: Sequence[Interface], style: str) -> str:
    """The default of ``mynetworks``: the networks of the own addresses, each followed by a blank.

    Args:
        style: ``host``, ``subnet`` or ``class``.
    """
    found: dict[str, None] = {}
    for family, address, prefix in interfaces:
        packed = socket.inet_pton(family, address)
        bits = 8 * len(packed)
        if style == "host":
            prefix = bits
        elif style == "class" and family == socket.AF_INET:
            prefix = _class_prefix(packed[0])
        network = int.from_bytes(packed, "big") >> (bits - prefix) << (bits - prefix)
        text = socket.inet_ntop(family, network.to_bytes(len(packed), "big"))
        found[f"[{text}]/{prefix} " if family == socket.AF_INET6 else f"{text}/{prefix} "] = None
    return "".join(found)


def _class_prefix(first: int) -> int:
    if first < 128:
        return 8
    if first < 192:
        return 16
    return 24 if first < 224 else 32
