"""$name expansion, against what the real programs did."""

from pathlib import Path
from typing import Any

import pytest
from config_support import RELEASES, Start, expected, vectors

from postfix_smtp.config.expand import compatibility_level, expand
from postfix_smtp.errors import FatalError

EXPANSION = vectors("expansion")


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("vector", EXPANSION["vectors"], ids=lambda vector: vector["value"])
def test_references_are_expanded(vector: dict[str, Any], release: str, tmp_path: Path) -> None:
    expect = expected(vector, release)
    tail = f"empty_a =\nself_loop = $self_loop\nsmtp_sasl_path = {vector['value']}\n"
    start = Start(tmp_path, (EXPANSION["prelude"] + tail).encode(), release)
    assert start.log == expect["daemon_log"]
    assert start.failed == bool(expect["daemon_exit"])
    if not start.failed:
        assert start.text("smtp_sasl_path") == expect["daemon_value"]


# What Postfix 3.7.11 warns of when there is more than one error.
@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("${a-b}z$", ['attribute name syntax error at: "...a>>>-b"', 'empty macro name: "${a-b}z$"']),
        ("${ a{b}}", ['attribute name syntax error at: "... a>>>{b}"']),
        ("${a-b}${c-d}$", ['attribute name syntax error at: "...a>>>-b"']),
        ("${a-b}$c${", ['attribute name syntax error at: "...a>>>-b"', 'truncated macro reference: "${a-b}$c${"']),
        ("${{$} == {$} x}", ['empty macro name: "$"'] * 2),
        ("${{1} <level {$}}", ['empty macro name: "$"', 'malformed compatibility level syntax: ""']),
        ("${foo?{$}:{b}x}", ['empty macro name: "$"', 'unexpected input at: "...b}>>>x"']),
        (
            "$loop$",
            [
                'unreasonable macro call nesting: "x"',
                'unreasonable macro call nesting: "loop"',
                'empty macro name: "$loop$"',
            ],
        ),
        ("$tail", ['unreasonable macro call nesting: "tail"']),
        ("$after", ['unreasonable macro call nesting: "z"', 'unreasonable macro call nesting: "after"']),
        (
            "${a-b}" + "$c " * 50 + "$d",
            [
                'attribute name syntax error at: "...a>>>-b"',
                'unreasonable macro call nesting: "d"',
            ],
        ),
        ("${foo?$}" + "$c " * 50 + "$d", ['empty macro name: "$"']),
    ],
)
def test_several_errors_are_told_as_far_as_postfix_looks(
    text: str, warnings: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(FatalError, match="dictionary mail_dict: macro processing error"):
        expand(text, {"foo": "Foo", "loop": "x$loop", "tail": "$tail x", "after": "${no:z}$after"}.get)
    assert caplog.messages == warnings


@pytest.mark.parametrize(("levels", "works"), [(100, True), (101, False)])
def test_a_hundred_levels_of_reference_are_enough(levels: int, works: bool) -> None:
    names = {f"v{number}": f"$v{number + 1}" for number in range(1, levels)} | {f"v{levels}": "end"}
    if works:
        assert expand("$v1", names.get) == "end"
    else:
        with pytest.raises(FatalError):
            expand("$v1", names.get)


def test_functions_need_a_domain_name(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(FatalError):
        expand("${domain_to_utf8{xn--a-.example}}", {}.get, functions=True)
    assert caplog.messages == ["bad domain argument in: 'domain_to_utf8{xn--a-.example}'"]


@pytest.mark.parametrize(
    ("left", "right"),
    [("3", "3.0.0"), (" 3.6", "3.6"), ("+3. 6", "3.6"), ("3.-0", "3"), ("8796093022207", "8796093022207")],
)
def test_levels_are_read_as_numbers(left: str, right: str) -> None:
    assert expand("${{%s} ==level {%s}?same}" % (left, right), {}.get) == "same"  # noqa: UP031


@pytest.mark.parametrize("level", ["", "3.", "3.6.1.1", "3.1024", "-1", "3.6 ", "8796093022208", "x"])
def test_other_levels_are_malformed(level: str) -> None:
    with pytest.raises(ValueError, match="malformed compatibility level syntax"):
        compatibility_level(level)
