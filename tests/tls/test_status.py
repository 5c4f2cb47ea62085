"""``tls=`` in log lines, and REQUIRETLS against the TLS level (3.11; TLS chapter 7.3, 8.4)."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from postfix_smtp.errors import TableError
from postfix_smtp.smtp.context import RequireTls, StartTls
from postfix_smtp.tables.base import Table
from postfix_smtp.tls.levels import Level
from postfix_smtp.tls.requiretls import RequireTlsRules
from postfix_smtp.tls.status import describe, requiretls_failure


@dataclass
class Info:
    is_matched: bool = False
    is_trusted: bool = False
    must_match: bool = True


MATCHED, UNMATCHED, FALLEN = Info(True, True), Info(), Info(must_match=False)


@pytest.mark.parametrize(
    ("level", "start", "info", "begun", "text"),
    [
        (Level.NONE, StartTls.UNUSED, None, True, "none"),
        (Level.NONE, StartTls.UNUSED, None, False, "none?"),
        (Level.MAY, StartTls.ESTABLISHED, UNMATCHED, True, "may"),
        (Level.MAY, StartTls.NOT_OFFERED, None, True, "may:none"),
        (Level.MAY, StartTls.REFUSED, None, True, "may:none"),
        (Level.MAY, StartTls.UNAVAILABLE, None, True, "may:none"),
        (Level.MAY, StartTls.UNUSED, None, True, "may:none"),
        (Level.MAY, StartTls.FAILED, None, False, "may?"),
        (Level.ENCRYPT, StartTls.NOT_OFFERED, None, False, "!encrypt"),
        (Level.ENCRYPT, StartTls.UNAVAILABLE, None, False, "encrypt?"),
        (Level.SECURE, StartTls.ESTABLISHED, MATCHED, True, "secure"),
        (Level.SECURE, StartTls.ESTABLISHED, UNMATCHED, False, "!secure"),
        (Level.DANE, StartTls.ESTABLISHED, FALLEN, True, "dane:encrypt"),
    ],
)
def test_level(level: Level, start: StartTls, info: Any, begun: bool, text: str) -> None:
    assert describe(level, RequireTls.DISABLE, start, info, announced=False, begun=begun) == text


@pytest.mark.parametrize(
    ("requiretls", "start", "info", "announced", "text"),
    [
        (RequireTls.ENFORCE, StartTls.ESTABLISHED, MATCHED, True, "secure/requiretls"),
        (RequireTls.ENFORCE, StartTls.ESTABLISHED, MATCHED, False, "secure/!requiretls:none"),
        (RequireTls.ENFORCE, StartTls.ESTABLISHED, UNMATCHED, True, "!secure/!requiretls:nocertmatch"),
        (RequireTls.OPPORTUNISTIC, StartTls.ESTABLISHED, MATCHED, False, "secure/requiretls:none"),
        (RequireTls.ENFORCE, StartTls.FAILED, None, False, "secure?/requiretls?"),
    ],
)
def test_requiretls(requiretls: RequireTls, start: StartTls, info: Any, announced: bool, text: str) -> None:
    assert describe(Level.SECURE, requiretls, start, info, announced=announced, begun=True) == text


def test_enforcement_needs_a_level_that_matches(logged: list[str]) -> None:
    failure = requiretls_failure(Level.ENCRYPT, RequireTls.ENFORCE, "mx.example.com", "QID")
    assert failure is not None
    assert failure.dsn.status == "5.7.10"
    assert failure.soft_unless_final
    assert requiretls_failure(Level.DANE, RequireTls.ENFORCE, "mx.example.com", "QID") is None
    assert requiretls_failure(Level.MAY, RequireTls.OPPORTUNISTIC_STARTTLS, "mx.example.com", "QID") is None
    assert logged[0].startswith("QID: Sender requested REQUIRETLS, but my configured TLS security level 'may'")
    failure = requiretls_failure(Level.NONE, RequireTls.OPPORTUNISTIC_STARTTLS, "mx.example.com", "QID")
    assert failure is not None
    failure = requiretls_failure(Level.SECURE, None, "mx.example.com", "QID")
    assert failure is not None
    assert failure.dsn.status == "4.7.10"


class Fixed(Table):
    def __init__(self, entries: dict[str, str]) -> None:
        super().__init__("test:fixed")
        self.entries = entries

    def lookup(self, key: str) -> str | None:
        if key == "broken.example":
            raise TableError
        return self.entries.get(key)


RULES = RequireTlsRules(
    "smtp_requiretls_policy",
    [
        (
            "test:fixed",
            Fixed(
                {
                    ".example.com": "opportunistic",
                    "odd.example": "a:b",
                    "two.example": "enforce, disable",
                    "word.example": "maybe",
                    "Off.example": "disable",
                }
            ),
        ),
        "opportunistic+starttls",
    ],
)


@pytest.mark.parametrize(
    ("domain", "level", "warnings"),
    [
        ("mx.example.com", RequireTls.OPPORTUNISTIC, []),
        ("example.com", RequireTls.OPPORTUNISTIC_STARTTLS, []),
        (
            "odd.example",
            None,
            ['warning: table test:fixed: nested lookup result "a:b" is not allowed -- ignoring remainder of policy'],
        ),
        (
            "two.example",
            None,
            [
                'warning: table test:fixed: composite lookup result "enforce, disable" is not allowed '
                "-- ignoring remainder of policy"
            ],
        ),
        (
            "word.example",
            None,
            [
                "warning: smtp_requiretls_policy: test:fixed: unknown policy action: 'maybe' "
                "-- ignoring the remainder of this policy"
            ],
        ),
        (
            "broken.example",
            None,
            [
                "warning: smtp_requiretls_policy: test:fixed: table lookup error "
                "-- ignoring the remainder of this policy"
            ],
        ),
    ],
)
def test_requiretls_policy(domain: str, level: RequireTls | None, warnings: list[str], logged: list[str]) -> None:
    assert asyncio.run(RULES.find(domain)) == level
    assert logged == warnings


def test_without_a_rule_requiretls_is_enforced() -> None:
    assert asyncio.run(RequireTlsRules("smtp_requiretls_policy", []).find("example.com")) is RequireTls.ENFORCE
