"""TLS scenarios made up by chance, from a seed: levels, policies, certificates, TLSA records, servers in trouble.

Digests of certificates, which each worker makes for itself, are written as ``<<cert good>>`` (see
:func:`compat.sidebyside.certificates.with_digests`).
"""

from typing import Any

from compat.sidebyside.random_servers import Chance
from compat.sidebyside.random_settings import lmtp_name
from compat.sidebyside.scenario import CLOSE, RST, ZONE, Scenario

_FILES = "/run/sidebyside/certificates"
_LEVELS = ("may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure")
_CERTIFICATES = (
    *("good",) * 6,
    *("wild", "nexthop", "cnonly", "othername", "self", "expired", "future"),
    *("unknownca", "chained", "ec", "ip", "sni"),
)
_AUTHORITIES = (*("ca.pem",) * 5, "both-ca.pem", "ca2.pem", "good.pem", "nosuch.pem")
_MATCHES = (
    *("hostname", "nexthop", "dot-nexthop", "nexthop, dot-nexthop", "hostname:nexthop"),
    *("mx1.dest.test", ".dest.test", "other.test:dest.test", "MX1.Dest.Test", "*.dest.test", ".test", "sni.dest.test"),
    *("nosuch.test", "192.0.2.1", "mx1.dest.test.", "dest.test", "xn--bcher-kva.test", ""),
)
_PROTOCOLS = (
    *("!SSLv2, !SSLv3", "!SSLv2 !SSLv3 !TLSv1 !TLSv1.1", "TLSv1.2", "TLSv1.3", ">=TLSv1.2", "<=TLSv1.2", "!TLSv1.3"),
    *(">=TLSv1.2, <=TLSv1.2", "TLSv1.2, TLSv1.3", "!TLSv1.2, !TLSv1.3", "", "nosuch", ">=nosuch", "!tlsv1.3", ">=0303"),
)
_CIPHERS = ("high", "medium", "low", "export", "null", "HIGH", "nosuch", "")
_EXCLUDED = (
    "",
    "aNULL",
    "aNULL, MD5, DES",
    "kRSA",
    "ECDHE",
    "aNULL:!eNULL",
    "AES128",
    "CHACHA20",
    "NOSUCH",
    "SHA1+RSA",
)
_DIGESTS = ("sha256", "sha256", "md5", "sha1", "nosuch")
_PRINTS = (
    *("<<cert good>>", "<<pkey good>>", "<<cert self>>", "<<pkey self>>", "<<pkey chained>>", "<<md5 good>>"),
    *("00:11:22", "nosuch", "<<cert sub>>", "<<pkey ca>>", "<<cert ec>>", "<<pkey ec>>"),
)
_SUITES = ("ECDHE-RSA-AES128-GCM-SHA256", "AES256-SHA", "ECDHE-RSA-CHACHA20-POLY1305", "DHE-RSA-AES256-GCM-SHA384")
_SASL = {
    "smtp_sasl_auth_enable": "yes",
    "smtp_sasl_password_maps": "inline:{ {dest.test = user:secret} {mx1.dest.test = user:secret} }",
}


class _Maker:
    def __init__(self, seed: int) -> None:
        self._chance = Chance(f"tls {seed}")
        self._lmtp = self._chance.maybe(0.12)
        self._main: dict[str, Any] = {}
        self._files: dict[str, str] = {}
        self._dns: dict[str, Any] = dict(ZONE)
        self._wrapped = self._chance.maybe(0.05)

    def scenario(self) -> Scenario:
        chance = self._chance
        hosts = chance.pick(1, 1, 2, 3)
        self._settings()
        self._policies()
        servers = [self._server(number) for number in range(1, hosts + 1)]
        secure = self._names(hosts)
        self._records(hosts)
        main = {lmtp_name(name) if self._lmtp else name: value for name, value in self._main.items()}
        main["transport_maps"] = f"inline:{{ {{dest.test = {self._route(hosts)}}} }}"
        messages = [
            {"to": [f"{name}@dest.test" for name in ("one", "two")[: chance.pick(1, 1, 2)]]}
            for _ in range(chance.pick(1, 1, 2))
        ]
        steps: list[Any] = []
        for number in range(len(messages)):
            steps += [("send", number), ("idle",)]
        if len(messages) == 1 and chance.maybe(0.15):
            steps += [("flush",), ("idle",)]
        scenario: Scenario = {
            "main": main,
            "dns": self._dns,
            "secure": secure,
            "servers": servers,
            "messages": messages,
            "steps": steps,
            # What is done otherwise on purpose, and has scenarios of its own
            "ours": {"smtp_tls_process_reuse": "no", "lmtp_tls_process_reuse": "no"},
        }
        if self._files:
            scenario["files"] = self._files
        return scenario

    def _set(self, name: str, *choices: Any, often: float = 1.0) -> None:
        if self._chance.maybe(often):
            self._main[name] = self._chance.pick(*choices)

    # main.cf

    def _settings(self) -> None:
        chance = self._chance
        self._set("smtp_tls_security_level", *_LEVELS, *_LEVELS, "none", "", often=0.92)
        self._set("smtp_tls_security_level", "nosuch", "Encrypt", often=0.02)
        self._set("smtp_tls_loglevel", "1", "1", "1", "2", "0")
        self._set("smtp_tls_CAfile", *(f"{_FILES}/{name}" for name in _AUTHORITIES), often=0.9)
        self._set("smtp_use_tls", "yes", often=0.04)
        self._set("smtp_enforce_tls", "yes", often=0.04)
        self._set("smtp_tls_enforce_peername", "no", often=0.05)
        self._set("smtp_tls_scert_verifydepth", "0", "1", "2", often=0.1)
        self._set("smtp_tls_verify_cert_match", *_MATCHES, often=0.25)
        self._set("smtp_tls_secure_cert_match", *_MATCHES, often=0.25)
        self._set("smtp_tls_fingerprint_digest", *_DIGESTS, often=0.8)
        self._set("smtp_tls_fingerprint_cert_match", self._prints(", "), self._prints(" "), often=0.7)
        self._set(
            "smtp_tls_trust_anchor_file", f"{_FILES}/{chance.pick('ca', 'sub', 'good', 'ca2', 'nosuch')}.pem", often=0.1
        )
        self._set("smtp_tls_mandatory_ciphers", *_CIPHERS, often=0.12)
        self._set("smtp_tls_ciphers", *_CIPHERS, often=0.12)
        self._set("smtp_tls_mandatory_protocols", *_PROTOCOLS, often=0.15)
        self._set("smtp_tls_protocols", *_PROTOCOLS, often=0.15)
        self._set("smtp_tls_exclude_ciphers", *_EXCLUDED, often=0.1)
        self._set("smtp_tls_mandatory_exclude_ciphers", *_EXCLUDED, often=0.1)
        self._set("smtp_tls_note_starttls_offer", "yes", often=0.15)
        self._set("smtp_tls_block_early_mail_reply", "yes", often=0.15)
        self._set("smtp_tls_servername", "sni.dest.test", "hostname", "nexthop", "-bad-", often=0.12)
        self._set("smtp_dns_support_level", "dnssec", "dnssec", "dnssec", "enabled", "disabled", often=0.75)
        self._set("smtp_tls_dane_insecure_mx_policy", "may", "encrypt", "dane", "nosuch", often=0.12)
        self._set("smtp_cname_overrides_servername", "yes", often=0.1)
        self._set("smtp_tls_force_insecure_host_tlsa_lookup", "yes", often=0.08)
        self._set("smtp_fallback_relay", "[mx3.dest.test]", often=0.06)
        self._set("smtp_helo_name", "client.lab.test", often=0.05)
        self._set("smtp_discard_ehlo_keywords", "starttls", "pipelining", often=0.04)
        self._set("soft_bounce", "yes", often=0.04)
        self._set("smtp_tls_session_cache_database", "btree:${data_directory}/sessions", often=0.12)
        if self._wrapped:
            # Postfix crashes where wrapper mode meets an engine that could not be initialised
            self._main |= {"smtp_tls_wrappermode": "yes", "smtp_tls_fingerprint_digest": "sha256"}
            self._main |= {"smtp_tls_CAfile": f"{_FILES}/ca.pem"}
        else:
            self._client_certificate()
        if chance.maybe(0.12):
            self._main |= _SASL
            self._set("smtp_sasl_security_options", "noplaintext", "noanonymous", "", often=0.6)
            self._set("smtp_sasl_tls_security_options", "noplaintext", "noanonymous", often=0.3)
            self._set("smtp_sasl_tls_verified_security_options", "noanonymous", "noplaintext", often=0.3)
        if chance.maybe(0.08):
            self._main["smtp_tls_per_site"] = "texthash:/etc/postfix/sites"
            self._files["sites"] = "".join(
                f"{key} {chance.pick('NONE', 'MAY', 'MUST', 'MUST_NOPEERMATCH', 'must', 'nosuch')}\n"
                for key in chance.some(["dest.test", "mx1.dest.test", "mx2.dest.test", "[mx1.dest.test]"], 2, 1)
            )

    def _client_certificate(self) -> None:
        chance = self._chance
        if chance.maybe(0.1):
            name = chance.pick("client", "client", "client-ec", "nosuch", "garbage")
            key = name if chance.maybe(0.85) else "good"
            self._main["smtp_tls_cert_file"] = f"{_FILES}/{name}.pem"
            self._main["smtp_tls_key_file"] = f"{_FILES}/{key}.key"
        elif chance.maybe(0.05):
            self._main["smtp_tls_chain_files"] = ", ".join(
                f"{_FILES}/{name}"
                for name in chance.some(["client.both", "client-ec.both", "nosuch.both", "client.pem"], 2, 1)
            )

    def _prints(self, separator: str) -> str:
        return separator.join(self._chance.some(_PRINTS, 4, 1))

    def _policies(self) -> None:
        chance = self._chance
        if not chance.maybe(0.45):
            return
        keys = [
            "dest.test",
            "[mx1.dest.test]",
            "dest.test:25",
            "[mx1.dest.test]:25",
            "mx1.dest.test",
            ".test",
            ".dest.test",
        ]
        rows = [f"{key} {self._policy()}\n" for key in chance.some(keys, 3, 1)]
        self._files["policy"] = "".join(rows)
        self._main["smtp_tls_policy_maps"] = chance.pick(
            *("texthash:/etc/postfix/policy",) * 12, "texthash:/etc/postfix/nosuch", "fail:policy"
        )

    def _policy(self) -> str:
        chance = self._chance
        level = chance.pick(*_LEVELS, *_LEVELS, "none", "NONE", "Verify", "nosuch")
        offered = [
            f"match={chance.pick(*_MATCHES).replace(', ', ':')}",
            f"match={'|'.join(chance.some(_PRINTS, 2, 1))}",
            f"protocols={chance.pick(*_PROTOCOLS).replace(', ', ':').replace(' ', ':')}",
            f"ciphers={chance.pick(*_CIPHERS)}",
            f"exclude={chance.pick(*_EXCLUDED).replace(', ', ':')}",
            f"tafile={_FILES}/{chance.pick('ca', 'sub', 'ca2', 'nosuch')}.pem",
            f"servername={chance.pick('sni.dest.test', 'nexthop', 'hostname', 'mx1.dest.test')}",
            "nosuch=value",
            "match",
            "=",
            "MATCH=mx1.dest.test",
        ]
        likely = [*offered[:7], *offered[:7], *offered]
        return " ".join([level, *chance.some(likely, chance.pick(0, 0, 1, 1, 2, 3))])

    # Hosts

    def _route(self, hosts: int) -> str:
        chance = self._chance
        program = "lmtp" if self._lmtp else "smtp"
        port = ":25" if self._lmtp or chance.maybe(0.1) else ""
        routes = ["dest.test"] * 5 + ["[mx1.dest.test]", "[192.0.2.1]", "alias.test", "[alias.test]"]
        return f"{program}:{chance.pick(*routes)}{port}"

    def _names(self, hosts: int) -> tuple[str, ...]:
        """DNS without TLSA records; returns what is secure."""
        chance = self._chance
        self._dns["dest.test"] = [("MX", 10 * number, f"mx{number}.dest.test.") for number in range(1, hosts + 1)]
        self._dns["alias.test"] = [("CNAME", "mx1.dest.test.")]
        if chance.maybe(0.08):
            self._dns["mx1.dest.test"] = [("CNAME", "mx2.dest.test.")]
        if chance.maybe(0.05):
            self._dns["mx1.dest.test"] = [("CNAME", "mx.other.")]
            self._dns["mx.other"] = [("A", "192.0.2.1")]
        return tuple(chance.pick(("test",), ("test",), ("test", "other"), (), ("mx1.dest.test", "_tcp.mx1.dest.test")))

    def _records(self, hosts: int) -> None:
        chance = self._chance
        for number in range(1, hosts + 1):
            for host in (f"mx{number}.dest.test", "mx.other"):
                if not chance.maybe(0.5 if number == 1 else 0.25):
                    continue
                name = f"_25._tcp.{host}"
                if chance.maybe(0.1):
                    self._dns[name] = chance.pick("SERVFAIL", "NXDOMAIN", "REFUSED")
                elif chance.maybe(0.06):
                    self._dns[name] = [("CNAME", f"tlsa.{chance.pick('test', 'other')}.")]
                    self._dns["tlsa.test"] = self._dns["tlsa.other"] = [self._tlsa()]
                else:
                    self._dns[name] = [self._tlsa() for _ in range(chance.pick(1, 1, 1, 2, 3))]

    def _tlsa(self) -> tuple[Any, ...]:
        chance = self._chance
        usage = chance.pick(3, 3, 3, 2, 2, 1, 0, 4)
        selector = chance.pick(1, 1, 0, 2)
        matching = chance.pick(1, 1, 2, 0, 3)
        title = chance.pick(*("good",) * 4, "ca", "ca", "sub", "self", "wild", "chained", "expired", "ec", "client")
        if selector > 1 or matching > 2 or chance.maybe(0.06):
            return ("TLSA", usage, selector, matching, chance.pick("00" * 32, "00", "ab" * 64))
        return ("TLSA", usage, selector, matching, f"<<tlsa-{selector}-{matching} {title}>>")

    # Servers

    def _server(self, number: int) -> dict[str, Any]:
        chance = self._chance
        # without lingering it is chance whether the client closes TLS first
        keywords: dict[str, Any] = {"at": f"192.0.2.{number}:25", "linger": True}
        if self._lmtp:
            keywords["lmtp"] = True
        if chance.maybe(0.93):
            keywords["tls"] = self._tls()
            if self._wrapped and chance.maybe(0.85):
                keywords["tls"]["wrap"] = True
        if "smtp_sasl_auth_enable" in self._main:
            words = ["PIPELINING", "8BITMIME"]
            keywords["kw"] = words + (["AUTH PLAIN LOGIN"] if chance.maybe(0.5) else [])
            keywords["kw_tls"] = words + (["AUTH PLAIN LOGIN"] if chance.maybe(0.8) else ["AUTH CRAM-MD5"])
            keywords["auth"] = {"user": "secret"}
        elif chance.maybe(0.15):
            keywords["kw_tls"] = chance.pick(["SIZE 100"], ["PIPELINING"], ["8BITMIME", "STARTTLS"], [])
        answers: dict[str, Any] = {}
        if chance.maybe(0.15):
            answers["STARTTLS"] = chance.pick(
                *(
                    "454 4.7.0 not now",
                    "500 5.5.1 what",
                    "554 5.7.3 no",
                    "250 ok",
                    "421 4.3.2 bye",
                    "220",
                    "220-a\n220 b",
                ),
                *("399 odd", ("close",), (("reply", "220 go"), ("close",)), (("reply", "454 no"), ("close",))),
                b"220 go\r\n250 injected\r\n",
            )
        if chance.maybe(0.08):
            answers["EHLO"] = chance.pick(
                [None, "500 5.5.1 not again"],
                [None, ("close",)],
                [None, "421 4.3.2 bye"],
                "502 5.5.1 only HELO",
                "250-x\n250-starttls\n250 8BITMIME",
                "250 STARTTLS now",
            )
            if isinstance(answers["EHLO"], list):
                answers["EHLO"][0] = "250-x\n250-STARTTLS\n250 8BITMIME"
        if chance.maybe(0.12):
            stage = chance.pick("GREET", "MAIL", "RCPT", "DATA", "DOT", "QUIT")
            answers[stage] = chance.pick(
                "450 4.7.1 later", "550 5.7.1 no", "421 4.3.2 bye", CLOSE, "530 5.7.0 STARTTLS"
            )
        if answers:
            keywords["on"] = answers
        return keywords

    def _tls(self) -> dict[str, Any]:
        chance = self._chance
        tls: dict[str, Any] = {"cert": chance.pick(*_CERTIFICATES)}
        if chance.maybe(0.2):
            tls["max"] = "1.2"
        elif chance.maybe(0.08):
            tls["min"] = "1.3"
        if chance.maybe(0.06):
            tls["ciphers"] = chance.pick(*_SUITES)
        if chance.maybe(0.1):
            tls[chance.pick("ask_cert", "need_cert")] = True
        if chance.maybe(0.08):
            tls["sni"] = {chance.pick("sni.dest.test", "dest.test", "mx1.dest.test"): "sni"}
        if chance.maybe(0.05):
            tls["p256"] = True
        if "smtp_tls_session_cache_database" in self._main:
            # a client that closes with unread tickets of TLS 1.3 resets, and it is chance what the server still reads
            tls.pop("min", None)
            tls |= {"max": "1.2", "no_tickets": chance.maybe(0.1)}
        if chance.maybe(0.06):
            tls["offer"] = False
        if chance.maybe(0.06):
            tls["do"] = chance.pick(CLOSE, RST, (("raw", b"GARBAGE garbage garbage\r\n"), CLOSE))
        return tls


def random_tls_scenario(seed: int) -> Scenario:
    """The scenario of a seed."""
    return _Maker(seed).scenario()
