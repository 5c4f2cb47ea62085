"""Settings of main.cf made up by chance: every parameter that decides something about a delivery."""

from typing import Any

from compat.sidebyside.random_servers import Chance
from compat.sidebyside.scenario import FAST

_YES_NO = ("yes", "no")
_EHLO = "8bitmime, pipelining, size, dsn, smtputf8, xforward, auth, starttls, silent-discard, etrn, enhancedstatuscodes"
_EHLO_LISTS = (
    "dsn",
    "pipelining",
    "8bitmime, silent-discard",
    "size dsn",
    "SMTPUTF8",
    "nonsense, chunking",
    _EHLO,
    "",
    "verp vrfy",
    "xforward",
)
_CHECKS = """\
/^X-Test:.*two/ REPLACE X-Test: replaced
/^Subject: one/ PREPEND X-Prepended: yes
/^Cc:/ IGNORE
/^Reply-To:/ WARN seen
/^Content-Type: text/ INFO text
/^Sender:.*(local)/ REPLACE Sender: $1@rewritten.test
/^X-(.*)/ STRIP $1
/^From:/ DUNNO
/^Received:/ NONSENSE
/^To:/ REPLACE To: nobody
"""
_MORE_CHECKS = """\
/^Subject: (.*)/ INFO $1 %s
/^X-Long/ REPLACE X-Short: yes
/^Message-I[dD]:/ PREPEND X-Seen: 1
/^Date:/ WARN
/^Content-Transfer-Encoding:/ IGNORE
/^Delivered-To/ REDIRECT other@origin.test
/^Return-Path/ REJECT no
/^Resent-/ FILTER smtp:x
/^X-Original/ DISCARD
/^Bcc/ HOLD
/^Sender:/ BCC x@origin.test
/./ PREPEND X-Any: thing
"""
_BODY_CHECKS = """\
/^\\.one/ IGNORE
/^From / REPLACE >From
/^two words/ PREPEND inserted
/tab.here/ WARN tab
/^$/ PREPEND blank follows
/^x+$/ REPLACE .
/^Hello/ STRIP greeting
"""
_GENERIC = (
    "sender@origin.test outside@public.test\n@dest.test @rewritten.test\nlocal@lab.test pub@public.test\n",
    'sender@origin.test "quoted local"@public.test\n',
    "@origin.test @public.test\nuser pub@public.test\n",
    "sender@origin.test outside\nuser@d1.test user@[192.0.2.7]\nuser+ext@d1.test plus@public.test\n",
)
_REPLY_FILTERS = (
    "/^550 (.*)/ 450 $1\n",
    "/^4(.*)/ 5$1\n",
    "/^250-.*/ 250 x\n",
    "/^220 .*/ 220 filtered ESMTP\n",
    "/^(...)-(.*)/ $1-X$2\n",
    "/^25/ 250 2.0.0 always the same\n",
    "/garbage/ 550 5.0.0 was garbage\n",
    "/^5/ nonsense\n",
    "/PIPELINING/ 250-X-NOTHING\n",
)
_STATUS_FILTERS = (
    "/^4(\\.\\S+) (.*)/ 5$1 changed $2\n",
    "/^5(\\.\\S+) (.*)/ 4$1 $2\n",
    "/^2(\\.\\S+) (.*)/ 2$1 fine\n",
    "/./ voodoo\n",
    "/^2/ 5.0.0 not allowed\n",
    "/^4.4.1/ 5.4.1\n",
    "/^5/ 5.1.2 (text in parentheses)\n",
)
_DNS_FILTERS = ("/ AAAA / IGNORE\n", "/ MX 10 / ignore me\n", "/ A 192.0.2.1/ IGNORE\n", "/ MX 20 / NONSENSE\n")
_PIX = ("disable_esmtp", "delay_dotcrlf", "disable_esmtp,delay_dotcrlf", "", "nonsense")
#: Parameters of delivery: canonical name, values.
_DELIVERY: dict[str, tuple[str, ...]] = {
    "smtp_helo_name": ("helo.test", "[192.0.2.40]", "mx.test", "$mydomain"),
    "smtp_skip_5xx_greeting": _YES_NO,
    "smtp_skip_quit_response": _YES_NO,
    "smtp_always_send_ehlo": ("no",),
    "smtp_never_send_ehlo": ("yes",),
    "smtp_quote_rfc821_envelope": ("no",),
    "smtp_defer_if_no_mx_address_found": ("yes",),
    "smtp_send_xforward_command": ("yes",),
    "smtp_cname_overrides_servername": ("yes",),
    "smtp_balance_inet_protocols": ("no",),
    "smtp_send_dummy_mail_auth": ("yes",),
    "smtp_line_length_limit": ("0", "300", "990", "998", "2048"),
    "smtp_mx_address_limit": ("0", "1", "2", "3", "4"),
    "smtp_mx_session_limit": ("0", "1", "2", "3"),
    "smtp_address_preference": ("any", "ipv4", "ipv6"),
    "smtp_address_verify_target": ("rcpt", "data"),
    "smtp_host_lookup": ("dns", "native", "dns, native"),
    "smtp_dns_support_level": ("enabled", "disabled", ""),
    "smtp_dns_resolver_options": ("res_defnames", "res_dnsrch", "res_defnames, res_dnsrch"),
    "smtp_pix_workarounds": _PIX,
    "smtp_discard_ehlo_keywords": _EHLO_LISTS,
    "smtp_fallback_relay": (
        "[192.0.2.30]",
        "fb.test",
        "[192.0.2.30]:2525",
        "[192.0.2.29], [192.0.2.30]",
        "nosuch.test",
        "[nosuch.test] fb.test",
    ),
    "smtp_bind_address": ("198.51.100.2", "192.0.2.39", "198.51.100.99"),
    "smtp_bind_address6": ("2001:db8::9", "[2001:db8::8]"),
    "smtp_bind_address_enforce": ("yes",),
    "smtp_per_request_deadline": ("yes",),
    "smtp_min_data_rate": ("1", "100000"),
    "smtp_pix_workaround_threshold_time": ("0s",),
}
_GENERAL: dict[str, tuple[str, ...]] = {
    "soft_bounce": ("yes",),
    "ignore_mx_lookup_error": ("yes",),
    "disable_mime_output_conversion": ("yes",),
    "disable_dns_lookups": ("yes",),
    "delay_logging_resolution_limit": ("0", "1"),
    "header_size_limit": ("300", "1000"),
    "header_address_token_limit": ("1", "10"),
    "mime_nesting_limit": ("1", "2"),
    "mime_boundary_length_limit": ("1", "3"),
    "line_length_limit": ("512", "600", "4096"),
    "info_log_address_format": ("internal", "external"),
    "helpful_warnings": ("no",),
    "smtputf8_enable": _YES_NO,
    "inet_protocols": ("ipv4", "all"),
    "header_from_format": ("obsolete",),
    "default_delivery_status_filter": ("inline:{ {4.4.1=5.4.1} }", "regexp:/etc/postfix/status"),
    "address_verify_negative_cache": ("no",),
    "tcp_windowsize": ("4096", "65536"),
    "proxy_interfaces": ("192.0.2.3", "198.51.100.5"),
    "relayhost": ("[192.0.2.1]", "d1.test", "[192.0.2.1]:25", "d2.test, d1.test", "nosuch.test"),
    "mail_name": ("Mailer",),
    "error_notice_recipient": ("errors@origin.test",),
    "double_bounce_sender": ("twice",),
    "myorigin": ("origin.test",),
    "append_dot_mydomain": ("yes",),
    "respectful_logging": _YES_NO,
    "enable_idna2003_compatibility": ("yes",),
    "dns_ncache_ttl_fix_enable": ("yes",),
    "best_mx_transport": ("discard:", "error:best mx"),
    "fast_flush_domains": ("d1.test", "$relay_domains"),
    "relay_domains": ("d1.test, d2.test",),
    "confirm_delay_cleared": ("yes",),
    "delay_warning_time": ("1s",),
    "recipient_delimiter": ("+", "-"),
    "propagate_unmatched_extensions": ("canonical, generic", "generic", ""),
    "enable_original_recipient": ("no",),
    "strict_mime_encoding_domain": ("yes",),
    "multi_recipient_bounce_reject_code": ("550",),
    "disable_mime_input_processing": ("yes",),
    "detect_8bit_encoding_header": ("no",),
    "message_drop_headers": ("subject", ""),
    "always_add_missing_headers": ("yes",),
    "smtputf8_autodetect_classes": ("all",),
}
#: Tables: canonical name of the parameter, possible contents, kind.
_TABLES: dict[str, tuple[tuple[str, ...], str]] = {
    "smtp_header_checks": ((_CHECKS, _MORE_CHECKS), "regexp"),
    "smtp_mime_header_checks": ((_CHECKS, _MORE_CHECKS), "regexp"),
    "smtp_nested_header_checks": ((_CHECKS, _MORE_CHECKS), "regexp"),
    "smtp_body_checks": ((_BODY_CHECKS,), "regexp"),
    "smtp_generic_maps": (_GENERIC, "texthash"),
    "smtp_reply_filter": (_REPLY_FILTERS, "regexp"),
    "smtp_delivery_status_filter": (_STATUS_FILTERS, "regexp"),
    "smtp_dns_reply_filter": (_DNS_FILTERS, "regexp"),
    "smtp_discard_ehlo_keyword_address_maps": (
        ("192.0.2.1 dsn, pipelining\n192.0.2.2 silent-discard 8bitmime\n192.0.2.3 nothing\n", "192.0.2.1 pipelining\n"),
        "texthash",
    ),
    "smtp_pix_workaround_maps": (
        ("192.0.2.1 disable_esmtp\n192.0.2.2 delay_dotcrlf\n192.0.2.3 nonsense\n",),
        "texthash",
    ),
}
_SASL = {
    "smtp_sasl_auth_enable": "yes",
    "smtp_sasl_password_maps": "inline:{ {192.0.2.1 = user:secret} {d1.test = user:secret} {192.0.2.2 = user:wrong} }",
    "smtp_sasl_security_options": "",
}


def lmtp_name(name: str) -> str:
    """What a parameter is called in lmtp(8)."""
    if not name.startswith("smtp_"):
        return name
    return "lmtp_" + name.removeprefix("smtp_").replace("ehlo_", "lhlo_").replace("helo_", "lhlo_")


class Settings:
    """Makes settings.

    Attributes:
        main: for main.cf.
        overrides: for the agents in master.cf.
        files: what the tables contain.
    """

    def __init__(self, chance: Chance, *, lmtp: bool, kept: bool) -> None:
        self._chance = chance
        self._lmtp = lmtp
        self._kept = kept
        self.main: dict[str, str] = {}
        self.overrides: dict[str, str] = {}
        self.files: dict[str, str] = {}
        self._make()

    def _make(self) -> None:
        chance = self._chance
        for choices in (_DELIVERY, _GENERAL):
            for name in chance.some(list(choices), chance.pick(0, 1, 2, 3, 5)):
                self._set(name, chance.pick(*choices[name]))
        # a filter can end a reply early: see Servers
        tables = [name for name in _TABLES if not (self._kept and name == "smtp_reply_filter")]
        if chance.maybe(0.15):
            self._set("notify_classes", chance.pick("protocol", "data, protocol, bounce", "2bounce, delay, data"))
        for name in chance.some(tables, chance.pick(0, 0, 1, 2)):
            contents, kind = _TABLES[name]
            file = name.removeprefix("smtp_")
            self.files[file] = chance.pick(*contents)
            self._set(name, f"{kind}:/etc/postfix/{file}")
        if self.main.get("default_delivery_status_filter", "").startswith("regexp"):
            self.files["status"] = chance.pick(*_STATUS_FILTERS)
        if chance.maybe(0.1):
            for name, value in _SASL.items():
                self._set(name, value)
            if chance.maybe(0.3):
                self._set("smtp_sender_dependent_authentication", "yes")
                self._set("smtp_sasl_password_maps", "inline:{ {sender@origin.test = user:secret} {d1.test = u:p} }")
            if chance.maybe(0.3):
                self._set("smtp_sasl_auth_soft_bounce", "no")
            if chance.maybe(0.3):
                self._set("smtp_sasl_mechanism_filter", chance.pick("plain", "login", "!plain, static:all", "nosuch"))
        if chance.maybe(0.1) and not self._lmtp:
            self._set("smtp_tls_security_level", chance.pick("may", "may", "encrypt", "none"))
            self._set("smtp_tls_loglevel", chance.pick("0", "1"))
            if chance.maybe(0.2):
                self._set("smtp_tls_note_starttls_offer", "yes")
        if chance.maybe(0.06):
            self.overrides.update(inet_protocols="ipv6", inet_interfaces="[::1]")

    def _set(self, name: str, value: str) -> None:
        name = lmtp_name(name) if self._lmtp else name
        place = self.overrides if self._chance.maybe(0.1) and value else self.main
        place[name] = value

    @property
    def uses_tls(self) -> bool:
        """There may be TLS."""
        return "smtp_tls_loglevel" in {**self.main, **self.overrides}

    def hurry(self) -> None:
        """Make all time limits short."""
        self.main.update(FAST)

    def flags(self) -> str:
        """The delivery agent's flags in master.cf, if any."""
        chance = self._chance
        return f" flags={''.join(chance.some(list('DORX'), 3, 1))}" if chance.maybe(0.06) else ""

    def command(self, program: str) -> str:
        """The command of the agent for master.cf."""
        words = [program]
        for name, value in self.overrides.items():
            words.append(f"-o {{{name} = {value}}}" if " " in value or "," in value else f"-o {name}={value}")
        return " ".join(words) + self.flags()


def with_limits(main: dict[str, Any]) -> dict[str, Any]:
    """One delivery at a time, and nothing that depends on the time between two messages."""
    return {
        "initial_destination_concurrency": "1",
        "default_destination_concurrency_limit": "1",
        "smtp_connection_cache_on_demand": "no",
        "lmtp_connection_cache_on_demand": "no",
        "lmtp_randomize_addresses": "no",
        "allow_min_user": "yes",
        "allow_percent_hack": "no",
        "swap_bangpath": "no",
        "lmtp_address_preference": "ipv4",
        **main,
    }
