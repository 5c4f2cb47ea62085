"""Domains of this system."""

import pytest

from postfix_smtp.delivery.domains import OwnDomains

ADDRESSES = frozenset({"127.0.0.1", "::1"})


@pytest.mark.parametrize(
    ("domain", "ipv6", "expected"),
    [
        ("[127.0.0.1]", True, True),
        ("[127.0.0.01]", True, True),
        ("[127.0.0.2]", True, False),
        ("[IPv6:::1]", True, True),
        ("[ipv6:0:0:0:0:0:0:0:1]", True, True),
        ("[::1]", True, False),
        ("[IPv6:127.0.0.1]", True, False),
        ("[IPv6:::ffff:127.0.0.1]", True, False),
        ("[IPv6:::ffff:127.0.0.1]", False, True),
        ("[IPv6:::127.0.0.1]", False, False),
        ("127.0.0.1", True, False),
    ],
)
def test_own_addresses(domain: str, ipv6: bool, expected: bool) -> None:
    assert OwnDomains(None, lambda: ADDRESSES, ipv6=ipv6).is_local(domain) is expected
