"""smtp_generic_maps (message chapter 6.2)."""

import asyncio
from typing import Any

import pytest
from message_support import FakeDomains, FakeMaps, FakeParameters, fake_rewrite

from postfix_smtp.errors import FatalError, TableError
from postfix_smtp.message.generic import GenericMapper, GenericSettings

PLUS = {"delimiters": "+"}


def mapper(rules: str, *, local: bool = True, rewrite: Any = fake_rewrite, **settings: Any) -> GenericMapper:
    return GenericMapper(
        GenericSettings("origin.example", **settings),
        FakeMaps("smtp_generic_maps", rules, local),  # type: ignore[arg-type]
        FakeDomains(),
        rewrite,
    )


def mapped(rules: str, address: str, **settings: Any) -> str:
    return asyncio.run(mapper(rules, **settings).map_internal(address))


def lookups(address: str, rules: str = "inline:{{nothing = x}}", **settings: Any) -> list[str]:
    found = mapper(rules, **settings)
    asyncio.run(found.find(address))
    return found._maps.lookups  # type: ignore[attr-defined,no-any-return]


def test_settings_are_read_from_the_parameters() -> None:
    values = {"recipient_delimiter": "+-", "propagate_unmatched_extensions": "canonical,generic"}
    assert GenericSettings.from_parameters(FakeParameters(values)) == GenericSettings(
        "origin.example", "+-", frozenset({"postmaster", "mailer-daemon", "double-bounce"}), True, True
    )


@pytest.mark.parametrize("value", ["foo", "canonical, Generic"])
def test_unknown_kinds_of_table_are_fatal(value: str) -> None:
    with pytest.raises(FatalError, match=r'unknown propagate_unmatched_extensions value "(foo|Generic)" in'):
        GenericSettings.from_parameters(FakeParameters({"propagate_unmatched_extensions": value}))


def test_keys_are_tried_from_the_whole_address_to_the_domain() -> None:
    assert lookups("u+e@Local.Example", **PLUS) == [
        "u+e@Local.Example", "u@Local.Example", "u+e", "u", "@Local.Example",
    ]  # fmt: skip
    assert lookups("u+e@other.example", **PLUS) == ["u+e@other.example", "u@other.example", "@other.example"]
    assert lookups("u@origin.example") == ["u@origin.example", "u", "@origin.example"]
    assert lookups("u@[127.0.0.1].") == ["u@[127.0.0.1].", "u", "@[127.0.0.1]."]
    assert lookups("u+e", **PLUS) == ["u+e", "u"]


def test_keys_are_quoted_where_needed() -> None:
    assert lookups("q t+e@local.example", **PLUS) == [
        '"q t+e"@local.example', '"q t"@local.example', '"q t+e"', '"q t"', "@local.example",
    ]  # fmt: skip
    assert lookups("a@b@local.example") == ['"a@b"@local.example', '"a@b"', "@local.example"]


def test_patterns_see_the_whole_address_only() -> None:
    rules = "regexp:{{/^u@/ bad@x}, {/^@/ bad@x}}"
    assert mapped(rules, "u+e@local.example", **PLUS) == "u+e@local.example"


@pytest.mark.parametrize(
    "local", ["postmaster", "Mailer-Daemon", "double-bounce", "owner-a", "OWNER-a", "a-request", "-a", "a"]
)
def test_some_local_parts_are_not_split(local: str) -> None:
    assert len(lookups(f"{local}@x.example", delimiters="-")) == 2


@pytest.mark.parametrize(("local", "base"), [("a-b", "a"), ("a-", "a"), ("-request", None), ("a-b-c", "a")])
def test_others_are_split_at_the_first_delimiter(local: str, base: str | None) -> None:
    expected = [f"{local}@x.example", *([f"{base}@x.example"] if base else []), "@x.example"]
    assert lookups(f"{local}@x.example", delimiters="-+") == expected


def test_owner_addresses_are_split_when_they_are_nothing_special() -> None:
    assert len(lookups("owner-a@x.example", delimiters="-", owner_special=False)) == 3


@pytest.mark.parametrize(
    ("value", "propagate", "expected"),
    [
        ("new@out.example", False, "new@out.example"),
        ("new@out.example", True, "new+e@out.example"),
        ("@out.example", False, "k@out.example"),
        ("@out.example", True, "k+e@out.example"),
        ("bare", True, "bare+e@origin.example"),
        ("Joe <j@out.example>", False, "j@out.example"),
        ("<>", False, ""),
    ],
)
def test_results(value: str, propagate: bool, expected: str) -> None:
    rules = "inline:{{k@x.example = " + value + "}}"
    assert mapped(rules, "k+e@x.example", delimiters="+", propagate=propagate) == expected


def test_an_extension_that_took_part_in_the_match_is_not_added() -> None:
    rules = "inline:{{k+e@x.example = @out.example}, {@y.example = new@out.example}}"
    assert mapped(rules, "k+e@x.example", delimiters="+", propagate=True) == "k+e@out.example"
    assert mapped(rules, "k+e@y.example", delimiters="+", propagate=True) == "new@out.example"


def test_the_empty_address_of_a_header_can_be_mapped() -> None:
    assert asyncio.run(mapper('inline:{{"" = new@out.example}}').find("")) == "new@out.example"
    assert asyncio.run(mapper("inline:{{@x = new@out.example}}").find("")) is None


def test_an_empty_local_part_stays_empty() -> None:
    assert mapped("inline:{{@x.example = @out.example}}", "@x.example") == "@out.example"
    assert mapped("inline:{{bare = @out.example}}", "bare") == "bare@out.example"


def test_a_result_is_not_looked_up_again() -> None:
    rules = "inline:{{a@x.example = b@x.example}, {b@x.example = c@x.example}}"
    assert mapped(rules, "a@x.example") == "b@x.example"


def test_the_rewriting_service_gets_and_gives_quoted_forms() -> None:
    asked = []

    async def rewrite(address: str) -> str:
        asked.append(address)
        return '"r w"@y.example'

    assert mapped('inline:{{a@x.example = "q t"@out.example}}', "a@x.example", rewrite=rewrite) == "r w@y.example"
    assert asked == ['"q t"@out.example']


def test_an_at_sign_in_quotes_starts_no_domain() -> None:
    asked = []

    async def rewrite(address: str) -> str:
        asked.append(address)
        return f"{address}@origin.example"

    for result in ('"a@b"', "a\\@b"):
        assert mapped(f"inline:{{{{a@x.example = {result}}}}}", "a@x.example", rewrite=rewrite) == "a@b@origin.example"
    assert asked == ['"a@b"'] * 2


def test_the_empty_address_stays() -> None:
    assert mapped("inline:{{@x.example = y@z}}", "") == ""


def test_only_the_first_of_several_results_counts(caplog: pytest.LogCaptureFixture) -> None:
    assert mapped("inline:{{a@x.example = b@x.example c@x.example}}", "a@x.example") == "b@x.example"
    assert caplog.messages == ["multi-valued smtp_generic_maps result for a@x.example"]


def test_a_result_without_address_is_fatal(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(FatalError, match=r"^smtp_generic_maps map lookup problem for a@x\.example$"):
        mapped("inline:{{a@x.example = (comment)}}", "a@x.example")
    assert caplog.messages == ['smtp_generic_maps lookup of a@x.example returns non-address result "(comment)"']


@pytest.mark.parametrize("local", [True, False])
def test_a_table_that_fails_is_fatal(local: bool) -> None:
    with pytest.raises(FatalError, match=r"^smtp_generic_maps map lookup problem for a@x\.example$"):
        mapped("fail:nope", "a@x.example", local=local)


def test_local_domains_may_be_waited_for() -> None:
    class Slow:
        async def is_local(self, domain: str) -> bool:
            await asyncio.sleep(0)
            return domain == "slow.example"

    maps = FakeMaps("smtp_generic_maps", "inline:{{u = v@x}}")
    slow = GenericMapper(GenericSettings("o"), maps, Slow(), fake_rewrite)  # type: ignore[arg-type]
    assert asyncio.run(slow.map_internal("u@slow.example")) == "v@x"
    assert asyncio.run(slow.map_internal("u@other.example")) == "u@other.example"


def test_failing_local_domains_are_fatal() -> None:
    class Failing:
        def is_local(self, domain: str) -> bool:
            raise TableError

    maps = FakeMaps("lmtp_generic_maps", "inline:{{nothing = x}}")
    failing = GenericMapper(GenericSettings("o"), maps, Failing(), fake_rewrite)  # type: ignore[arg-type]
    with pytest.raises(FatalError, match=r"^lmtp_generic_maps map lookup problem for a@x$"):
        asyncio.run(failing.map_internal("a@x"))
