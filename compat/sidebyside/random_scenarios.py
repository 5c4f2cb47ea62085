"""Scenarios made up by chance, from a seed: the same seed makes the same scenario.

What depends on chance or time in Postfix itself does not occur: shuffled addresses, deliveries at the same time,
on-demand caching, time limits that a busy machine could exceed.
"""

import re
from typing import Any

from compat.sidebyside.generated import Generator
from compat.sidebyside.random_servers import Chance, Servers
from compat.sidebyside.random_settings import Settings, with_limits
from compat.sidebyside.scenario import Scenario, agents

_NAMES = (
    *("user", "one", "two", "three", "four") * 2,
    "a+b",
    "user+ext",
    "x=y",
    "o'brien",
    "MixedCase",
    "-hyphen",
    "percent%sign",
    '"two words"',
    '"a\\"b"',
    '".dot"',
    '"dot."',
    '"a..b"',
    '"at@sign"',
    '"back\\\\slash"',
    '"<angle>"',
    "ümlaut",
    "l" * 70,
    "a*b",
    "a/b",
    "a!b",
    "{brace}",
)
_SENDERS = (
    *("sender@origin.test",) * 8,
    *("",) * 3,
    "local",
    "user+box=d1.test@origin.test",
    '"quoted sender"@origin.test',
    "sender@sub.origin.test",
    "sënder@origin.test",
    "bounces+1=2@origin.test",
    "MAILER-DAEMON@origin.test",
    "double-bounce@lab.test",
)
_HEADERS = (
    "X-Test: one two\n folded\n",
    "Cc: a@dest.test, User <user@dest.test>\n",
    "Reply-To: sender@origin.test\n",
    "Sender: local\n",
    "Delivered-To: user@d1.test\n",
    "Return-Path: <x@y.test>\n",
    "X-Original-To: z@y.test\n",
    "Subject: grüß\n",
    "Bcc: hidden@dest.test\n",
    "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n",
    "Content-Transfer-Encoding: quoted-printable\n",
    "Resent-From: sender@origin.test\n",
    "X-Long: " + "word " * 400 + "\n",
    "From: sender@origin.test\n",
    "To: undisclosed-recipients:;\n",
    "Message-Id: <fixed@origin.test>\n",
)
_BODIES = (
    "Hello\n",
    "",
    ".\n..\n.x\n",
    "ümlaut\n",
    "x" * 1200 + "\n",
    "x" * 998 + "\n" + "y" * 999 + "\n",
    "no newline at the end",
    "a\rb\n\r\nc\r\r\n",
    "From here\nHello\n\n",
    "two words\ntab\there\n",
    "z" * 5000 + "\n" + "line\n" * 200,
    "\n\n\n",
    "nul \0 inside\n",
)
_ENVELOPES = ("abc", "id+2Bx", "a=b", "QQ314159", "x" * 90)
_NOTIFY = ("NEVER", "SUCCESS", "FAILURE", "DELAY", "SUCCESS,FAILURE", "SUCCESS,FAILURE,DELAY", "FAILURE,DELAY")
_TROUBLE = ("SERVFAIL", "REFUSED", "NXDOMAIN", "FORMERR", "NOTIMP")
_ODD_DOMAINS = ("[192.0.2.1]", "[IPv6:2001:db8::1]", "nosuch.test", "bücher.test", "[203.0.113.77]")
_MORE_TROUBLE = ("bad", "none", "loop", "chain", "many", "wide", "zero", "stars")
_UNIX = "/run/sidebyside/sockets/lmtp"


class _Maker:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._chance = chance = Chance(f"scenario {seed}")
        self._lmtp = chance.maybe(0.25)
        self._kept = chance.maybe(0.35)
        self._settings = Settings(chance, lmtp=self._lmtp, kept=self._kept)
        tls = not self._kept and self._settings.uses_tls
        self._servers = Servers(chance, lmtp=self._lmtp, kept=self._kept, tls=tls)
        self._dns: dict[str, Any] = {
            "origin.test": [("A", "127.0.0.1")],
            "fb.test": [("MX", 5, "mx30.test.")],
            "xn--bcher-kva.test": [("MX", 5, "mx30.test.")],
        }
        self._listening: dict[str, dict[str, Any]] = {}
        self._routes: list[str] = []
        self._silent = False
        self._names: list[str] = []
        self._domains: list[str] = []

    def scenario(self) -> Scenario:
        chance = self._chance
        self._names = chance.some(_NAMES, 4, 1)
        for number in range(1, chance.pick(1, 1, 2, 3) + 1):
            self._domain(f"d{number}.test")
        self._host(30)
        # a reply filter can take the last line of a reply away
        filters = "reply_filter" in self._settings.files
        self._silent = filters or self._servers.silent or "192.0.2.99" in str(self._dns)
        messages, steps = self._messages()
        main = with_limits(self._settings.main)
        self._cache(main)
        if self._routes:
            main["transport_maps"] = "texthash:/etc/postfix/transport"
            self._settings.files["transport"] = "".join(self._routes)
        if self._silent:
            self._settings.hurry()
            main = {**main, **self._settings.main}
        main.setdefault("smtp_pix_workaround_delay_time", "1s")
        main.setdefault("lmtp_pix_workaround_delay_time", "1s")
        main.setdefault("virtual_alias_maps", "inline:{ {alias@origin.test = user@d1.test} }")
        if "ipv4" in (main.get("inet_protocols"), self._settings.overrides.get("inet_protocols")):
            main["inet_interfaces"] = "127.0.0.1"
        command = self._settings.command("smtp")
        scenario: Scenario = {
            "main": main,
            "dns": self._dns,
            "servers": list(self._listening.values()),
            "messages": messages,
            "steps": steps,
            "agents": agents(command, command.replace("smtp", "lmtp", 1)),
        }
        if self._settings.files:
            scenario["files"] = self._settings.files
        if chance.maybe(0.3):
            scenario["hosts"] = "192.0.2.1 hostsfile.test\n192.0.2.2 d1.test\n"
        return scenario

    def _cache(self, main: dict[str, Any]) -> None:
        chance = self._chance
        if self._kept:
            prefix = "lmtp" if self._lmtp else "smtp"
            main[f"{prefix}_connection_cache_destinations"] = chance.pick(
                ", ".join([*self._domains, "192.0.2.1", "mx1.test", "[192.0.2.1]", "fb.test", "192.0.2.30"]),
                "static:all",
                "d1.test",
            )
            main[f"{prefix}_connection_cache_time_limit"] = "30s"
            if chance.maybe(0.3):
                main[f"{prefix}_connection_reuse_count_limit"] = chance.pick("1", "2")

    # Destinations

    def _host(self, number: int, port: int | None = None) -> str:
        """A host with an address, and mostly a server."""
        chance = self._chance
        name = f"mx{number}.test"
        port = port or (24 if self._lmtp else 25)
        records: list[Any] = []
        if chance.maybe(0.9):
            records.append(("A", f"192.0.2.{number}"))
        if number < 9 and chance.maybe(0.25):
            records.append(("AAAA", f"2001:db8::{number}"))
        if chance.maybe(0.08):
            records.append(("A", chance.pick("203.0.113.5", "127.0.0.1", "198.51.100.1", "192.0.2.3")))
        if chance.maybe(0.02):
            records.append(("A", "192.0.2.99"))
        if chance.maybe(0.06):
            records = [("CNAME", f"real{number}.test.")]
            self._dns[f"real{number}.test"] = [("A", f"192.0.2.{number}")]
        if chance.maybe(0.05):
            self._dns[name] = chance.pick(*_TROUBLE)
        elif records:
            self._dns[name] = records
        for at in (f"192.0.2.{number}:{port}", f"[2001:db8::{number}]:{port}"):
            if chance.maybe(0.85) and (number < 9 or "[" not in at):
                self._serve(at)
        return name

    def _serve(self, at: str) -> None:
        if at not in self._listening:
            self._listening[at] = self._servers.server(at, [re.escape(name.strip('"')) for name in self._names])

    def _domain(self, domain: str) -> None:
        chance = self._chance
        self._domains.append(domain)
        kind = chance.random.choices(("mx", "host", "route", "trouble"), (5, 1, 2, 0.7))[0]
        if self._lmtp:
            self._routes.append(f"{domain} lmtp:{self._lmtp_route(domain)}\n")
            return
        if kind == "trouble":
            trouble = chance.pick(*_TROUBLE, "null", "self", "alias", "numeric", *_MORE_TROUBLE)
            self._dns[domain] = {
                "null": [("MX", 0, ".")],
                "self": [("MX", 10, "mail.lab.test.")],
                "alias": [("CNAME", "fb.test.")],
                "numeric": [("MX", 10, "192.0.2.1."), ("MX", 20, "192.0.2.2.")],
                "bad": [("MX", 10, "-bad-.test."), ("MX", 20, "mx1.test.")],
                "none": [("TXT", "x")],
                "loop": [("CNAME", f"{domain}.")],
                "chain": [("CNAME", "c1.test.")],
                "many": [("MX", 1, f"m{number}.test.") for number in range(120)],
                "wide": [("A", f"192.0.2.{number}") for number in range(1, 12)],
                "zero": [("MX", 1, "zero.test."), ("MX", 2, "mx1.test.")],
                "stars": [("MX", 1, "*.test."), ("MX", 2, "under_score.test."), ("MX", 3, "a--b.test.")],
            }.get(trouble, trouble)
            self._dns["mail.lab.test"] = [("A", "127.0.0.1")]
            self._dns["zero.test"] = [("A", "0.0.0.0"), ("A", "192.0.2.7")]
            self._dns["under_score.test"] = [("A", "192.0.2.1")]
            self._dns["a--b.test"] = [("A", "192.0.2.2")]
            self._dns["m7.test"] = [("A", "192.0.2.1")]
            for number in range(1, 13):
                self._dns[f"c{number}.test"] = [("CNAME", f"c{number + 1}.test.")]
            self._dns["c13.test"] = [("A", "192.0.2.1")]
            self._host(1)
        elif kind == "host":
            self._dns[domain] = [("A", f"192.0.2.{chance.pick(1, 2, 3)}")]
            self._host(chance.pick(1, 2, 3))
        elif kind == "route":
            self._routes.append(f"{domain} {chance.pick('smtp', 'smtp', 'relay')}:{self._route(domain)}\n")
        else:
            self._exchangers(domain)

    def _exchangers(self, domain: str) -> None:
        chance = self._chance
        records: list[Any] = []
        for number in chance.some([1, 2, 3, 4, 5, 6], chance.pick(1, 1, 2, 3, 4), 1):
            records.append(("MX", chance.pick(5, 10, 10, 20, 30, 0, 65535), f"{self._host(number)}."))
        if chance.maybe(0.05):
            records.append(("MX", chance.pick(5, 15, 40), chance.pick("mail.lab.test.", "nosuch.test.", "192.0.2.5.")))
            self._dns["mail.lab.test"] = [("A", "127.0.0.1")]
        if chance.maybe(0.03):
            records.append((f"MX:{chance.pick('TRUNC', 'SERVFAIL', 'GARBAGE')}",))
        self._dns[domain] = records

    def _route(self, domain: str) -> str:
        chance = self._chance
        numbers = chance.some([1, 2, 3, 4], 3, 1)
        routes = []
        for number in numbers:
            port = chance.pick(None, None, None, 2525, 587)
            if self._kept:  # Postfix 3.7 logs the port of the destination for a kept connection to another one
                port = None
            name = self._host(number, port)
            literal = chance.pick(
                f"[192.0.2.{number}]", f"[{name}]", name, f"[2001:db8::{number}]", f"192.0.2.{number}"
            )
            routes.append(literal + ("" if port is None else f":{port}"))
        if chance.maybe(0.05):
            routes.append(chance.pick("nosuch.test", "[nosuch.test]", "[203.0.113.77]", "[hostsfile.test]"))
        if len(numbers) == 1 and chance.maybe(0.03):
            return str(chance.pick("[192.0.2.1", "[192.0.2.1]:0", "[192.0.2.1]:nosuch", "-bad-", "[ipv6:2001:db8::1]"))
        return str(chance.pick(", ", " ", ",")).join(routes)

    def _lmtp_route(self, domain: str) -> str:
        chance = self._chance
        if chance.maybe(0.4):
            if chance.maybe(0.9):
                self._serve(f"unix:{_UNIX}")
            return f"unix:{_UNIX}"
        self._exchangers(domain)
        if chance.maybe(0.3):
            return domain
        return str(chance.pick("", "inet:")) + self._route(domain)

    # Messages

    def _messages(self) -> tuple[list[dict[str, Any]], list[Any]]:
        chance = self._chance
        count = chance.pick(1, 2) if self._silent else chance.pick(1, 2, 3, 4, 5)
        messages = [self._message(number) for number in range(count)]
        steps: list[Any] = []
        for number in range(len(messages)):
            steps.append(("send", number))
            steps.append(("idle",))
        if len(messages) == 1 and "-bv" not in messages[0].get("args", []) and chance.maybe(0.15):
            steps += [("flush",), ("idle",)]
        return messages, steps

    def _message(self, number: int) -> dict[str, Any]:
        chance = self._chance
        domain = chance.pick(*self._domains)
        to = [f"{name}@{domain}" for name in self._names[: chance.pick(1, 1, 2, 4)]]
        if chance.maybe(0.05) and domain == "d1.test":
            to = ["alias@origin.test"]
        elif chance.maybe(0.05) and not self._lmtp:
            to = [f"user@{chance.pick(*_ODD_DOMAINS)}"]
        sender = chance.pick(*_SENDERS)
        kind = chance.random.choices(("sendmail", "smtp", "postdrop"), (4, 4, 3))[0]
        message: dict[str, Any] = {"to": to, "sender": sender, "via": kind}
        if kind == "postdrop":
            generator = Generator(self._seed * 10 + number, eight_bit=chance.maybe(0.7))
            message["lines"] = generator.message(0)["lines"]
            message["to"] = [recipient.replace('"', "").replace("\\", "") for recipient in to]
            message["sender"] = sender.replace('"', "")
            return message
        message["data"] = self._content()
        if kind == "sendmail":
            message["args"] = self._arguments(alone=len(to) == 1)
            if "-bv" in message["args"]:
                message["data"] = ""
            return message
        return self._submission(message)

    def _content(self) -> str:
        chance = self._chance
        headers = ["Date: Fri, 01 Jan 2021 00:00:00 +0000\n", "Message-ID: <fixed@origin.test>\n"]
        headers += chance.some(_HEADERS, 4)
        return "".join(headers) + "\n" + "".join(chance.some(_BODIES, 3, 1))

    def _arguments(self, *, alone: bool) -> list[str]:
        chance = self._chance
        if chance.maybe(0.1):
            return ["-bv"]
        arguments: list[str] = []
        if chance.maybe(0.2):
            arguments += ["-N", chance.pick(*_NOTIFY).lower()]
        if chance.maybe(0.15):
            arguments += ["-V", chance.pick(*_ENVELOPES)]
        if chance.maybe(0.15):
            arguments += ["-R", chance.pick("full", "hdrs")]
        if alone and chance.maybe(0.1):  # a bounce for each recipient, in any order
            arguments += ["-XV"]
        if chance.maybe(0.1):
            arguments += ["-B", chance.pick("7bit", "8bitmime")]
        return arguments

    def _submission(self, message: dict[str, Any]) -> dict[str, Any]:
        chance = self._chance
        message["data"] = message["data"].rstrip("\n") + "\n"
        words: list[str] = []
        if chance.maybe(0.3):
            words.append(f"ENVID={chance.pick(*_ENVELOPES)}".replace("a=b", "a+3Db"))
        if chance.maybe(0.3):
            words.append(chance.pick("RET=FULL", "RET=HDRS"))
        if chance.maybe(0.5):
            words.append(chance.pick("BODY=8BITMIME", "BODY=7BIT"))
        if chance.maybe(0.2) or any(ord(letter) > 127 for letter in "".join([message["sender"], *message["to"]])):
            words.append("SMTPUTF8")
        if words:
            message["mail_args"] = words
        arguments = []
        for _ in message["to"]:
            each: list[str] = []
            if chance.maybe(0.3):
                each.append(f"NOTIFY={chance.pick(*_NOTIFY)}")
            if chance.maybe(0.25):
                each.append(
                    "ORCPT="
                    + chance.pick(
                        "rfc822;a+20b@c", "rfc822;user@else.test", "utf-8;us\\x{E9}r@x.test", "x400;/C=x/+3D", "rfc822;"
                    )
                )
            arguments.append(each)
        if any(arguments):
            message["rcpt_args"] = arguments
        if chance.maybe(0.15):
            message["xforward"] = [
                "NAME=spike.test ADDR=198.51.100.7 PORT=1234 PROTO=ESMTP HELO=spike+20x",
                "IDENT=abc",
            ]
        if chance.maybe(0.1):
            message["hello"] = "HELO old.test"
            message.pop("mail_args", None)
            message.pop("rcpt_args", None)
        return message


def random_scenario(seed: int) -> Scenario:
    """The scenario of a seed."""
    return _Maker(seed).scenario()
