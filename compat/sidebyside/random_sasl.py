"""Scenarios of logging in made up by chance, from a seed: passwords, mechanisms, options, servers in trouble."""

import base64
from typing import Any

from compat.sidebyside.random_servers import Chance
from compat.sidebyside.random_settings import lmtp_name
from compat.sidebyside.scenario import CLOSE, RST, ZONE, Scenario

#: Without DIGEST-MD5: Cyrus SASL remembers challenges of earlier connections, and answers without being asked.
_MECHANISMS = (
    *("PLAIN", "LOGIN", "CRAM-MD5") * 3,
    *("SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"),
    *("ANONYMOUS", "EXTERNAL", "OTP", "plain", "XOAUTH2", "SCRAM-SHA-256-PLUS", "NOSUCH", "PLAIN=", "X" * 40),
)
_OPTIONS = (
    *("", "noanonymous", "noplaintext, noanonymous", "noplaintext"),
    *("nodictionary", "noactive", "mutual_auth", "forward_secrecy", "noanonymous noactive", "nosuch", "NOPLAINTEXT"),
)
_FILTERS = (
    *("plain", "login", "!plain, static:all", "plain, login", "!login, plain, login", "cram-md5 plain", ""),
    *("static:all", "fail:filter", "!", "digest-md5"),
)
_KEYS = (
    *("dest.test", "mx1.dest.test", "mx2.dest.test", "[mx1.dest.test]", "[mx1.dest.test]:25", "dest.test:25"),
    *(
        "192.0.2.1",
        "sender@origin.test",
        "origin.test",
        "@origin.test",
        "other@origin.test",
        "MX1.dest.test",
        ".dest.test",
    ),
)
_PASSWORDS = (
    *("user:secret",) * 5,
    *(
        "user:wrong",
        "user",
        "user:",
        ":secret",
        ":",
        "user:sec:ret",
        "us er:se cret",
        "user:secret extra",
        "ü:ü",
        "nobody:x",
    ),
)
_SENDERS = ("sender@origin.test", "sender@origin.test", "other@origin.test", "", "third@sub.origin.test")


class _Maker:
    def __init__(self, seed: int) -> None:
        self._chance = Chance(f"sasl {seed}")
        self._lmtp = self._chance.maybe(0.12)
        self._main: dict[str, Any] = {}
        self._tls = False

    def scenario(self) -> Scenario:
        chance = self._chance
        hosts = chance.pick(1, 1, 2)
        self._settings()
        main = {lmtp_name(name) if self._lmtp else name: value for name, value in self._main.items()}
        program = "lmtp" if self._lmtp else "smtp"
        nexthop = chance.pick(
            *("dest.test",) * 4, "[mx1.dest.test]", "[192.0.2.1]", "[mx1.dest.test]:25", "dest.test:25"
        )
        if self._lmtp and not nexthop.endswith(":25"):
            nexthop += ":25"
        main["transport_maps"] = f"inline:{{ {{dest.test = {program}:{nexthop}}} }}"
        main["smtp_connection_cache_on_demand"] = main["lmtp_connection_cache_on_demand"] = "no"
        messages = [
            {
                "to": [f"{name}@dest.test" for name in ("one", "two")[: chance.pick(1, 1, 2)]],
                "sender": chance.pick(*_SENDERS),
            }
            for _ in range(chance.pick(1, 2, 3))
        ]
        steps: list[Any] = []
        for number in range(len(messages)):
            steps += [("send", number), ("idle",)]
        dns = {**ZONE, "dest.test": [("MX", 10 * number, f"mx{number}.dest.test.") for number in range(1, hosts + 1)]}
        return {
            "main": main,
            "dns": dns,
            "servers": [self._server(number) for number in range(1, hosts + 1)],
            "messages": messages,
            "steps": steps,
            "ours": {"smtp_tls_process_reuse": "no", "lmtp_tls_process_reuse": "no"},
        }

    def _set(self, name: str, *choices: Any, often: float = 1.0) -> None:
        if self._chance.maybe(often):
            self._main[name] = self._chance.pick(*choices)

    def _settings(self) -> None:
        chance = self._chance
        self._main["smtp_sasl_auth_enable"] = "yes"
        entries = [f"{{{key} = {chance.pick(*_PASSWORDS)}}}" for key in chance.some(_KEYS, 4, 1)]
        likely = f"inline:{{ {{dest.test = user:secret}} {' '.join(entries)} }}"
        if "{dest.test =" in " ".join(entries):
            likely = f"inline:{{ {' '.join(entries)} }}"
        passwords = (*(likely,) * 6, "static:user:secret", "static:user:wrong", "fail:passwords", "")
        self._set("smtp_sasl_password_maps", *passwords)
        self._set("smtp_sasl_security_options", *_OPTIONS, often=0.7)
        self._set("smtp_sasl_mechanism_filter", *_FILTERS, often=0.25)
        self._set("smtp_sender_dependent_authentication", "yes", often=0.25)
        self._set("smtp_sasl_auth_soft_bounce", "no", often=0.15)
        self._set("smtp_sasl_auth_enforce", "no", often=0.1)
        self._set("smtp_sasl_password_result_delimiter", "/", "", often=0.06)
        self._set("smtp_send_dummy_mail_auth", "yes", often=0.1)
        self._set("send_cyrus_sasl_authzid", "yes", often=0.1)
        self._set("smtp_cname_overrides_servername", "yes", often=0.1)
        self._set("soft_bounce", "yes", often=0.05)
        self._set("smtp_always_send_ehlo", "no", often=0.1)
        self._set("smtp_discard_ehlo_keywords", "auth", "pipelining", often=0.06)
        self._set("smtp_reply_filter", "regexp:/etc/postfix/nosuch", often=0.02)
        if chance.maybe(0.25):
            self._tls = True
            self._main["smtp_tls_security_level"] = chance.pick("may", "encrypt", "verify")
            self._set("smtp_tls_CAfile", "/run/sidebyside/certificates/ca.pem", often=0.6)
            self._set("smtp_sasl_tls_security_options", *_OPTIONS, often=0.5)
            self._set("smtp_sasl_tls_verified_security_options", *_OPTIONS, often=0.5)

    def _server(self, number: int) -> dict[str, Any]:
        chance = self._chance
        keywords: dict[str, Any] = {"at": f"192.0.2.{number}:25", "auth": {"user": "secret", "ü": "ü"}, "linger": True}
        if self._lmtp:
            keywords["lmtp"] = True
        keywords["kw"] = self._keywords()
        if self._tls and chance.maybe(0.8):
            keywords["tls"] = {"cert": chance.pick("good", "good", "self", "othername")}
            if chance.maybe(0.5):
                keywords["kw_tls"] = self._keywords()
        if chance.maybe(0.2):
            keywords["auth_ok"] = chance.pick(
                "235 ok", "235-2.7.0 a\n235 2.7.0 b", "250 ok", "200 ok", "334 ", "454 4.7.0 odd"
            )
        if chance.maybe(0.3):
            keywords["auth_bad"] = chance.pick(
                *(
                    "454 4.7.0 later",
                    "535 5.7.8 bad",
                    "421 4.3.2 bye",
                    "500 what",
                    "534 5.7.9 weak",
                    "432 4.7.12 change",
                ),
                *("535-5.7.8 first\n535 5.7.8 second", "535", "530 5.7.0 x"),
            )
        answers: dict[str, Any] = {}
        if chance.maybe(0.25):
            answers["AUTH"] = chance.pick(
                *(
                    "535 5.7.8 no",
                    "454 4.7.0 no",
                    "504 5.5.4 mechanism",
                    "503 5.5.1 again",
                    "334 !!!",
                    "334",
                    "334 ",
                    "334 ==",
                ),
                *(
                    "235 2.7.0 at once",
                    "421 4.3.2 bye",
                    CLOSE,
                    RST,
                    "250 ok",
                    "399 odd",
                    "538 5.7.11 tls",
                    "432 4.7.12 x",
                ),
                f"334 {base64.b64encode(b'x' * 900).decode()}",
                f"334 {base64.b64encode(b'Username:').decode()}",
                ["535 5.7.8 first", "235 2.7.0 then"],
                ["454 4.7.0 first", "454 4.7.0 then"],
            )
        if chance.maybe(0.15):
            stage = chance.pick("GREET", "EHLO", "MAIL", "RCPT", "DATA", "DOT", "QUIT")
            answers[stage] = chance.pick(
                "450 4.7.1 later", "550 5.7.1 no", "530 5.7.0 log in first", "421 4.3.2 bye", CLOSE
            )
        if answers:
            keywords["on"] = answers
        return keywords

    def _keywords(self) -> list[str]:
        chance = self._chance
        words = ["8BITMIME", *(["PIPELINING"] if chance.maybe(0.7) else [])]
        for _ in range(chance.random.choices((0, 1, 2), (1, 8, 1))[0]):
            separator = chance.pick(*(" ",) * 6, "=", "\t", ",")
            words.append(
                f"AUTH{separator}" + chance.pick(" ", " ", " ", "  ", ", ").join(chance.some(_MECHANISMS, 4, 1))
            )
        return words


def random_sasl_scenario(seed: int) -> Scenario:
    """The scenario of a seed."""
    return _Maker(seed).scenario()
