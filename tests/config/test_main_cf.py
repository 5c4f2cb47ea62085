"""main.cf syntax, against what the real programs did."""

import os
from pathlib import Path
from typing import Any

import pytest
from config_support import RELEASES, Start, expected, octets, vectors

from postfix_smtp.config.main_cf import read

SYNTAX = vectors("main_cf_syntax")


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("vector", SYNTAX["vectors"], ids=lambda vector: vector["title"])
def test_main_cf_is_read_as_postfix_reads_it(vector: dict[str, Any], release: str, tmp_path: Path) -> None:
    expect = expected(vector, release)
    text = vector["main_cf"] if "main_cf" in vector else SYNTAX["prelude"] + vector["main_cf_tail"]
    if text == "(directory)":
        (tmp_path / "main.cf").mkdir()
        text = None
    start = Start(tmp_path, None if text is None else text.encode("latin-1"), release)
    if "log" in expect:
        assert start.log == expect["log"]
        assert start.failed == bool(expect["exit"])
    else:
        assert [line for line in start.log if "main.cf" in line] == expect["postconf_messages"]
        # postconf shows blanks collapsed
        assert " ".join(start.text("mail_name").split()) == expect["postconf_h_mail_name"]
    for name, value in expect.get("values", {}).items():
        assert start.text(name) == octets(value)


def test_a_file_being_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "main.cf"
    path.write_text("half")
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        path.write_text("whole")
        os.utime(path, (1, 1))

    assert read(str(path), sleep) == "whole"
    assert naps == [0.3]


def test_a_file_from_the_future_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "main.cf"
    path.write_text("later")
    os.utime(path, (2**32, 2**32))
    assert read(str(path), pytest.fail) == "later"


# Observed in Postfix 3.7.11
@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"\0x = 1", 'fatal: /CONF/main.cf, line 1: missing attribute name: ""'),
        (
            " a = éé{}}  <={${> udef }}?92233".encode(),
            'warning: /CONF/main.cf: logical line must not start with whitespace: " a = éé{}}  <={${> udef }}?9..."',
        ),
    ],
)
def test_odd_first_lines(line: bytes, text: str, tmp_path: Path) -> None:
    assert Start(tmp_path, line + b"\n").log[0] == text


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"a = 1\0\n", "1"),
        (b"a = 1\0", "1"),
        (b"a = 1\0\n#\n", "1-2"),
        (b"a = 1\0\n\n\nb = 2\n", "1-3"),
        (b"a = 1\n\n#\0\n b\nc = 1\n", "1-4"),
        (b"#\0\n\na = 1\nb = 2\n", "3"),
        (b"#\0\n", "1"),
    ],
)
def test_comments_around_a_logical_line_belong_to_it_as_to_null_bytes(text: bytes, lines: str, tmp_path: Path) -> None:
    start = Start(tmp_path, text, "3.10.13")
    assert [line for line in start.log if "null" in line] == [
        f"warning: /CONF/main.cf, line {lines}: text after null byte may be ignored"
    ]
