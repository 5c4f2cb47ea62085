"""Content made up by chance that cleanup(8) would not write: odd records, MIME structures, addresses; many at a time.

The messages are queue files, and go one by one through one configuration of checks, address mapping and limits.
"""

from collections.abc import Sequence
from typing import Any

from compat.queue_file import encode_record
from compat.sidebyside.random_servers import Chance
from compat.sidebyside.scenario import MX1, ZONE, Scenario, agents

MESSAGES = 40
ONE_AT_A_TIME = {
    "initial_destination_concurrency": "1",
    "default_destination_concurrency_limit": "1",
    "smtp_connection_cache_on_demand": "no",
    "lmtp_connection_cache_on_demand": "no",
}

_NAMES = (
    *("Subject", "X-A", "X-Other", "To", "Cc", "From", "Sender", "Resent-To", "Reply-To") * 2,
    *("Bcc", "Return-Path", "Errors-To", "Apparently-To", "Mail-Followup-To", "Return-Receipt-To"),
    *("Disposition-Notification-To", "resent-from", "RESENT-SENDER", "Resent-Reply-To", "Resent-Bcc", "Resent-Cc"),
    *("Delivered-To", "Message-Id", "Received", "MIME-Version", "Content-Description", "Content-ID", "List-Id"),
    *("Content-Disposition", "content-DESCRIPTION", "X" * 60, "!", "a~b", "x=y", "Date"),
)
_COLONS = (b": ", b": ", b": ", b":", b" : ", b"\t:\t", b":   ", b":\n ", b" \t :")
_FOLDS = (b"\n ", b"\n\t", b"\n  \t")
_WORDS = (
    *(b"one", b"two words", b"three", b"match", b"x"),
    *(b"", b" ", b"\xc3\xa4", b"\xff\x80", b"a\0b", b"c\nd", b"e\rf", b"g\r", b"\x7f\x01", b"=", b"=20", b"."),
    *(b"a" * 70, b"b" * 130, b"\xe9" * 30, b"tab\t", b"blank ", b"\xe2\x82\xac", b"%s%n", b"\\", b"$1"),
)
_ADDRESS_TOKENS = (
    *(b"a@x.test", b"b@y.test", b"<a@x.test>", b"Name <b@y.test>", b"u+e@x.test", b"local", b"q@d.test") * 3,
    *(b" ", b",", b", ", b"\n ", b"\n\t", b",\n  ") * 3,
    *(b";", b":", b"<", b">", b"@", b".", b"..", b"[", b"]", b"\\", b'"', b"(", b")", b"|", b"%", b"!", b"()"),
    *(b'"q t"', b'"a@x.test"', b"(c)", b"((n)c)", b"(un\\)closed", b'"un\\"closed', b"[1.2.3.4]", b"[a\\]b]", b"a\\ b"),
    *(b"Group:", b"undisclosed-recipients:;", b"<>", b"@route:", b"<@r1,@r2:a@x.test>", b'"q t"@x.test', b"a.b@x.test"),
    *(b"\xc3\xa4@x.test", b"\xff@x.test", b"A@X.TEST", b"a@x.test.", b"a@lab.test", b"a@[192.0.2.9]", b"@x.test"),
    *(b"=?utf-8?Q?J?=", b"'", b"`", b"a\0b", b"\r", b"\x01", b"+e@x.test", b"owner-a@x.test", b"postmaster+e@x.test"),
    *(b"x" * 260, b"(" + b"c" * 240 + b")", b'""', b'""@x.test', b"user@", b"a@b@x.test", b"e\xcc\x81@y.test"),
)
_TYPE_TOKENS = (
    *(b"text", b"/", b"plain", b"multipart", b"mixed", b"message", b"rfc822", b"digest", b"application", b"global"),
    *(
        b";",
        b";",
        b";",
        b"boundary",
        b"=",
        b"a",
        b"ab",
        b'"a"',
        b'"a b"',
        b"(c)",
        b'"',
        b"\\",
        b"(",
        b")",
        b" ",
        b"\n ",
    ),
    *(b"partial", b"external-body", b"BOUNDARY=a", b"charset=utf-8", b"boundary*=a", b"boundary*0=a", b"\xc3\xa4"),
)
_TYPES = (
    *(b"multipart/mixed; boundary=%s", b'multipart/mixed; boundary="%s"', b"multipart/digest; boundary=%s") * 3,
    *(b"Multipart/Alternative;\n\tBoundary=%s", b"multipart/mixed; x=y; boundary=%s ; boundary=z", b"multipart/mixed"),
    *(b"multipart; boundary=%s", b"multipart/digest; boundary=%s; boundary=outer", b"multipart/mixed; boundary = %s"),
    *(
        b'multipart/mixed; boundary="%s\n b"',
        b"multipart/mixed (c); boundary=(d)%s(e)",
        b"(x) multipart/mixed;boundary=%s",
    ),
    *(
        b"text/plain",
        b"text/plain; charset=iso-8859-1",
        b"text/plain; charset=us-ascii",
        b"TEXT",
        b"text/x; boundary=%s",
    ),
    *(b"message/rfc822", b"message/rfc822", b"message/partial; id=x", b"message/external-body", b"message/global"),
    *(
        b"message/delivery-status",
        b"message",
        b"message/global-headers",
        b"application/octet-stream",
        b"image/png",
        b"",
    ),
    *(
        b"(comment)",
        b"/plain",
        b'"text"/plain',
        b'"multipart"/mixed; boundary=%s',
        b";",
        b"multipart/rfc822; boundary=%s",
    ),
    *(b"message/digest", b"message / rfc822", b"message/ (c) rfc822 ", b"message/rfc822; boundary=%s"),
)
_ENCODINGS = (
    *(b"8bit", b"8bit", b"8bit", b"binary", b"7bit", b"base64", b"quoted-printable", b"8BIT", b"8bit (c)", b"(c) 8bit"),
    *(b'"8bit"', b"nonsense", b"", b"x-uuencode", b"8bit; x", b"8bit binary", b"\n 8bit", b"7bit,8bit", b"8\0bit"),
)
_BOUNDARIES = (b"a", b"ab", b"abc", b"b", b"a b", b"outer", b"z", b"--", b"-", b"", b"a" * 90, b"\xc3\xa4", b"A")
_ENCODING_VALUES = ("", "", "8bit", "7bit", "nonsense", "8BIT")
_SERVERS: tuple[list[str], ...] = (
    [],
    ["PIPELINING"],
    ["PIPELINING", "8BITMIME"],
    ["8BITMIME", "SIZE", "DSN", "PIPELINING"],
    ["SMTPUTF8", "PIPELINING"],
    ["8BITMIME", "SMTPUTF8", "DSN", "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"],
    ["DSN", "XFORWARD NAME ADDR PROTO SOURCE", "SIZE 300"],
    ["SIZE 10240000", "ENHANCEDSTATUSCODES"],
)
_PATTERNS = (
    *("^Subject:", "^X-", "match", "one", "two", "^To:", "^Cc:.*a@", "^Content-T", "^Content-Type: multi", "^From"),
    *("8bit", "=[A-F0-9]{2}", "^--", "^.$", "^\\.", "[[:space:]]$", "^Sender: *(.*)", "tab", "a{20}", "^\\t", "quoted"),
    *("^[^:]+: *([^@]*)@(.*)", "^MIME", "^(Resent-[a-z]+):", "Content-Disposition", "[^ -~]", "^[a-z]+$"),
)
_ACTIONS = (
    *("DUNNO", "OK", "ok then", "IGNORE", "ignore me", "STRIP", "Strip it", "INFO", "info some text", "WARN", "warn w"),
    *("REPLACE X-New: yes", "replace   To: a@x.test", "REPLACE", "REPLACE no header", "REPLACE X : y", "REPLACE .dot"),
    *(
        "PREPEND X-Pre: yes",
        "prepend From: a@x.test",
        "PREPEND",
        "PREPEND no header",
        "Prepend .dot",
        "PREPEND\tX-T: t",
    ),
    *("REPLACE Cc: b@y.test, $1", "REPLACE X-$1: $1", "INFO $1", "PREPEND X-P: $1", "REPLACE Content-Type: x/y"),
    *(
        "REJECT",
        "REJECT 5.7.1 no",
        "HOLD",
        "DISCARD",
        "FILTER a:b",
        "REDIRECT a@b",
        "BCC a@b",
        "DELAY 1d",
        "NONSENSE x",
    ),
    *(
        "REPLACE " + "X-Long: " + "w " * 600,
        "PREPEND " + "y" * 40 + ": " + "z" * 1500,
        "INFO " + "i" * 300,
        "PASS",
        "%s",
    ),
    *("REPLACE \u00e4: x", "REPLACE X-U: \u00fc", "WARN \u00fc", "550 no", "4.7.1 text", "warn", "Dunno x", "DUNNO\tx"),
)
_GENERIC = (
    *("a@x.test new@out.test", "b@y.test <x y>@out.test", "@d.test @mapped.test", "u@x.test up@out.test"),
    *(
        "local other",
        "a@lab.test lab@out.test",
        "u+e@x.test whole@out.test",
        "a elsewhere@out.test",
        "u short@out.test",
    ),
    *(
        '"q t"@x.test qt@out.test',
        'a.b@x.test "a b"@out.test',
        "@y.test one@out.test, two@out.test",
        "@lab.test @l.test",
    ),
    *(
        "sender@origin.test s@out.test",
        "@dest.test @mapped.test",
        "b@y.test Name <b@out.test> (c)",
        "@[192.0.2.9] z@out.test",
    ),
    *(
        "a@x.test a@x.test",
        "q@d.test <>",
        "\u00e4@x.test ae@out.test",
        "a@x.test \u00fc@out.test",
        "@x.test i!j%k",
        "b@y.test bare",
    ),
    *('a@x.test "quoted"@out.test', "b@y.test @r1:b@out.test", "u+e@x.test @ext.test", "u@x.test @noext.test"),
    *(
        "postmaster@x.test pm@out.test",
        "owner-a@x.test ow@out.test",
        '""@x.test empty@out.test',
        "b@y.test B@[1.2.3.4]",
    ),
    *("a@x.test a..b@out.test", "a@x.test .a@out.test", "b@y.test group: c@out.test;", 'b@y.test "x@y"@out.test'),
)
_GENERIC_PATTERNS = (
    *("{/^(.*)@y.test$/ $$1@pattern.test}", "{/^@r1/ routed@out.test}", '{/"/ "q"@out.test}', "{/^u/ u@out.test}"),
    *("{/^(.*)[+](.*)@/ $$2@out.test}", "{/^[^@]*$/ plain}", "{/[^ -~]/ eight@out.test}", "{/,/ comma@out.test}"),
)
_SENDERS = (
    "sender@origin.test",
    "sender@origin.test",
    "",
    "a@x.test",
    "u+e@x.test",
    "q t@x.test",
    "a@lab.test",
    "local",
)
_RECIPIENTS = (
    *(
        "\u00fc%d@dest.test",
        "\udcff%d@dest.test",
        "a@%d@dest.test",
        "a\\%d@dest.test",
        "(%d)@dest.test",
        "a\x7f%d@dest.test",
    ),
    "u%d@dest.test",
    "u%d@dest.test",
    "u%d+ext@dest.test",
    "u %d@dest.test",
    ".u%d@dest.test",
    'u"%d@dest.test',
)
_ORIGINALS = (
    *(
        b"",
        b"orig@else.test",
        b"or+ig=x@else.test",
        b"a b@else.test",
        b'q"t@else.test',
        b"\xc3\xb6@else.test",
        b"@",
        b"x@",
    ),
    *(
        b"\xff@else.test",
        b"a@b@c",
        b"nodomain",
        b"\x01\x7f@c",
        b".a@c",
        b"\\@c",
        b"@r1,@r2:a@b",
        b"\xf0\x9f\x98\x80@c",
        b"e" * 300,
    ),
)
_DSN_ORIGINALS = (
    *(
        b"rfc822;a@b",
        b"rfc822;a b=+@c",
        b"RFC822;x",
        b"utf-8;\xc3\xb6@x.test",
        b"UTF-8;\xe2\x82\xac=+\\@x",
        b"utf-8;\xff@x",
    ),
    *(
        b"x400;/C=x",
        b"rfc822;",
        b"rfc822;\xc3\xb6@x",
        b"nonsense",
        b"utf-8;a@b",
        b";x",
        b"utf-8;\xf0\x9f\x98\x80",
        b"rfc822;\x01\x7f",
    ),
)
_ATTRIBUTES = (
    *(
        b"envelope_id=abc",
        b"envelope_id=a b+c=d",
        b"envelope_id=\xc3\xa4\x01",
        b"ret_flags=1",
        b"ret_flags=2",
        b"ret_flags=3",
    ),
    *(
        b"log_client_name=spike.test",
        b"log_client_address=198.51.100.7",
        b"log_client_port=1234",
        b"log_helo_name=h x+",
    ),
    *(b"log_protocol_name=ESMTP", b"log_ident=4Vb", b"client_name=c.test", b"client_address=::1", b"helo_name=\xff"),
    *(b"log_client_name=unknown", b"log_client_address=unknown", b"log_client_port=unknown", b"log_client_name="),
    *(b"log_client_address=IPv6:2001:db8::1", b"log_client_address=2001:db8::1", b"rewrite_context=remote"),
    *(
        b"sasl_username=user",
        b"sasl_method=PLAIN",
        b"sasl_sender=a@b",
        b"log_ident=\xc3\xa4 =+",
        b"log_client_name=" + b"n" * 600,
    ),
)


class _Maker:
    def __init__(self, seed: int) -> None:
        self._chance = Chance(f"content {seed}")
        self._random = self._chance.random
        self._encodes = self._chance.maybe(0.6)

    def scenario(self) -> Scenario:
        chance = self._chance
        keywords = (
            chance.pick(*(server for server in _SERVERS if "8BITMIME" not in server))
            if self._encodes
            else chance.pick(*_SERVERS)
        )
        main = {**ONE_AT_A_TIME, **self._limits()}
        files: dict[str, str] = {}
        for where in ("header", "mime_header", "nested_header", "body"):
            if chance.maybe(0.4):
                main[f"smtp_{where}_checks"] = f"{chance.pick('regexp', 'pcre')}:/etc/postfix/{where}"
                files[where] = self._rules()
        if chance.maybe(0.5):
            main["smtp_generic_maps"] = chance.pick("", "", f"regexp:{{{chance.pick(*_GENERIC_PATTERNS)}}}, ")
            main["smtp_generic_maps"] += "texthash:/etc/postfix/generic"
            lines = {line.partition(" ")[0].lower(): line for line in chance.some(list(_GENERIC), 12, 2)}
            files["generic"] = "\n".join(lines.values()) + "\n"
        flags = f" flags={chance.pick('R', 'O', 'D', 'RO', 'DOR')}" if chance.maybe(0.2) else ""
        if flags:
            main["smtp_destination_recipient_limit"] = "1"
        count = MESSAGES
        return {
            "main": main,
            "files": files,
            "dns": dict(ZONE),
            "agents": agents(f"smtp{flags}"),
            "servers": [{"at": MX1, "kw": keywords}],
            "messages": [self._message(number) for number in range(count)],
            "steps": [*(("send", number) for number in range(count)), ("idle", 100)],
            "concurrent": True,
            "drop_other": "open bounce|saving corrupt|sbin/bounce pid",
            "timeout": 150,
        }

    def _limits(self) -> dict[str, str]:
        chance = self._chance
        limits = {
            "header_size_limit": ("10", "40", "200"),
            "mime_boundary_length_limit": ("1", "2", "5"),
            "mime_nesting_limit": ("1", "2", "3"),
            "smtp_line_length_limit": ("0", "2", "10", "40", "76", "127", "200"),
            "disable_mime_output_conversion": ("yes",),
            "recipient_delimiter": ("+", "+-", "-", "q"),
            "propagate_unmatched_extensions": ("generic", "canonical, virtual, generic", ""),
            "owner_request_special": ("no",),
            "myorigin": ("x.test", "origin.test"),
            "append_at_myorigin": ("no",),
            "swap_bangpath": ("no",),
            "allow_percent_hack": ("no",),
            "allow_min_user": ("yes",),
            "smtputf8_enable": ("no",),
            "smtp_quote_rfc821_envelope": ("no",),
            "smtp_destination_concurrency_limit": ("1",),
            "smtp_discard_ehlo_keywords": ("8bitmime", "dsn, size"),
            "smtp_send_xforward_command": ("yes",),
            "mydestination": ("x.test", "lab.test, y.test"),
        }
        likely = {"disable_mime_output_conversion": 0.1, "recipient_delimiter": 0.5, "smtp_line_length_limit": 0.4}
        return {name: chance.pick(*values) for name, values in limits.items() if chance.maybe(likely.get(name, 0.2))}

    def _rules(self) -> str:
        rules = []
        for pattern in self._chance.some(list(_PATTERNS), 8, 1):
            action = self._chance.pick(*_ACTIONS)
            if "(" not in pattern:
                action = action.replace("$1", "none")
            rules.append(f"/{pattern}/ {action}\n")
        return "".join(rules)

    # Messages

    def _message(self, number: int) -> dict[str, Any]:
        chance = self._chance
        lines = self._content(0)
        if not lines or chance.maybe(0.03):
            lines = [b""]
        return {
            "via": "queue",
            "to": [chance.pick(*_RECIPIENTS) % number],
            "sender": chance.pick(*_SENDERS),
            "encoding": chance.pick(*_ENCODING_VALUES),
            "lines": self._records(lines),
            "smtputf8": chance.pick(*(0,) * 12, 1, 2, 4, 8, 16, 3, 9, 17, 31),
            **self._envelope(),
            "octets": self._damage() if number == 0 and chance.maybe(0.5) else b"",
        }

    def _envelope(self) -> dict[str, Any]:
        chance = self._chance
        envelope: dict[str, Any] = {}
        if chance.maybe(0.2):
            envelope["original"] = chance.pick(*_ORIGINALS)
        if chance.maybe(0.2):
            envelope["dsn_original"] = chance.pick(*_DSN_ORIGINALS)
        if chance.maybe(0.2):
            envelope["notify"] = self._random.randrange(16)
        if chance.maybe(0.3):
            envelope["attributes"] = chance.some(_ATTRIBUTES, 6, 1)
        return envelope

    def _content(self, depth: int) -> list[bytes]:
        lines: list[bytes] = []
        for _ in range(self._random.randrange(4 if depth else 6)):
            lines += self._header().split(b"\n")
        boundaries: list[bytes] = []
        if self._chance.maybe(0.6):
            lines += self._mime_header(boundaries)
        if self._chance.maybe(0.9):
            lines.append(b"")
        return lines + self._body(depth, boundaries)

    def _header(self) -> bytes:
        chance = self._chance
        title: str = chance.pick(*_NAMES)
        is_address = title.title().startswith(("To", "Cc", "From", "Sender", "Re", "Bcc", "Err", "App", "Mail", "Dis"))
        tokens: Sequence[bytes] = _ADDRESS_TOKENS if is_address else (*_WORDS, b" ", b"\n ", b"\n\t")
        name = title.encode()
        value = b"".join(chance.pick(*tokens) for _ in range(self._random.randrange(12 if is_address else 5)))
        if is_address and chance.maybe(0.4):
            value += b", a@x.test"
        if chance.maybe(0.03):
            name = chance.pick(b"", b" X", b"X Y", b"X\x7f", b"\xc3\xa4", b"From me", b"X\0Y", b"-")
        return b"".join((name, chance.pick(*_COLONS), value))

    def _mime_header(self, boundaries: list[bytes]) -> list[bytes]:
        chance = self._chance
        headers: list[bytes] = []
        for _ in range(chance.pick(1, 1, 1, 1, 2)):
            kind = chance.pick(*_TYPES)
            if chance.maybe(0.12):
                kind = b"".join(chance.pick(*_TYPE_TOKENS) for _ in range(self._random.randrange(12)))
            if b"%s" in kind:
                boundary = chance.pick(*_BOUNDARIES)
                boundaries.append(boundary)
                kind = kind % boundary
            headers.append(chance.pick(b"Content-Type", b"content-type") + chance.pick(*_COLONS) + kind)
        if chance.maybe(0.75):
            headers.append(b"Content-Transfer-Encoding" + chance.pick(*_COLONS) + chance.pick(*_ENCODINGS))
        if chance.maybe(0.3):
            headers.append(self._header())
        self._random.shuffle(headers)
        return [line for header in headers for line in header.split(b"\n")]

    def _body(self, depth: int, boundaries: list[bytes]) -> list[bytes]:
        chance = self._chance
        lines: list[bytes] = []
        for _ in range(self._random.randrange(5)):
            kind = self._random.random()
            if kind < 0.35 and (boundaries or chance.maybe(0.2)):
                boundary = chance.pick(*boundaries) if boundaries and chance.maybe(0.8) else chance.pick(*_BOUNDARIES)
                lines.append(
                    b"--" + boundary + chance.pick(b"", b"", b"", b"--", b"--", b" ", b"x", b"-", b"\r", b"--x")
                )
                if depth < 4 and chance.maybe(0.8):
                    lines += self._content(depth + 1)
            elif kind < 0.45 and depth < 4:
                lines += self._content(depth + 1)
            else:
                lines.append(self._line())
        return lines

    def _line(self) -> bytes:
        chance = self._chance
        if chance.maybe(0.05):
            repeated: bytes = chance.pick(b"x", b".", b"\xe9", b"= ", b"a\xc3\xa4 ")
            count: int = chance.pick(
                *(24, 25, 26, 37, 38, 72, 73, 74, 75, 76, 77, 126, 127, 128, 129, 500, 997, 998, 999, 1000, 2048, 5000)
            )
            return repeated * count
        return b"".join(chance.pick(*_WORDS) for _ in range(self._random.randrange(4)))

    # Records

    def _records(self, lines: Sequence[bytes]) -> list[Any]:
        """Lines as records: split anywhere, with padding and pointers between them."""
        chance = self._chance
        records: list[Any] = []
        splits = chance.pick(0, 0, 0.1, 0.3)
        extras = chance.pick(0, 0, 0, 0.1)
        for line in lines:
            while chance.maybe(splits):
                at = self._random.randrange(len(line) + 1)
                records.append(("L", line[:at]))
                line = line[at:]
                records += self._extra(extras)
            records.append(("L", line) if chance.maybe(splits / 10) else line)
            records += self._extra(extras)
        if records and chance.maybe(0.05):
            records.append(("L", chance.pick(b"", b"end", b".")))
        return self._with_jumps(records) if extras else records

    def _extra(self, likely: float) -> list[tuple[str, bytes]]:
        if not self._chance.maybe(likely):
            return []
        return [self._chance.pick(("w", b""), ("w", b"      0"), ("p", b"%15d" % 0), ("p", b""), ("p", b"0\0x"))]

    def _with_jumps(self, records: list[Any]) -> list[Any]:
        """Put a stretch of records elsewhere, to be found by pointers."""
        if len(records) < 4:
            return records
        first, last = sorted(self._random.sample(range(1, len(records)), 2))
        head, moved, tail = records[:first], records[first:last], records[last:]
        jump = len(encode_record(b"p", b" " * 15))
        sizes = [sum(_size(record) for record in part) for part in (head, moved, tail)]
        # head, pointer to moved; tail, pointer to the end; moved, pointer to tail
        tail_at = sizes[0] + jump
        moved_at = tail_at + sizes[2] + jump
        return [*head, ("p", moved_at), *tail, ("p", moved_at + sizes[1] + jump), *moved, ("p", tail_at)]

    def _damage(self) -> bytes:
        damage: bytes = self._chance.pick(
            *(b"Zfoo", b"N\x7fabc", b"N\xff\xff\xff\xff\xff\x01", b"N\x85\x80\x80\x80\x80\x00abcde", b"p\x01x"),
            *(b"p\x021 ", b"p\x0f 99999999999999", b"p\x1a99999999999999999999999999", b"E\x00", b"M\x00", b"\x00\x00"),
            *(b"X\x00", b"N\x85\x80\x00abcde", b"L\x80\x80\x80\x80\x08", b"C\x01x", b"A\x03a=b", b"p\x02-1", b"w\x7f"),
        )
        return damage


def _size(record: Any) -> int:
    kind, data = ("N", record) if isinstance(record, bytes) else record
    return len(encode_record(kind.encode(), b" " * 15 if isinstance(data, int) else data))


def random_content(seed: int) -> Scenario:
    """The scenario of a seed."""
    return _Maker(seed).scenario()
