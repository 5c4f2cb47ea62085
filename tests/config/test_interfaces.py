"""Own addresses."""

import socket

import pytest

from postfix_smtp.config.interfaces import Interface, addresses_of, families, local_interfaces, networks, own_interfaces
from postfix_smtp.errors import FatalError

IPV4, IPV6 = socket.AF_INET, socket.AF_INET6


def test_the_kernel_tells_the_loopback_address() -> None:
    assert Interface(IPV4, "127.0.0.1", 8) in local_interfaces()


def test_protocols_select_families() -> None:
    assert families(frozenset(("all",))) == (IPV4, IPV6)
    assert families(frozenset(("ipv6",))) == (IPV6,)
    assert families(frozenset()) == ()


def test_loopback_only_is_loopback_only() -> None:
    assert [item.address for item in own_interfaces("loopback-only", (IPV4,))] == ["127.0.0.1"]


def test_addresses_may_stand_in_brackets_and_must_be_local() -> None:
    assert [item.address for item in own_interfaces("[127.0.0.1], 127.0.0.1", (IPV4,))] == ["127.0.0.1"]
    with pytest.raises(FatalError, match=r"^parameter inet_interfaces: no local interface found for 127\.0\.0\.9$"):
        own_interfaces("127.0.0.9", (IPV4,))


def test_an_address_of_a_disabled_family_is_not_found() -> None:
    with pytest.raises(FatalError, match=r"^config variable proxy_interfaces: host not found: \[::1\]$"):
        addresses_of("proxy_interfaces", "127.0.0.1 [::1]", (IPV4,))


def test_no_family_means_no_addresses_and_no_look_up() -> None:
    assert own_interfaces("nosuch.invalid", ()) == []


@pytest.mark.parametrize(
    ("style", "text"),
    [
        ("host", "127.0.0.1/32 192.0.2.2/32 [fd00::2]/128 "),
        ("subnet", "127.0.0.0/8 192.0.2.0/25 [fd00::]/64 "),
        ("class", "127.0.0.0/8 192.0.2.0/24 [fd00::]/64 "),
    ],
)
def test_networks_are_written_as_postfix_writes_them(style: str, text: str) -> None:
    own = [Interface(IPV4, "127.0.0.1", 8), Interface(IPV4, "192.0.2.2", 25), Interface(IPV6, "fd00::2", 64)]
    assert networks(own, style) == text
