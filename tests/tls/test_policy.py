"""Policies (TLS chapter 2)."""

import asyncio
from typing import Any

import pytest
from tls_vectors import PKI, by_version, load

from postfix_smtp.errors import FatalError, TableError
from postfix_smtp.routing.address import Address
from postfix_smtp.tables.base import Table, TableFlags
from postfix_smtp.tables.layers import FoldingTable
from postfix_smtp.tables.maps import Maps
from postfix_smtp.tables.opening import Opener, TableSettings
from postfix_smtp.tls.dane import Dane
from postfix_smtp.tls.levels import Level
from postfix_smtp.tls.policy import PolicyFinder, Server, general_level, is_authorized
from postfix_smtp.tls.policy_entry import PolicyError
from postfix_smtp.tls.settings import LevelSettings, PolicySettings
from postfix_smtp.tls.trust_anchors import TrustAnchorFiles

DEFAULTS: dict[str, Any] = {
    "smtp_tls_security_level": "may",
    "smtp_use_tls": "no",
    "smtp_enforce_tls": "no",
    "smtp_tls_enforce_peername": "yes",
    "smtp_tls_protocols": ">=TLSv1",
    "smtp_tls_mandatory_protocols": ">=TLSv1",
    "smtp_tls_ciphers": "medium",
    "smtp_tls_mandatory_ciphers": "medium",
    "smtp_tls_exclude_ciphers": "",
    "smtp_tls_mandatory_exclude_ciphers": "",
    "smtp_tls_verify_cert_match": "hostname",
    "smtp_tls_secure_cert_match": "nexthop, dot-nexthop",
    "smtp_tls_fingerprint_cert_match": "",
    "smtp_tls_fingerprint_digest": "sha256",
    "smtp_tls_trust_anchor_file": "",
    "smtp_tls_servername": "",
    "smtp_tls_connection_reuse": "no",
    "smtp_tls_process_reuse": "yes",
    "smtp_tls_enable_rpk": "no",
    "smtp_tls_wrappermode": "no",
    "smtp_tls_dane_insecure_mx_policy": "may",
    "smtp_tls_force_insecure_host_tlsa_lookup": "no",
    "smtp_dns_support_level": "",
    "smtp_host_lookup": "dns",
    "disable_dns_lookups": "no",
    "ignore_mx_lookup_error": "no",
    "smtp_dns_resolver_options": "",
    "smtputf8_enable": "no",
    "smtp_tls_enforce_sts_mx_patterns": "yes",
    "tls_required_enable": "yes",
    "requiretls_enable": "yes",
    "smtp_tls_per_site": "",
    "smtp_tls_policy_maps": "",
    "myhostname": "client.lab.test",
}


class Parameters:
    """Values by name."""

    def __init__(self, values: dict[str, Any], version: tuple[int, ...], program: str = "smtp") -> None:
        self.values = DEFAULTS | values
        self.version = version
        self.program = program
        self.service = program

    def text(self, name: str) -> str:
        value = self.values[name]
        return "table" if isinstance(value, dict) else value

    def flag(self, name: str) -> bool:
        return bool(self.values[name] == "yes")

    def spelling(self, name: str) -> str:
        return name

    def is_set(self, name: str) -> bool:
        return True


class Dictionary(Table):
    """A table for tests; key ``*`` stands for all."""

    def __init__(self, entries: dict[str, str]) -> None:
        super().__init__("test:table")
        self.entries = entries

    def lookup(self, key: str) -> str | None:
        return self.entries.get(key, self.entries.get("*"))


def maps(title: str, value: Any) -> Maps | None:
    """The table that a vector describes."""
    if isinstance(value, dict):
        return Maps(title, [FoldingTable(Dictionary(value))])
    opener = Opener(TableSettings(utf8=False, open_error_is_fatal=False, version=(3, 7, 11)))
    return opener.open_maps(title, value, TableFlags.LOCK | TableFlags.FOLD_FIX)


@pytest.mark.parametrize(("case", "version", "expect"), by_version(load("policy")["cases"]))
def test_policy_vectors(case: Any, version: tuple[int, ...], expect: Any, logged: list[str]) -> None:
    text = {
        name: value.replace("@PKI@", str(PKI))
        if isinstance(value, str)
        else {key: entry.replace("@PKI@", str(PKI)) for key, entry in value.items()}
        for name, value in case["config"].items()
    }
    request = case["request"]
    parameters: Any = Parameters(text, version, "lmtp" if request.get("lmtp") else "smtp")
    settings = PolicySettings.from_parameters(parameters)
    general, _ = general_level(LevelSettings.from_parameters(parameters))
    policies = maps("smtp_tls_policy_maps", text.get("smtp_tls_policy_maps", ""))
    sites = maps("smtp_tls_per_site", text.get("smtp_tls_per_site", ""))
    if policies is not None and sites is not None:
        logged.append("warning: smtp_tls_per_site ignored when smtp_tls_policy_maps is not empty.")
        sites = None
    nexthop = request.get("dest", "example.com")
    port = int(request.get("port", 25))
    host = request.get("host", "mx.example.com")
    address = Address(host, "192.0.2.1", 0, port) if port else None
    finder = PolicyFinder(settings, general, policies, sites, Dane(settings, None).decide, TrustAnchorFiles())
    server = Server(nexthop, nexthop.strip("[]"), host, port, address)
    lenient = bool(request.get("tls_required_no")) and settings.tls_required and version >= (3, 10)
    if not expect["ok"]:
        with pytest.raises(PolicyError) as caught:
            asyncio.run(finder.find(server, tls_required_no=lenient))
        assert (caught.value.status, caught.value.reason) == (expect["dsn"], expect["reason"])
        assert logged == expect["warnings"]
        return
    policy = asyncio.run(finder.find(server, tls_required_no=lenient))
    assert policy.level.text == expect["level"]
    if "authorized" in expect:
        assert is_authorized(policy, request["authorize"], settings) == expect["authorized"]
    assert logged == expect["warnings"]
    shown: dict[str, Any] = {
        "match": list(policy.match) or None,
        "connection_reuse": policy.reuse,
        "tlsa": [record.full_text for record in policy.records] or None,
    }
    if policy.level is not Level.NONE:
        shown |= {
            "protocols": policy.protocols,
            "grade": policy.ciphers,
            "exclusions": policy.exclude,
            "sni": policy.servername,
        }
    if "enable_rpk" in expect:
        shown["enable_rpk"] = policy.raw_keys
    external = policy.external
    for name, value in (
        ("policy_type", external.type),
        ("policy_domain", external.domain),
        ("policy_ttl", external.ttl),
        ("policy_string", external.strings),
        ("mx_host_pattern", external.mx_patterns),
        ("policy_failure", external.failure),
    ):
        if name in expect:
            shown[name] = value
    assert shown == {name: expect.get(name) for name in shown}


@pytest.mark.parametrize("row", load("per-site")["rows"], ids=lambda row: "-".join(map(str, row)))
def test_per_site_vectors(row: list[str | None]) -> None:
    general, nexthop, host, level = row
    entries = {key: value for key, value in (("example.com", nexthop), ("mx.example.com", host)) if value}
    parameters: Any = Parameters(
        {"smtp_tls_security_level": general, "smtp_tls_fingerprint_cert_match": "00"}, (3, 7, 11)
    )
    settings = PolicySettings.from_parameters(parameters)
    own, _ = general_level(LevelSettings.from_parameters(parameters))
    finder = PolicyFinder(
        settings,
        own,
        None,
        Maps("smtp_tls_per_site", [Dictionary(entries)]),
        Dane(settings, None).decide,
        TrustAnchorFiles(),
    )
    server = Server("example.com", "example.com", "mx.example.com", 25, Address("mx.example.com", "192.0.2.1", 0, 25))
    assert asyncio.run(finder.find(server)).level.text == level


def test_unknown_per_site_value_is_an_error(logged: list[str]) -> None:
    assert _per_site_failure({"example.com": "SECURE"}).reason == "client TLS configuration problem"
    assert logged == ["warning: smtp_tls_per_site: unknown TLS policy 'SECURE' for next-hop destination example.com"]


def test_per_site_table_error_is_a_temporary_error(logged: list[str]) -> None:
    class Broken(Table):
        def lookup(self, key: str) -> str | None:
            raise TableError

    error = _per_site_failure(Broken("test:broken"))
    assert (error.status, error.reason) == ("4.3.0", "Temporary lookup error")
    assert logged[-1] == 'warning: smtp_tls_per_site: next-hop destination "example.com": per-site table lookup error'


def _per_site_failure(table: Table | dict[str, str]) -> PolicyError:
    parameters: Any = Parameters({}, (3, 7, 11))
    settings = PolicySettings.from_parameters(parameters)
    if isinstance(table, dict):
        table = Dictionary(table)
    sites = Maps("smtp_tls_per_site", [table])
    finder = PolicyFinder(settings, Level.MAY, None, sites, Dane(settings, None).decide, TrustAnchorFiles())
    with pytest.raises(PolicyError) as caught:
        asyncio.run(finder.find(Server("example.com", "example.com", "mx.example.com", 25)))
    return caught.value


@pytest.mark.parametrize("text", ["bogus", "halfdane", "invalid"])
def test_unknown_general_level_is_fatal(text: str) -> None:
    with pytest.raises(FatalError, match=f'Invalid TLS level "{text}"'):
        general_level(LevelSettings(text, False, False, False, False))
