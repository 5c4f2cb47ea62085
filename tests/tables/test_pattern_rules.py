"""What the vectors do not show of regexp and pcre tables."""

import locale
from pathlib import Path

import pytest

from postfix_smtp.tables.base import Table, TableFlags
from postfix_smtp.tables.opening import Opener, TableSettings


def table(spec: str) -> Table:
    opener = Opener(TableSettings(utf8=True, open_error_is_fatal=True, version=(3, 7, 11)))
    return opener.open(spec, TableFlags.LOCK)


@pytest.mark.parametrize("kind", ["regexp", "pcre"])
def test_patterns_match_octets_whatever_the_locale(kind: str) -> None:
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
        assert table(f"{kind}:{{{{/^.$/ one}}, {{/^..$/ two}}}}").lookup("é") == "two"
        assert table(f"{kind}:{{{{/^(.)/ <$1>}}}}").lookup("é") == "<\udcc3>"
        assert table(f"{kind}:{{{{/[[:alpha:]]/ letter}}}}").lookup("é") is None
    finally:
        locale.setlocale(locale.LC_CTYPE, before)


@pytest.mark.parametrize("kind", ["regexp", "pcre"])
def test_a_key_ends_at_a_nul(kind: str) -> None:
    assert table(f"{kind}:{{{{/^a$/ short}}}}").lookup("a\0b") == "short"


@pytest.mark.parametrize("kind", ["regexp", "pcre"])
def test_many_groups(kind: str) -> None:
    pattern = "(.)" * 40
    assert table(f"{kind}:{{{{/^{pattern}$/ $40$1-$39}}}}").lookup("a" + "x" * 37 + "yz") == "za-y"


@pytest.mark.parametrize("kind", ["regexp", "pcre"])
def test_an_unset_group_is_empty(kind: str) -> None:
    assert table(f"{kind}:{{{{/^(a)?b(c)?$/ <$1><$2>}}}}").lookup("bc") == "<><c>"


def test_a_rule_that_exceeds_the_engines_limit_does_not_apply(caplog: pytest.LogCaptureFixture) -> None:
    name = "{{/^(a+)+$/ boom}, {if /^(a+)+$/}, {/b/ inside}, {endif}, {/b$/ second}}"
    assert table(f"pcre:{name}").lookup("a" * 40 + "b") == "second"
    assert caplog.messages == [f"pcre map {name}, line {number}: match limit exceeded" for number in (1, 2)]


def test_a_condition_without_rules_at_the_end() -> None:
    assert table("regexp:{{if /a/}, {endif}, {/a/ x}}").lookup("a") == "x"
    assert table("regexp:{{if /b/}, {endif}, {/a/ x}}").lookup("a") == "x"


def test_long_subjects(tmp_path: Path) -> None:
    assert table("regexp:{{/x$/ end}}").lookup("a" * 100000 + "x") == "end"
    assert table("pcre:{{/x$/ end}}").lookup("a" * 100000 + "x") == "end"
