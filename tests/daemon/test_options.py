"""The command line: process chapter 2.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postfix_smtp.daemon.options import options, positive
from postfix_smtp.errors import FatalError


def parse(*arguments: str) -> tuple[list[tuple[str, str]], list[str]]:
    words: list[str] = []
    return list(options(arguments, words)), words


def test_what_master_passes() -> None:
    found, words = parse("-n", "tr", "-t", "unix", "-u", "-c", "-v", "-o", "syslog_name=pfx/$service_name", "flags=DO")
    assert found == [
        ("n", "tr"),
        ("t", "unix"),
        ("u", ""),
        ("c", ""),
        ("v", ""),
        ("o", "syslog_name=pfx/$service_name"),
    ]
    assert words == ["flags=DO"]


def test_options_may_be_clustered_and_values_attached() -> None:
    assert parse("-uvvtunix", "-l") == ([("u", ""), ("v", ""), ("v", ""), ("t", "unix"), ("l", "")], [])


def test_parsing_ends_at_the_first_word() -> None:
    assert parse("-u", "flags=D", "-v") == ([("u", "")], ["flags=D", "-v"])
    assert parse("-u", "--", "-v") == ([("u", "")], ["-v"])
    assert parse("-u", "-", "-v") == ([("u", "")], ["-", "-v"])


@pytest.mark.parametrize(("arguments", "letter"), [(["-x"], "x"), (["-ux"], "x"), (["-t"], "t"), (["-ut"], "t")])
def test_unknown_option_or_missing_value(arguments: list[str], letter: str) -> None:
    with pytest.raises(FatalError, match=f"^invalid option: {letter}$"):
        parse(*arguments)


def test_options_before_an_error_take_effect() -> None:
    found = options(["-v", "-V", "-x"], [])
    assert [next(found), next(found)] == [("v", ""), ("V", "")]
    with pytest.raises(FatalError):
        next(found)


@given(st.lists(st.text(max_size=5), max_size=6))
def test_every_command_line_is_parsed_or_refused(arguments: list[str]) -> None:
    words: list[str] = []
    try:
        found = list(options(arguments, words))
    except FatalError:
        return
    assert all(len(letter) == 1 for letter, _ in found)
    assert words == arguments[len(arguments) - len(words) :]


@pytest.mark.parametrize("value", ["0", "-1", "", "x", "x1", "١", "2147483648", "4294967296", "9" * 20])
def test_number_must_be_positive(value: str) -> None:
    with pytest.raises(FatalError, match=r"^invalid socket_count: "):
        positive(value, "socket_count")


@pytest.mark.parametrize(("value", "number"), [("12", 12), (" +1", 1), ("5s", 5), ("4294967297", 1)])
def test_positive_number(value: str, number: int) -> None:
    assert positive(value, "socket_count") == number


def test_an_unknown_option_is_one_octet() -> None:
    with pytest.raises(FatalError) as failure:
        list(options(["-é"], []))
    assert str(failure.value) == "invalid option: \udcc3"
