"""What routing needs from main.cf."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from postfix_smtp.config.access import Parameters
from postfix_smtp.errors import FatalError

_HOST_LOOKUPS = ("dns", "native")
_RESOLVER_OPTIONS = ("res_defnames", "res_dnsrch")
_PREFERENCES = ("any", "ipv4", "ipv6")
#: Since these releases an insecure MX asks for validated addresses only at support level ``dnssec``.
_INSECURE_MX_FIXED = ((3, 7, 14), (3, 8, 9), (3, 9, 3), (3, 10, 1))


@dataclass(frozen=True, slots=True)
class RoutingSettings:
    """Destinations, look-ups, order and limits (delivery chapter 3 to 6).

    Attributes:
        mx_lookups: an unbracketed destination is looked up with MX first (smtp only).
        dns_enabled: False at support level ``disabled``.
        dnssec: support level ``dnssec``.
        validate_insecure_mx: ask for validated addresses of hosts from an MX answer that was not validated.
        use_dns, use_native: ``smtp_host_lookup``.
        families: address record types in the order of look-up, ``A`` and ``AAAA``.
        address_limit, session_limit: per destination, 0: none.
    """

    program: str
    mx_lookups: bool
    dns_enabled: bool
    dnssec: bool
    validate_insecure_mx: bool
    use_dns: bool
    use_native: bool
    defnames: bool
    dnsrch: bool
    families: tuple[str, ...]
    default_service: str
    known_ports: Mapping[str, str]
    fallback_relays: str
    allow_utf8: bool
    randomize: bool
    preference: str
    balance: bool
    address_limit: int
    session_limit: int
    ignore_mx_error: bool
    defer_no_mx_address: bool
    cname_overrides: bool
    use_srv: str
    srv_fallback: bool
    ignore_srv_error: bool
    dnssec_probe: str
    dns_cache_size: int

    @classmethod
    def from_parameters(cls, p: Parameters) -> "RoutingSettings":
        """Read and check the parameters.

        Raises:
            FatalError: an enumerated value is none.
        """
        smtp = p.program == "smtp"
        level = _support_level(p)
        lookups = ("native",) if level == "disabled" else _mask(p, "smtp_host_lookup", _HOST_LOOKUPS)
        options = _mask(p, "smtp_dns_resolver_options", _RESOLVER_OPTIONS)
        families = tuple(
            rtype for family, rtype in ((socket.AF_INET, "A"), (socket.AF_INET6, "AAAA")) if family in p.families
        )
        preference = p.text("smtp_address_preference")
        if preference.lower() not in _PREFERENCES:
            raise FatalError(f"bad {p.spelling('smtp_address_preference')} value: {preference}")
        has_srv = p.version >= (3, 8)
        insecure_mx = smtp and p.text("smtp_tls_dane_insecure_mx_policy") in ("encrypt", "dane")
        return cls(
            program=p.program,
            mx_lookups=smtp,
            dns_enabled=level != "disabled",
            dnssec=level == "dnssec",
            validate_insecure_mx=insecure_mx and (level == "dnssec" or not _insecure_mx_fixed(p.version)),
            use_dns="dns" in lookups,
            use_native="native" in lookups,
            defnames="res_defnames" in options,
            dnsrch="res_dnsrch" in options,
            families=families,
            default_service=p.text("smtp_tcp_port"),
            known_ports=p.known_ports,
            fallback_relays=p.text("smtp_fallback_relay"),
            allow_utf8=p.flag("smtputf8_enable"),
            randomize=p.flag("smtp_randomize_addresses"),
            preference=preference.lower(),
            balance=p.flag("smtp_balance_inet_protocols"),
            address_limit=p.number("smtp_mx_address_limit"),
            session_limit=p.number("smtp_mx_session_limit"),
            ignore_mx_error=smtp and p.flag("ignore_mx_lookup_error"),
            defer_no_mx_address=p.flag("smtp_defer_if_no_mx_address_found"),
            cname_overrides=p.flag("smtp_cname_overrides_servername"),
            use_srv=p.text("use_srv_lookup") if has_srv else "",
            srv_fallback=has_srv and p.flag("allow_srv_lookup_fallback"),
            ignore_srv_error=has_srv and p.flag("ignore_srv_lookup_error"),
            dnssec_probe=p.text("dnssec_probe"),
            dns_cache_size=p.number("smtp_dns_cache_size"),
        )


def _support_level(p: Parameters) -> str:
    level = p.text("smtp_dns_support_level")
    if not level:
        return "disabled" if p.flag("disable_dns_lookups") else "enabled"
    if level.lower() not in ("disabled", "enabled", "dnssec"):
        raise FatalError(f'invalid {p.spelling("smtp_dns_support_level")}: "{level}"')
    return level.lower()


def _mask(p: Parameters, name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    value = p.text(name)
    items = tuple(item for item in value.replace(",", " ").split() if item)
    for item in items:
        if item not in known:
            raise FatalError(f'unknown {p.spelling(name)} value "{item}" in "{value}"')
    return items


def _insecure_mx_fixed(version: tuple[int, ...]) -> bool:
    for fixed in _INSECURE_MX_FIXED:
        if version[:2] == fixed[:2]:
            return version >= fixed
    return version >= _INSECURE_MX_FIXED[-1]
