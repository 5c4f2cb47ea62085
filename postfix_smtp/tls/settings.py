"""What TLS needs from main.cf, in the two portions in which it is read (TLS chapter 1.2, 11)."""

from dataclasses import dataclass
from typing import Protocol

from postfix_smtp.config.access import Parameters

_COMMA_BLANK_COLON = ", \t\r\n:"


class TlsParameters(Parameters, Protocol):
    """Parameters that know what was set, and that evaluate those of the TLS library when asked."""

    def is_set(self, name: str) -> bool:
        """Whether main.cf or an option sets the parameter."""

    def evaluate_tls_library(self) -> None:
        """Evaluate the ``tls_*`` parameters of the library. Raises FatalError."""


@dataclass(frozen=True, slots=True)
class LevelSettings:
    """What the level of the whole program depends on."""

    security_level: str
    use: bool
    enforce: bool
    enforce_peername: bool
    has_tables: bool

    @classmethod
    def from_parameters(cls, p: Parameters) -> "LevelSettings":
        """Read the parameters."""
        return cls(
            security_level=p.text("smtp_tls_security_level"),
            use=p.flag("smtp_use_tls"),
            enforce=p.flag("smtp_enforce_tls"),
            enforce_peername=p.flag("smtp_tls_enforce_peername"),
            has_tables=bool(p.text("smtp_tls_per_site") or p.text("smtp_tls_policy_maps")),
        )


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """What policies are made of.

    Attributes:
        lmtp: LMTP: no insecure-MX policy.
        dns: look-ups in the DNS are allowed.
        dnssec: they are validated (``smtp_dns_support_level``).
        resolver_options: ``smtp_dns_resolver_options``.
        old_digest: ``smtp_tls_fingerprint_digest`` has its value only for compatibility.
    """

    lmtp: bool
    version: tuple[int, ...]
    hostname: str
    protocols: str
    mandatory_protocols: str
    ciphers: str
    mandatory_ciphers: str
    exclude: str
    mandatory_exclude: str
    verify_match: str
    secure_match: str
    fingerprint_match: str
    trust_anchor_files: str
    servername: str
    servername_title: str
    reuse: bool
    keep_in_process: bool
    raw_keys: bool
    wrapper_mode: bool
    insecure_mx_policy: str
    insecure_host_lookup: bool
    dns: bool
    dnssec: bool
    ignore_mx_errors: bool
    resolver_options: str
    smtputf8: bool
    enforce_mx_patterns: bool
    policy_title: str
    per_site_title: str
    digest_title: str
    old_digest: bool
    tls_required: bool
    requiretls: bool

    @classmethod
    def from_parameters(cls, p: TlsParameters) -> "PolicySettings":
        """Read the parameters."""
        lmtp = p.program == "lmtp"
        support = p.text("smtp_dns_support_level").lower()
        lookup = p.text("smtp_host_lookup").lower().replace(",", " ").split()
        return cls(
            lmtp=lmtp,
            version=p.version,
            hostname=p.text("myhostname"),
            protocols=p.text("smtp_tls_protocols"),
            mandatory_protocols=p.text("smtp_tls_mandatory_protocols"),
            ciphers=p.text("smtp_tls_ciphers"),
            mandatory_ciphers=p.text("smtp_tls_mandatory_ciphers"),
            exclude=p.text("smtp_tls_exclude_ciphers"),
            mandatory_exclude=p.text("smtp_tls_mandatory_exclude_ciphers"),
            verify_match=p.text("smtp_tls_verify_cert_match"),
            secure_match=p.text("smtp_tls_secure_cert_match"),
            fingerprint_match=p.text("smtp_tls_fingerprint_cert_match"),
            trust_anchor_files=p.text("smtp_tls_trust_anchor_file"),
            servername=p.text("smtp_tls_servername"),
            servername_title=p.spelling("smtp_tls_servername"),
            reuse=p.flag("smtp_tls_connection_reuse"),
            keep_in_process=p.flag("smtp_tls_process_reuse") and not p.is_set("smtp_tls_connection_reuse"),
            raw_keys=p.flag("smtp_tls_enable_rpk"),
            wrapper_mode=p.flag("smtp_tls_wrappermode"),
            insecure_mx_policy="" if lmtp else p.text("smtp_tls_dane_insecure_mx_policy").lower(),
            insecure_host_lookup=p.flag("smtp_tls_force_insecure_host_tlsa_lookup"),
            dns="dns" in lookup and support != "disabled" and not p.flag("disable_dns_lookups"),
            dnssec=support == "dnssec",
            ignore_mx_errors=not lmtp and p.flag("ignore_mx_lookup_error"),
            resolver_options=p.text("smtp_dns_resolver_options"),
            smtputf8=p.flag("smtputf8_enable"),
            enforce_mx_patterns=p.flag("smtp_tls_enforce_sts_mx_patterns"),
            policy_title=p.spelling("smtp_tls_policy_maps"),
            per_site_title=p.spelling("smtp_tls_per_site"),
            digest_title=p.spelling("smtp_tls_fingerprint_digest"),
            old_digest=p.text("smtp_tls_fingerprint_digest") == "md5" and not p.is_set("smtp_tls_fingerprint_digest"),
            tls_required=p.flag("tls_required_enable"),
            requiretls=p.flag("requiretls_enable"),
        )


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What the engine needs; to be read after the library's parameters were evaluated.

    Attributes:
        cache_type: ``smtp`` or ``lmtp``, in tlsmgr(8).
        cipher_lists: by grade.
    """

    cache_type: str
    service: str
    version: tuple[int, ...]
    loglevel: str
    loglevel_title: str
    verify_depth: int
    fingerprint_digest: str
    ca_file: str
    ca_path: str
    chain_files: str
    key_pairs: tuple[tuple[str, str, str], ...]
    random_bytes: int
    append_default_ca: bool
    dane_digests: str
    disable_workarounds: str
    ssl_options: str
    cipher_lists: dict[str, str]
    curves: str
    groups: str
    config_file: str
    config_name: str
    legacy_fingerprints: bool
    fast_shutdown: bool
    handshake_seconds: int

    @classmethod
    def from_parameters(cls, p: Parameters) -> "EngineSettings":
        """Read the parameters."""
        pairs = (("RSA", "cert", "key"), ("DSA", "dcert", "dkey"), ("ECDSA", "eccert", "eckey"))
        return cls(
            cache_type="lmtp" if p.program == "lmtp" else "smtp",
            service=p.service,
            version=p.version,
            loglevel=p.text("smtp_tls_loglevel"),
            loglevel_title=p.spelling("smtp_tls_loglevel"),
            verify_depth=p.number("smtp_tls_scert_verifydepth"),
            fingerprint_digest=p.text("smtp_tls_fingerprint_digest"),
            ca_file=p.text("smtp_tls_CAfile"),
            ca_path=p.text("smtp_tls_CApath"),
            chain_files=p.text("smtp_tls_chain_files"),
            key_pairs=tuple(
                (label, p.text(f"smtp_tls_{cert}_file"), p.text(f"smtp_tls_{key}_file")) for label, cert, key in pairs
            ),
            random_bytes=p.number("tls_daemon_random_bytes"),
            append_default_ca=p.flag("tls_append_default_CA"),
            dane_digests=p.text("tls_dane_digests"),
            disable_workarounds=p.text("tls_disable_workarounds"),
            ssl_options=p.text("tls_ssl_options"),
            cipher_lists={
                grade: p.text(f"tls_{grade}_cipherlist") for grade in ("high", "medium", "low", "export", "null")
            },
            curves=p.text("tls_eecdh_auto_curves"),
            groups=p.text("tls_ffdhe_auto_groups"),
            config_file=p.text("tls_config_file"),
            config_name=p.text("tls_config_name"),
            legacy_fingerprints=p.version < (3, 9) and p.flag("tls_legacy_public_key_fingerprints"),
            fast_shutdown=p.flag("tls_fast_shutdown_enable"),
            handshake_seconds=p.seconds("smtp_starttls_timeout"),
        )


def has_feature(version: tuple[int, ...], *since: tuple[int, ...]) -> bool:
    """Whether `version` is at least the first release with a feature in its own series, or of a later series.

    Args:
        since: first releases, one a series, ascending: ``(3, 7, 17), (3, 8, 12)``.
    """
    for first in since:
        if version[:2] == first[:2]:
            return version >= first
    return version[:2] > since[-1][:2]
