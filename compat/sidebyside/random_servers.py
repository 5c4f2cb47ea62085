"""Scripted servers made up by chance: what a server may answer, sensible or not, at each stage."""

import random
from typing import Any

from compat.sidebyside.scenario import CLOSE

_STAGES = ("GREET", "EHLO", "HELO", "MAIL", "RCPT", "DATA", "DOT", "RSET", "QUIT", "XFORWARD", "STARTTLS", "AUTH")
_GOOD = {"GREET": "220", "DATA": "354", "QUIT": "221", "STARTTLS": "220", "AUTH": "235"}
_SOFT = ("421", "450", "451", "452", "454", "499")
_HARD = ("500", "501", "502", "503", "504", "530", "550", "551", "552", "553", "554", "555", "571", "599")
_ODD = ("050", "100", "199", "299", "300", "354", "399", "600", "999", "000", "252", "200")
_TEXTS = (
    "Ok",
    "no such user",
    "try again (later)",
    'he said "no"',
    "100% sure %s %n",
    "a\\nb",
    "<user@dest.test>: rejected",
    "",
    " ",
    "text with trailing blanks   ",
    "  leading blanks",
    "tab\there",
    "mail.lab.test",
    "see https://example.test/?x=1&y=2;z",
    "status=sent (fake)",
    "x" * 120,
    "many words " * 30,
    "4.7.1 second code",
)
_OCTETS = (
    b"caf\xe9",
    b"a\x00b",
    b"bell\x07",
    b"\xc3\xa4\xe2\x82\xac",
    b"\xff\xfe",
    b"\x7f",
    b"\xc3",
    b"a\rb",
    b"\x1b[1m",
)
_LENGTHS = (500, 1990, 2038, 2042, 2044, 2046, 2047, 2048, 2049, 2060, 4090, 4100, 6000)
_KEYWORDS = (
    *("PIPELINING",) * 6,
    *("8BITMIME",) * 5,
    *("DSN",) * 5,
    *("ENHANCEDSTATUSCODES",) * 3,
    *("SIZE 10240000",) * 3,
    "SIZE",
    "SIZE 0",
    "SIZE 300",
    "SIZE 700",
    "SIZE x1",
    "SIZE 99999999999999999999999",
    "SIZE=200",
    "SIZE -5",
    "SIZE 10 20",
    "size 400",
    *("SMTPUTF8",) * 3,
    "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE",
    "XFORWARD NAME ADDR",
    "XFORWARD proto helo nonsense",
    "XFORWARD",
    "AUTH PLAIN LOGIN",
    "AUTH=PLAIN LOGIN",
    "AUTH",
    "AUTH CRAM-MD5",
    "auth plain",
    "AUTH NOSUCH",
    "VRFY",
    "ETRN",
    "CHUNKING",
    "BINARYMIME",
    "8bitmime",
    "pipelining",
    "Dsn",
    "8BITMIME extra words",
    "PIPELINING=yes",
    "\tDSN",
    " 8BITMIME",
    "",
    "REQUIRETLS",
    "STARTTLS",
    "DSNX",
    "X-EXTENSION " + "x" * 80,
)


_GREETINGS = (
    "220 " + "*" * 60,
    "220 ",
    "220-****\n220 2*0*2",
    "220 mail.lab.test ESMTP",
    "220 MAIL.LAB.TEST",
    "220-mail.lab.test ESMTP\n220 more",
    "220 mx.test smtp only",
    "220 mx.test esmtp",
    "220-mx.test\n220-eSMTP\n220 end",
    "220 ESMTP",
    "220-*** 0 2\n220-2\n220 ESMTP **",
)


class Chance:
    """A seeded source of decisions."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)

    def maybe(self, probability: float) -> bool:
        """True so often."""
        return self.random.random() < probability

    def pick(self, *choices: Any) -> Any:
        """One of them."""
        return self.random.choice(choices)

    def some(self, choices: tuple[Any, ...] | list[Any], most: int, least: int = 0) -> list[Any]:
        """Several of them, each position at most once, in any order."""
        return self.random.sample(choices, min(len(choices), self.random.randint(least, most)))


class Servers:
    """Makes servers.

    Args:
        lmtp: they speak LMTP.
        kept: connections are kept. Then no server says more than it is asked: this program closes such a connection,
            Postfix takes what was said for the reply to the next command.
        tls: most of them offer STARTTLS and mean it.

    Attributes:
        silent: some server made so far may leave the client waiting.
    """

    def __init__(self, chance: Chance, *, lmtp: bool, kept: bool, tls: bool) -> None:
        self._chance = chance
        self._lmtp = lmtp
        self._kept = kept
        self._tls = tls
        self.silent = False

    def server(self, at: str, names: list[str]) -> dict[str, Any]:
        """Keywords of a server.

        Args:
            names: local parts of recipients, for answers that differ.
        """
        chance = self._chance
        keywords: dict[str, Any] = {"at": at}
        if self._lmtp:
            keywords["lmtp"] = True
        if chance.maybe(0.2):
            keywords["host"] = chance.pick("mx", "MX.Dest.Test", "mail.lab.test", "a.very.long.name." + "x" * 40)
        if chance.maybe(0.75):
            keywords["kw"] = list(dict.fromkeys(chance.some(_KEYWORDS, 8)))
        if chance.maybe(0.15):
            keywords["one_write"] = False
        if chance.maybe(0.1):
            keywords["linger"] = True
        if self._tls and chance.maybe(0.7):
            keywords["tls"] = {"cert": "good"}
            if chance.maybe(0.15):
                keywords["tls"]["do"] = CLOSE
            if chance.maybe(0.3):
                keywords["kw_tls"] = list(dict.fromkeys(chance.some(_KEYWORDS, 8)))
        answers = {}
        for stage in chance.some(_STAGES, chance.pick(0, 1, 1, 2, 3)):
            answers[stage] = self._answers(stage, names)
        if chance.maybe(0.3):
            stage = "DOT" if self._lmtp and chance.maybe(0.5) else "RCPT"
            answers[stage] = {name: self._answer(stage) for name in names if chance.maybe(0.6)}
        if answers:
            keywords["on"] = answers
        if chance.maybe(0.1):
            own: list[dict[str, Any]] = [{}, {}, {}]
            stage = chance.pick(*_STAGES[:9])
            own[chance.random.randrange(3)]["on"] = {stage: self._answers(stage, names)}
            keywords["conns"] = own
        if chance.maybe(0.04):
            keywords["body"] = {"after": chance.pick(1, 200, 500), "do": self._interruption()}
        return keywords

    def _answers(self, stage: str, names: list[str]) -> Any:
        chance = self._chance
        if stage == "GREET" and chance.maybe(0.4):
            return chance.pick(*_GREETINGS)
        if stage == "EHLO" and chance.maybe(0.5):
            return self._capabilities()
        if chance.maybe(0.2):
            return [self._answer(stage) if chance.maybe(0.5) else self._good(stage) for _ in range(3)]
        if stage == "RCPT" and chance.maybe(0.5):
            return {name: self._answer(stage) for name in names if chance.maybe(0.5)}
        return self._answer(stage)

    def _good(self, stage: str) -> str:
        code = _GOOD.get(stage, "250")
        return f"{code} {code[0]}.0.0 Ok" if code[0] == "2" else f"{code} go ahead"

    def _code(self, stage: str) -> str:
        chance = self._chance
        return str(
            chance.random.choices(
                (_GOOD.get(stage, "250"), chance.pick(*_SOFT), chance.pick(*_HARD), chance.pick(*_ODD)), (3, 4, 4, 1)
            )[0]
        )

    def _status(self, code: str) -> str:
        chance = self._chance
        first = chance.pick(*"245") if chance.maybe(0.15) else code[0]
        return str(
            chance.pick(
                *(f"{first}.{chance.random.randrange(8)}.{chance.random.randrange(30)} ",) * 5,
                "",
                f"{first}.7.1",
                f"{first}.1234.1 ",
                f"{first}.1.1\t",
                f"{first}.1 ",
                f" {first}.2.3 ",
                f"{first}.999.999 ",
                f"{first}.01.001 ",
            )
        )

    def _line(self, code: str, separator: str = " ") -> str:
        chance = self._chance
        return f"{code}{separator}{self._status(code)}{chance.pick(*_TEXTS)}"

    def _answer(self, stage: str) -> Any:
        """Anything, good or bad."""
        chance = self._chance
        code = self._code(stage)
        kind = chance.random.choices(
            ("single", "lines", "octets", "long", "garbage", "action", "extra", "pieces", "endings"),
            (12, 4, 2, 1.5, 0.8, 3, 0.4, 1, 1),
        )[0]
        return getattr(self, f"_{kind}")(stage, code)

    def _single(self, stage: str, code: str) -> str:
        return self._line(code)

    def _lines(self, stage: str, code: str) -> str:
        chance = self._chance
        rows = []
        for _ in range(chance.pick(1, 1, 2, 3, 30)):
            rows.append(self._line(code if chance.maybe(0.7) else self._code(stage), "-"))
        return "\n".join([*rows, self._line(code)])

    def _octets(self, stage: str, code: str) -> bytes:
        chance = self._chance
        octets = code.encode() + b" " + self._status(code).encode() + b" ".join(chance.some(_OCTETS, 3, 1))
        return octets + b"\r\n"

    def _long(self, stage: str, code: str) -> str:
        chance = self._chance
        word = str(chance.pick("x", "words ", "a,b;c "))
        length = int(chance.pick(*_LENGTHS))
        row = f"{code} {self._status(code)}" + word * (length // len(word) + 1)
        if chance.maybe(0.3):
            half = f"{code}-" + (word * length)[: length // 2]
            return "\n".join([half] * chance.pick(2, 3, 5) + [self._line(code)])
        return row[:length]

    def _garbage(self, stage: str, code: str) -> Any:
        chance = self._chance
        self.silent = True
        return chance.pick(
            f"garbage\n{self._line(code)}",
            f"\n{self._line(code)}",
            f"{code}",
            f"{code}x no blank\n{self._line(code)}",
            f"{code}\tblank\n{self._line(code)}",
            f" {code} blank first\n{self._line(code)}",
            f"{code[:2]} two digits\n{self._line(code)}",
            f"{code}0 four digits\n{self._line(code)}",
            f"{code}-only a continuation",
            b"\r\n",
            b"\x00\r\n" + code.encode() + b" x\r\n",
            b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n",
        )

    def _action(self, stage: str, code: str) -> Any:
        chance = self._chance
        line = self._line(code)
        if chance.maybe(0.12):
            self.silent = True
            return chance.pick(
                ("hang",),
                ("half", f"{code} half a l"),
                (("reply", line), ("shut",)),
                (("sleep", 0.2), ("reply", line)),
                ("shut",),
            )
        return chance.pick(
            ("close",),
            ("rst",),
            (("reply", line), ("close",)),
            (("raw", f"{code} half a l".encode()), ("close",)),
            (("raw", f"{code}-whole\r\n".encode()), ("close",)),
            (("reply", "421 4.3.2 shutting down"), ("close",)),
        )

    def _extra(self, stage: str, code: str) -> str | bytes:
        chance = self._chance
        if self._kept:
            return self._line(code)
        self.silent = True
        second = chance.pick("250 2.0.0 extra", "421 4.3.2 extra", "550 5.5.1 extra", "354 extra")
        return f"{self._line(code)}\r\n{second}\r\n".encode()

    def _pieces(self, stage: str, code: str) -> Any:
        chance = self._chance
        text = f"{self._line(code, '-')}\r\n{self._line(code)}\r\n".encode()
        cut = sorted(chance.random.randrange(1, len(text)) for _ in range(2))
        return ("pieces", [piece for piece in (text[: cut[0]], text[cut[0] : cut[1]], text[cut[1] :]) if piece])

    def _endings(self, stage: str, code: str) -> bytes:
        chance = self._chance
        ends = (b"\n", b"\r\r\n", b"\r\n", b" \r\n", b"\r \r\n", b"\x00\r\n")
        first = self._line(code, "-").encode() + chance.pick(*ends)
        return bytes((first if chance.maybe(0.5) else b"") + self._line(code).encode() + chance.pick(*ends))

    def _interruption(self) -> Any:
        chance = self._chance
        self.silent = True
        return chance.pick(
            ("close",),
            ("rst",),
            (("raw", b"552 5.3.4 too big\r\n"), ("close",)),
            ("hang",),
            (("raw", b"421 4.3.2 bye\r\n"), ("shut",)),
        )

    def _capabilities(self) -> str | bytes:
        chance = self._chance
        first = chance.pick(
            "mx.test", "mail.lab.test", "MAIL.LAB.TEST", "", "mx.test greets mail.lab.test", " ", "PIPELINING"
        )
        words = [first, *chance.some(_KEYWORDS, 6)]
        code = chance.pick("250", "250", "250", "220", "299")
        rows = [f"{code}{chance.pick('-', '-', '-', '- ', '--')}{word}" for word in words[:-1]]
        return "\n".join([*rows, f"{code} {words[-1]}"])
