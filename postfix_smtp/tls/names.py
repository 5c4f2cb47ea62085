"""Which name a certificate must have, and whether it has it (TLS chapter 4.3)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from postfix_smtp import log
from postfix_smtp.routing import names as hostnames
from postfix_smtp.tls.certificate import Certificate, network_address

#: Full stops of other scripts that IDNA takes for a dot.
_DOTS = ("\u3002", "\uff0e", "\uff61")
_WILDCARD = re.compile(rb"\*((?:\.[0-9a-z](?:[0-9a-z-]*[0-9a-z])?){2,})")
_ONE_LABEL = re.compile(rb"[0-9a-z-]+|\*")


@dataclass(frozen=True, slots=True)
class References:
    """What the certificate is compared with.

    Attributes:
        names: octets; those of sub-domains begin with a dot.
        address: network form, None if no address is asked for.
    """

    names: tuple[bytes, ...] = ()
    address: bytes | None = None

    def __bool__(self) -> bool:
        return bool(self.names) or self.address is not None


def references(match: Sequence[str], domain: str, host: str, peer: str) -> References:
    """Turn a match list into reference names; nothing is left if none is usable.

    Args:
        match: names and keywords.
        domain: next-hop domain without brackets and port.
        host: server name.
        peer: folded name and address for warnings.
    """
    found: list[bytes] = []
    address: bytes | None = None
    for element in match:
        keyword = element.lower()
        below = False
        if keyword == "nexthop":
            name = domain
        elif keyword == "dot-nexthop":
            name, below = domain, True
        elif keyword == "hostname":
            name = host
        elif element[:1] == "." or element[:1] in _DOTS:
            name, below = element[1:], True
            if not name:
                log.warning(f'{peer}: ignoring invalid match name: "{element}"')
                continue
        else:
            name = element
        numeric = None if below else network_address(name)
        if numeric is not None:
            if address is not None:
                log.warning(f'{peer}: error loading match name: "{name}"')
            else:
                address = numeric
            continue
        name = hostnames.to_ascii(name) or name
        found.append((("." if below else "") + name).encode("utf-8", "surrogateescape"))
    if not found and address is None:
        log.warning(f"{peer}: could not configure peer name checks")
    return References(tuple(found), address)


def matched_name(certificate: Certificate, wanted: Sequence[bytes]) -> str | None:
    """The first name of the certificate that one of the reference names accepts; None if there is none."""
    presented = certificate.dns_names or [name.encode() for name in certificate.common_names]
    for reference in wanted:
        for name in presented:
            if accepts(reference, name):
                return name.decode("utf-8", "surrogateescape")
    return None


def accepts(reference: bytes, presented: bytes) -> bool:
    """Whether a reference name (a sub-domain one begins with a dot) accepts a name from a certificate."""
    if b"\0" in presented:
        return False
    reference, presented = reference.lower(), presented.lower()
    if presented == reference:
        return True
    if reference[:1] == b"." and len(reference) > 1:
        return len(presented) > len(reference) and presented.endswith(reference)
    wildcard = _WILDCARD.fullmatch(presented)
    if wildcard is None or not reference.endswith(wildcard[1]):
        return False
    return _ONE_LABEL.fullmatch(reference[: -len(wildcard[1])]) is not None


def address_matches(certificate: Certificate, address: bytes) -> bool:
    """Whether the certificate names this address."""
    return address in certificate.addresses
