"""The captured deliveries of Postfix 3.7.11 (and 3.10.3 for SRV) through the whole program, against emulated daemons.

Each group of scenarios is played once, in a private network, by :mod:`compat.delivery_vectors`.
"""

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from compat import namespace

VECTORS = Path(__file__).parents[1] / "vectors/delivery"
GROUPS = (
    "nexthop", "lmtp", "dns", "order", "loop", "fallback", "connect", "handshake", "transaction", "io", "report",
    "probe", "notice", "cache", "srv",
)  # fmt: skip
#: The system's resolver asks the same question again before it changes over to TCP.
OTHER_QUESTIONS = frozenset({"record-limit"})
NOT_COMPARED = ("nrequest", "queue_id", "queue_name", "offset", "offset#2", "size")


def scenarios(group: str) -> list[dict[str, Any]]:
    return list(json.loads((VECTORS / f"{group}.json").read_text())["scenarios"])


@functools.cache
def played(group: str) -> dict[str, Any]:
    version = "3.10.3" if group == "srv" else "3.7.11"
    return dict(json.loads(namespace.run("compat.delivery_vectors", [group, version])))


def cases() -> list[Any]:
    return [
        pytest.param(group, scenario, id=f"{group}-{scenario['name']}")
        for group in GROUPS
        for scenario in scenarios(group)
    ]


def services(calls: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Calls as the vectors show them. Connections are kept in the process here, not in scache(8)."""
    return [
        {name: str(value) for name, value in call.items() if str(value) and name not in NOT_COMPARED}
        for call in calls
        if call["service"] != "scache"
    ]


@pytest.mark.parametrize(("group", "scenario"), cases())
def test_like_postfix(group: str, scenario: dict[str, Any]) -> None:
    result = played(group)[scenario["name"]]
    assert "error" not in result, result
    expected = scenario["expected"]
    for ours, wanted in zip(result["requests"], expected["requests"], strict=True):
        assert ours["log"] == wanted["log"]
        assert ours["recipients"] == wanted["recipients"]
        assert services(ours["services"]) == services(wanted["services"])
        assert ours["marked_done"] == wanted["marked_done"]
        assert ours["reply"] == wanted["reply"]
        assert ours.get("queue_file_mode") == wanted.get("queue_file_mode")
    assert result["commands"] == expected["commands"]
    if scenario["name"] not in OTHER_QUESTIONS:
        assert result["dns_queries"] == expected["dns_queries"]
    assert result["notices"] == expected.get("notices", [])
