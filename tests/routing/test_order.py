import pytest

from postfix_smtp.routing.address import Address
from postfix_smtp.routing.dns_client import Record
from postfix_smtp.routing.order import balance_families, order_addresses, order_services

V4 = [Address("h", f"192.0.2.{n}", 10, 25) for n in range(1, 9)]
V6 = [Address("h", f"2001:db8::{n}", 10, 25) for n in range(1, 9)]


def families(addresses: list[Address]) -> str:
    return "".join("6" if address.is_ipv6 else "4" for address in addresses)


@pytest.mark.parametrize(
    ("addresses", "limit", "kept"),
    [
        (V6[:5] + V4[:3], 4, "6644"),
        (V4[:5] + V6[:5], 5, "44466"),
        (V6[:5] + V4[:5], 5, "66644"),
        (V4[:8] + V6[:1], 4, "4446"),
        (V6[:8] + V4[:1], 4, "6664"),
        (V4[:2] + V6[:2], 5, "4466"),
        (V4[:8], 4, "44444444"),
    ],
)
def test_each_family_gets_its_share(addresses: list[Address], limit: int, kept: str) -> None:
    assert families(balance_families(addresses, limit)) == kept


def test_preference_comes_before_family_and_order_is_stable() -> None:
    addresses = [
        Address("b", "2001:db8::1", 20, 25),
        Address("a", "192.0.2.1", 10, 25),
        Address("a", "2001:db8::2", 10, 25),
        Address("a", "192.0.2.2", 10, 25),
    ]
    ordered = order_addresses(addresses, randomize=False, preference="ipv6", balance_limit=0)
    assert [address.address for address in ordered] == ["2001:db8::2", "192.0.2.1", "192.0.2.2", "2001:db8::1"]


def test_addresses_of_one_preference_are_shuffled_together() -> None:
    def reverse(addresses: list[Address]) -> None:
        addresses.reverse()

    ordered = order_addresses(V4[:3], randomize=True, preference="any", balance_limit=0, shuffle=reverse)
    assert ordered == V4[2::-1]


def test_services_are_ordered_by_priority_and_weight_decides_how_often_who_is_first() -> None:
    records = [
        Record("s", 1, "SRV", "heavy", 1, 90, 25),
        Record("s", 1, "SRV", "light", 1, 10, 25),
        Record("s", 1, "SRV", "last", 2, 50, 25),
    ]
    firsts = {"heavy": 0, "light": 0}
    for _ in range(2000):
        ordered = order_services(records)
        assert ordered[2].data == "last"
        firsts[ordered[0].data] += 1
    assert 1650 < firsts["heavy"] < 1950
