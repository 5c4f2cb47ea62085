"""What the message tests share: parameters, tables and requests from values, and the captured vectors."""

import asyncio
import base64
import json
import logging
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from postfix_smtp import log
from postfix_smtp.errors import TableError
from postfix_smtp.ipc.request import (
    DeliveryRequest,
    MessageTimes,
    Notify,
    Recipient,
    RequestFlags,
    Ret,
    SendOptions,
    Submission,
)
from postfix_smtp.message.checks import Checks
from postfix_smtp.message.content import Content
from postfix_smtp.message.generic import GenericMapper, GenericSettings
from postfix_smtp.message.settings import MessageSettings
from postfix_smtp.text import to_text

VECTORS = Path(__file__).parent.parent / "vectors" / "message"
VERSIONS = ("3.7.11", "3.10.13", "3.11.6")

_DEFAULTS: dict[str, Any] = {
    "smtp_line_length_limit": 998,
    "header_size_limit": 102400,
    "mime_boundary_length_limit": 2048,
    "mime_nesting_limit": 100,
    "disable_mime_output_conversion": "no",
    "hash_queue_names": "deferred, defer",
    "hash_queue_depth": 1,
    "myorigin": "origin.example",
    "recipient_delimiter": "",
    "double_bounce_sender": "double-bounce",
    "owner_request_special": "yes",
    "propagate_unmatched_extensions": "canonical, virtual",
}


@dataclass
class FakeParameters:
    """The parameters these rooms read, from values."""

    values: dict[str, Any] = field(default_factory=dict)
    program: str = "smtp"
    service: str = "smtp"
    version: tuple[int, ...] = (3, 7, 11)

    def text(self, name: str) -> str:
        own = self.spelling(name)
        return str(self.values[own] if own in self.values else _DEFAULTS.get(name, ""))

    def number(self, name: str) -> int:
        return int(self.text(name))

    def seconds(self, name: str) -> int:
        return int(self.text(name))

    def flag(self, name: str) -> bool:
        return self.text(name) == "yes"

    def spelling(self, name: str) -> str:
        return name.replace("smtp_", "lmtp_", 1) if self.program == "lmtp" and name.startswith("smtp_") else name


class FakeMaps:
    """Look-up tables from rules: inline (exact, folded), regexp, fail."""

    def __init__(self, title: str, text: str, local: bool = True) -> None:
        self.title = title
        self.local = local
        self.lookups: list[str] = []
        self._text = text
        self._tables: list[tuple[str, list[tuple[str, str]]]] = []
        for kind, rules in re.findall(r"(inline|regexp|fail):(\{.*?\}\}|\S+)", text.replace("$$", "$")):
            if kind == "inline":
                pairs = re.findall(r"\{((?:[^{}=]|\{[^}]*\})*?)\s*=\s*([^{}]*)\}", rules[1:-1])
            else:
                pairs = re.findall(r"\{/((?:[^/\\]|\\.)*)/\s*((?:[^{}])*)\}", rules[1:-1])
            self._tables.append((kind, [(key, value.strip()) for key, value in pairs]))

    def __bool__(self) -> bool:
        return True

    def find(self, key: str, *, partial: bool = False) -> tuple[str, object] | None:
        self.lookups.append(key)
        if not key.isascii() and re.search("[\ud800-\udfff]", key) and "generic" in self.title:
            log.warning(f'{self._text.replace("$$", "$")}: non-UTF-8 key "{key}": malformed UTF-8 or invalid codepoint')
            return None
        for kind, rules in self._tables:
            if kind == "fail":
                log.warning(f'{self._text} lookup error for "{key}"')
                raise TableError
            if kind == "inline":
                for rule, value in rules:
                    if rule.strip().lower() == key.lower():
                        return value, self
            elif not partial:
                for rule, value in rules:
                    pattern = rule.replace("[[:space:]]", r"\s")
                    if match := re.search(pattern, key, re.IGNORECASE | re.DOTALL):
                        return match.expand(value.replace("$", "\\")), self
        return None

    async def alookup(self, key: str, *, partial: bool = False) -> tuple[str, object] | None:
        await asyncio.sleep(0)
        return self.find(key, partial=partial)


class FakeDomains:
    """The local domains of the captures."""

    def is_local(self, domain: str) -> bool:
        return domain.lower() in ("local.example", "[127.0.0.1]")


async def fake_rewrite(address: str) -> str:
    """trivial-rewrite(8), as far as the captures need it."""
    await asyncio.sleep(0)
    if address == "i!j%k":
        return "j%k@i"
    return address if "@" in address else f"{address}@origin.example"


#: Which tables: fakes on the event loop, fakes that are waited for, or the program's own.
LOCAL, REMOTE, REAL = "local", "remote", "real"


def maps(parameters: FakeParameters, name: str, mode: str = LOCAL) -> Any:
    text = parameters.text(name)
    title = parameters.spelling(name)
    if not text:
        return None
    if mode != REAL:
        return FakeMaps(title, text, mode == LOCAL)
    from postfix_smtp.tables.base import TableFlags
    from postfix_smtp.tables.opening import Opener, TableSettings

    flags = TableFlags.LOCK
    if name == "smtp_generic_maps":
        flags |= TableFlags.FOLD_FIX | TableFlags.UTF8_REQUEST
    opener = Opener(TableSettings(utf8=True, open_error_is_fatal=True, version=parameters.version))
    return opener.open_maps(title, text.replace("$$", "$"), flags)


def checks(parameters: FakeParameters, mode: str = LOCAL) -> Checks | None:
    found = Checks(
        maps(parameters, "smtp_header_checks", mode),
        maps(parameters, "smtp_mime_header_checks", mode),
        maps(parameters, "smtp_nested_header_checks", mode),
        maps(parameters, "smtp_body_checks", mode),
    )
    return found if found else None


def generic(parameters: FakeParameters, mode: str = LOCAL) -> GenericMapper | None:
    tables = maps(parameters, "smtp_generic_maps", mode)
    if not tables:
        return None
    return GenericMapper(GenericSettings.from_parameters(parameters), tables, FakeDomains(), fake_rewrite)


def request(
    queue_id: str,
    offset: int,
    size: int,
    *,
    encoding: str = "",
    sender: str = "sender@origin.example",
    recipients: tuple[Recipient, ...] = (Recipient("", "rcpt@dest.example", -1),),
) -> DeliveryRequest:
    return DeliveryRequest(
        flags=RequestFlags.MARK_DONE,
        queue_name="active",
        queue_id=queue_id,
        data_offset=offset,
        size=size,
        nexthop="dest.example",
        encoding=encoding,
        options=SendOptions(0),
        sender=sender,
        envelope_id="",
        ret=Ret(0),
        times=MessageTimes(),
        submission=Submission(),
        recipients=recipients,
    )


class LogLines(logging.Handler):
    """The lines logged, with their labels."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        label = {logging.WARNING: "warning: ", logging.CRITICAL: "fatal: "}.get(record.levelno, "")
        self.lines.append(label + record.getMessage())

    def __enter__(self) -> "LogLines":
        log.logger.addHandler(self)
        self._level = log.logger.level
        log.logger.setLevel(logging.INFO)
        return self

    def __exit__(self, *_: object) -> None:
        log.logger.removeHandler(self)
        log.logger.setLevel(self._level)


async def read(content: Content, converting: bool) -> bytes:
    return b"".join([chunk async for chunk in content.chunks(converting)])


@dataclass
class Vector:
    """One capture, with the expectations of one version."""

    name: str
    version: str
    data: dict[str, Any]
    expect: dict[str, Any]

    @property
    def parameters(self) -> FakeParameters:
        version = tuple(int(number) for number in self.version.split("."))
        return FakeParameters(self.data["config"], self.data["program"], "SERVICE", version)

    @property
    def offers_8bitmime(self) -> bool:
        discarded = self.data["config"].get("smtp_discard_ehlo_keywords", "").lower()
        return any(
            keyword in ("8BITMIME", "SMTPUTF8") for keyword in self.data["ehlo"] if keyword.lower() not in discarded
        )

    @property
    def request(self) -> DeliveryRequest:
        data = self.data["request"]
        return request(
            "QUEUEID",
            data["offset"],
            data["size"],
            encoding=data["encoding"],
            sender=to_text(base64.b64decode(data["sender_b64"])),
            recipients=tuple(
                Recipient(
                    to_text(base64.b64decode(recipient["original_b64"])),
                    to_text(base64.b64decode(recipient["address_b64"])),
                    recipient["offset"],
                    recipient["dsn_orcpt"],
                    Notify(recipient["dsn_notify"]),
                )
                for recipient in data["recipients"]
            ),
        )

    @property
    def settings(self) -> MessageSettings:
        return MessageSettings.from_parameters(self.parameters)

    def write(self, directory: Path) -> None:
        (directory / "active").mkdir(exist_ok=True)
        path = directory / "active" / "QUEUEID"
        path.write_bytes(base64.b64decode(self.data["queue_file_b64"]))
        path.chmod(int(self.data.get("file_mode", "0700"), 8))


def vectors(*groups: str) -> list[Vector]:
    """All vectors of some groups, for each version that differs."""
    found = []
    for group in groups:
        for data in json.loads((VECTORS / f"{group}.json").read_text())["vectors"]:
            for version in VERSIONS:
                if version == VERSIONS[0] or version in data.get("expect_in", {}):
                    expect = {**data["expect"], **data.get("expect_in", {}).get(version, {})}
                    found.append(Vector(data["name"], version, data, expect))
    return found
