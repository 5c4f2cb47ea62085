"""Header and body checks (message chapter 5); the captures have more."""

import asyncio
from collections.abc import Generator
from typing import Any

import pytest
from message_support import FakeMaps, LogLines

from postfix_smtp.message.checks import Checker, Checks
from postfix_smtp.message.lines import LineOutput
from postfix_smtp.message.mime import Section
from postfix_smtp.smtp.failure import LocalDataError


def run(steps: Generator[Any, Any, bytes | None]) -> bytes | None:
    """Play the pipeline's driver."""
    argument: Any = None
    error: Exception | None = None
    while True:
        try:
            question = steps.throw(error) if error else steps.send(argument)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            argument, error = asyncio.run(question), None
        except Exception as problem:
            error = problem


def checked(
    action: str, text: bytes = b"Subject: x", *, where: str = "header", local: bool = True, length: int = 200
) -> tuple[bytes | None, bytes, list[str]]:
    """What becomes of a line, what is prepended, and the log."""
    lines = LineOutput(998, lambda: None)
    tables: Any = FakeMaps(f"smtp_{where}_checks", "regexp:{{/^/ " + action + "}}", local)
    checker = Checker("QID", lines, length)
    with LogLines() as logged:
        result = run(getattr(checker, where)(tables, text))
    return result, lines.take(), logged.lines


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize(
    ("action", "result", "prepended", "logged"),
    [
        ("DUNNO", b"Subject: x", b"", []),
        ("ok text", b"Subject: x", b"", []),
        ("IGNORE text", None, b"", []),
        ("STRIP", None, b"", ["QID: strip: header Subject: x"]),
        ("strip why", None, b"", ["QID: strip: header Subject: x: why"]),
        ("INFO why", b"Subject: x", b"", ["QID: info: header Subject: x: why"]),
        ("WARN", b"Subject: x", b"", ["QID: warning: header Subject: x"]),
        ("REPLACE   A:  b", b"A:  b", b"", ["QID: replace: header Subject: x: A:  b"]),
        ("PREPEND A: b", b"Subject: x", b"A: b\r\n", ["QID: prepend: header Subject: x: A: b"]),
        ("REPLACE", b"Subject: x", b"", ["warning: REPLACE action without text in smtp_header_checks map"]),
        (
            "prepend no header",
            b"Subject: x",
            b"",
            [
                'warning: bad PREPEND header text "no header" in smtp_header_checks map '
                '-- need "headername: headervalue"'
            ],
        ),
        ("REJECT go", b"Subject: x", b"", ["warning: unsupported command in smtp_header_checks map: REJECT go"]),
    ],
)
def test_header_actions(local: bool, action: str, result: bytes | None, prepended: bytes, logged: list[str]) -> None:
    assert checked(action, local=local) == (result, prepended, logged)


def test_body_text_need_not_look_like_a_header() -> None:
    assert checked("REPLACE any text", b"line", where="body")[0] == b"any text"
    assert checked("PREPEND any text", b"line", where="body")[1] == b"any text\r\n"


def test_the_line_is_cut_in_the_log() -> None:
    assert checked("WARN why", "ä".encode() * 40, where="body", length=5)[2] == ["QID: warning: body ää\udcc3: why"]


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("where", ["header", "body"])
def test_a_table_that_fails_is_a_local_data_error(where: str, local: bool) -> None:
    checker = Checker("QID", LineOutput(998, lambda: None), 60)
    tables: Any = FakeMaps("smtp_header_checks", "fail:nope", local)
    with LogLines() as logged, pytest.raises(LocalDataError):
        run(getattr(checker, where)(tables, b"A: b"))
    assert logged.lines == [
        'warning: fail:nope lookup error for "A: b"',
        f"warning: QID: smtp {where} checks lookup error",
    ]


def test_each_header_has_its_table() -> None:
    header, mime, nested = (FakeMaps(name, "") for name in ("header", "mime", "nested"))
    checks = Checks(header, mime, nested)  # type: ignore[arg-type]
    for section, name, generated, expected in (
        (Section.PRIMARY, b"subject", False, header),
        (Section.PRIMARY, b"content-type", False, mime),
        (Section.PRIMARY, b"mime-version", False, mime),
        (Section.PRIMARY, b"content-transfer-encoding", True, header),
        (Section.PART, b"subject", False, mime),
        (Section.PART, b"content-transfer-encoding", True, mime),
        (Section.NESTED, b"subject", False, nested),
        (Section.NESTED, b"content-id", False, mime),
        (Section.NESTED, b"content-transfer-encoding", True, nested),
    ):
        assert checks.for_header(section, name, generated) is expected


def test_no_tables_are_no_checks() -> None:
    assert not Checks()
    assert Checks(body=FakeMaps("smtp_body_checks", ""))  # type: ignore[arg-type]
