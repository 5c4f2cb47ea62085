import json
from pathlib import Path

import pytest

from postfix_smtp.config.ports import known_ports
from postfix_smtp.errors import FatalError, PanicError
from postfix_smtp.routing.destination import parse_destination, split_nexthop

KNOWN = known_ports("lmtp=24, smtp=25, smtps=submissions=465, submission=587")


def parse(text: str, *, utf8: bool = False):
    return parse_destination(text, "smtp", KNOWN, allow_utf8=utf8)


@pytest.mark.parametrize(
    ("text", "host", "port", "literal"),
    [
        ("dest.example", "dest.example", 25, False),
        ("dest.example:", "dest.example", 25, False),
        ("dest.example:submission", "dest.example", 587, False),
        ("dest.example:submissions", "dest.example", 465, False),
        ("[dest.example]", "dest.example", 25, True),
        ("[dest.example]:2525", "dest.example", 2525, True),
        ("[127.0.0.1]:", "127.0.0.1", 25, True),
        ("127.0.0.1", "127.0.0.1", 25, False),
        ("[ipv6:fd09::1]:26", "fd09::1", 26, True),
        ("[IPv6:fd09::1]", "fd09::1", 25, True),
        ("[fd09::1]", "fd09::1", 25, True),
        ("un_der.example", "un_der.example", 25, False),
    ],
)
def test_well_formed_destinations(text: str, host: str, port: int, literal: bool) -> None:
    destination = parse(text)
    assert (destination.host, destination.port, destination.literal) == (host, port, literal)
    assert destination.text == text


def fatal_texts() -> list[tuple[str, str, bool]]:
    path = Path(__file__).parents[1] / "vectors/delivery/nexthop.json"
    cases = []
    for scenario in json.loads(path.read_text())["scenarios"]:
        last = scenario["expected"]["requests"][-1]["log"][-1]
        if last.startswith("fatal: ") and scenario["mode"] == "smtp":
            utf8 = scenario.get("main_cf", {}).get("smtputf8_enable") == "yes"
            nexthop = scenario["requests"][-1]["nexthop"]
            if not nexthop:
                continue  # a fault of the request, not of a destination
            cases.append((nexthop, last.removeprefix("fatal: "), utf8))
    return cases


@pytest.mark.parametrize(("text", "fatal", "utf8"), fatal_texts())
def test_malformed_destinations_die_with_the_text_of_postfix(text: str, fatal: str, utf8: bool) -> None:
    with pytest.raises(FatalError) as caught:
        parse(split_nexthop(text)[-1], utf8=utf8)
    logged = "".join(char if char.isascii() else "?" * len(char.encode()) for char in str(caught.value))
    assert logged == fatal


def test_the_vectors_hold_every_kind_of_malformed_destination() -> None:
    assert len(fatal_texts()) >= 11


@pytest.mark.parametrize("nexthop", [", ", ""])
def test_a_nexthop_of_separators_only_is_a_panic(nexthop: str) -> None:
    with pytest.raises(PanicError, match=f'null destination: "{nexthop}"'):
        split_nexthop(nexthop)


def test_fallback_relays_follow_the_listed_destinations() -> None:
    assert split_nexthop("a.example, [b.example]:26", "c.example d.example") == [
        "a.example",
        "[b.example]:26",
        "c.example",
        "d.example",
    ]


def test_internationalised_names_are_valid_only_when_enabled() -> None:
    assert parse("d\u00f8mi.example", utf8=True).host == "d\u00f8mi.example"
    with pytest.raises(FatalError):
        parse("d\u00f8mi.example")


def test_empty_brackets_hold_no_host_name() -> None:
    with pytest.raises(FatalError, match=r"valid hostname or network address required in server description: \[\]"):
        parse("[]")
