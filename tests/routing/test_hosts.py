"""From a destination to addresses: MX, SRV and host procedures, own addresses, what sticks when hosts fail."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from compat.dns_server import DnsServer
from postfix_smtp.routing.address import Resolution
from postfix_smtp.routing.destination import Destination
from postfix_smtp.routing.dns import Resolver
from postfix_smtp.routing.dns_client import DnsClient
from postfix_smtp.routing.hosts import HostFinder
from postfix_smtp.routing.settings import RoutingSettings

DEFAULTS: dict[str, Any] = {
    "program": "smtp", "mx_lookups": True, "dns_enabled": True, "dnssec": False, "validate_insecure_mx": False,
    "use_dns": True, "use_native": False, "defnames": False, "dnsrch": False, "families": ("A",),
    "default_service": "smtp", "known_ports": {}, "fallback_relays": "", "allow_utf8": True, "randomize": False,
    "preference": "any", "balance": True, "address_limit": 5, "session_limit": 2, "ignore_mx_error": False,
    "defer_no_mx_address": False, "cname_overrides": False, "use_srv": "", "srv_fallback": False,
    "ignore_srv_error": False, "dnssec_probe": "", "dns_cache_size": 0,
}  # fmt: skip


def find(
    records: Iterable[str],
    host: str = "dest.example",
    *,
    own: tuple[str, ...] = (),
    port: int = 25,
    literal: bool = False,
    secure: tuple[str, ...] = (),
    srv: bool = False,
    tmp_path: Path,
    **settings: Any,
) -> Resolution:
    config = tmp_path / "resolv.conf"
    config.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")

    async def always(service: str) -> bool:
        return True

    async def run(server: DnsServer) -> Resolution:
        resolver = Resolver(DnsClient(0, str(config), server.address[1]))
        finder = HostFinder(
            RoutingSettings(**{**DEFAULTS, **settings}), resolver, lambda: frozenset(own), always if srv else None
        )
        return await finder.find(Destination(host, host, "smtp", port, literal))

    with DnsServer(records, secure=secure) as server:
        return asyncio.run(run(server))


def shown(resolution: Resolution) -> list[str]:
    return [f"{each.host} {each.address} {each.preference}" for each in resolution.addresses]


MX = ["dest.example MX 20 b.example", "dest.example MX 10 a.example", "a.example A 192.0.2.1", "b.example A 192.0.2.2"]


def test_mx_hosts_come_by_preference(tmp_path: Path) -> None:
    assert shown(find(MX, tmp_path=tmp_path)) == ["a.example 192.0.2.1 10", "b.example 192.0.2.2 20"]


def test_without_mx_the_name_itself_is_the_host(tmp_path: Path) -> None:
    assert shown(find(["dest.example A 192.0.2.9"], tmp_path=tmp_path)) == ["dest.example 192.0.2.9 0"]


def test_brackets_and_lmtp_mean_no_mx(tmp_path: Path) -> None:
    records = [*MX, "dest.example A 192.0.2.9"]
    assert shown(find(records, literal=True, tmp_path=tmp_path)) == ["dest.example 192.0.2.9 0"]
    assert shown(find(records, mx_lookups=False, program="lmtp", tmp_path=tmp_path)) == ["dest.example 192.0.2.9 0"]


def test_own_address_hides_everything_that_is_not_better_and_ends_the_list(tmp_path: Path) -> None:
    found = find(MX, own=("192.0.2.2",), tmp_path=tmp_path)
    assert shown(found) == ["a.example 192.0.2.1 10"]
    assert found.is_last


def test_best_host_is_myself(tmp_path: Path) -> None:
    found = find(MX, own=("192.0.2.1",), tmp_path=tmp_path)
    assert found.is_last
    assert found.failure is not None
    assert (found.failure.status, found.failure.reason) == ("5.4.6", "mail for dest.example loops back to myself")


def test_best_host_has_no_address_and_the_next_is_myself(tmp_path: Path) -> None:
    found = find([record for record in MX if not record.startswith("a.")], own=("192.0.2.2",), tmp_path=tmp_path)
    assert found.is_last
    assert found.failure is not None
    assert (found.failure.status, found.failure.reason) == (
        "4.4.4",
        "unable to find primary relay for dest.example",
    )


@pytest.mark.parametrize("change", [{"port": 2525}, {"program": "lmtp", "mx_lookups": True}])
def test_loops_are_looked_for_on_the_smtp_port_only(change: dict[str, Any], tmp_path: Path) -> None:
    assert len(find(MX, own=("192.0.2.1",), tmp_path=tmp_path, **change).addresses) == 2


def test_srv_record_without_port_means_the_port_of_the_service(tmp_path: Path) -> None:
    records = ["_smtp._tcp.dest.example SRV 10 0 0 a.example", "a.example A 192.0.2.1"]
    found = find(records, srv=True, port=587, tmp_path=tmp_path)
    assert [each.port for each in found.addresses] == [587]


def test_srv_trouble_names_the_destination_as_it_was_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    find(["_smtp._tcp.xn--bcher-kva.test SRV 10 0 25 a.example"], "bücher.test", srv=True, tmp_path=tmp_path)
    assert "no SRV host for _smtp._tcp.bücher.test has a valid address record" in caplog.messages


def test_a_destination_has_at_most_a_hundred_addresses(tmp_path: Path) -> None:
    records = [
        *(f"dest.example MX {number} {name}.example" for number, name in enumerate("abc")),
        *(f"{name}.example A 10.{at}.0.{number}" for at, name in enumerate("abc") for number in range(60)),
    ]
    found = find(records, address_limit=0, tmp_path=tmp_path)
    assert len(found.addresses) == 100
    assert {each.host for each in found.addresses} == {"a.example", "b.example"}


def test_a_numeric_destination_has_the_usual_spelling_of_its_address(tmp_path: Path) -> None:
    found = find([], "2001:DB8:0:0::1", literal=True, families=("A", "AAAA"), tmp_path=tmp_path)
    assert shown(found) == ["2001:DB8:0:0::1 2001:db8::1 0"]


def test_a_name_that_the_system_takes_for_an_address_is_not_looked_up(tmp_path: Path) -> None:
    assert shown(find([], "0x7f.1", literal=True, tmp_path=tmp_path)) == ["0x7f.1 127.0.0.1 0"]


def test_a_numeric_destination_is_myself_in_any_spelling(tmp_path: Path) -> None:
    found = find([], "2001:DB8:0:0::1", own=("2001:db8::1",), literal=True, families=("AAAA",), tmp_path=tmp_path)
    assert found.failure is not None
    assert found.failure.reason == "mail for 2001:DB8:0:0::1 loops back to myself"


def test_a_numeric_destination_that_is_myself_loops(tmp_path: Path) -> None:
    found = find([], "192.0.2.1", own=("192.0.2.1",), literal=True, tmp_path=tmp_path)
    assert found.is_last
    assert found.failure is not None
    assert found.failure.reason == "mail for 192.0.2.1 loops back to myself"


def test_a_soft_error_sticks_but_the_text_is_the_last_ones(tmp_path: Path) -> None:
    records = ["dest.example MX 10 a.example", "dest.example MX 20 b.example", "a.example A !SERVFAIL"]
    failure = find(records, tmp_path=tmp_path).failure
    assert failure is not None
    assert failure.status == "4.4.4"
    assert "name=b.example type=A: Host not found" in failure.reason


def test_no_address_of_any_mx_host_may_be_deferred(tmp_path: Path) -> None:
    records = ["dest.example MX 10 a.example"]
    for defer, status in ((False, "5.4.4"), (True, "4.4.4")):
        failure = find(records, defer_no_mx_address=defer, tmp_path=tmp_path).failure
        assert failure is not None
        assert failure.status == status


def test_validation_is_remembered_for_dane(tmp_path: Path) -> None:
    found = find(MX, dnssec=True, secure=("dest.example", "a.example"), tmp_path=tmp_path)
    assert [(each.mx_secure, each.secure) for each in found.addresses] == [(True, True), (True, False)]


def test_srv_records_carry_their_port(tmp_path: Path) -> None:
    records = ["_smtp._tcp.dest.example SRV 1 1 2500 a.example", "a.example A 192.0.2.1"]
    found = find(records, srv=True, tmp_path=tmp_path)
    assert [(each.address, each.port) for each in found.addresses] == [("192.0.2.1", 2500)]


def test_without_srv_the_mx_is_used_only_if_allowed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert find(MX, srv=True, tmp_path=tmp_path).failure is not None
    assert len(find(MX, srv=True, srv_fallback=True, tmp_path=tmp_path).addresses) == 2


def test_no_protocol_no_look_up(tmp_path: Path) -> None:
    failure = find(MX, families=(), tmp_path=tmp_path).failure
    assert failure is not None
    assert (failure.status, failure.reason) == ("4.4.4", "all network protocols are disabled")
