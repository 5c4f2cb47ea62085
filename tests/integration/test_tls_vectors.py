"""The captured TLS scenarios through the whole program, in a private network (TLS chapter 12.2).

The other combinations of group and series are played by hand: ``python -m compat.tls_vectors GROUP SERIES``.
"""

import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from compat import namespace

VECTORS = Path(__file__).parents[1] / "vectors/tls"
PLAYED = {
    "3.7": ("handshake", "dane", "failure", "policy", "session", "retry"),
    "3.10": ("session", "tlsrpt"),
    "3.11": ("failure", "policy", "tlsrpt"),
}
#: Records come in any order.
UNORDERED = ("dane-17", "tlsrpt-2")
#: What tlsproxy(8) logs in Postfix when connections are reused; this program does its work itself.
OF_TLSPROXY = re.compile("certificate verification failed|SSL_connect error|TLS library problem")


def scenarios(group: str) -> list[dict[str, Any]]:
    return list(json.loads((VECTORS / f"scenarios-{group}.json").read_text())["cases"])


@functools.cache
def played(group: str, series: str) -> dict[str, Any]:
    return dict(json.loads(namespace.run("compat.tls_vectors", [group, series])))


def cases() -> list[Any]:
    return [
        pytest.param(group, series, case, expect, id=f"{case['id']}-{series}")
        for series, groups in PLAYED.items()
        for group in groups
        for case in scenarios(group)
        for expect in case["expect"]
        if series in expect["versions"]
    ]


def masked(lines: list[str]) -> list[str]:
    """The digest of a session's name depends on the TLS library, as does its text for an alert."""
    lines = [re.sub(r"(session t\d+&.*?&)[0-9A-F]{64}", r"\1DIGEST", line) for line in lines]
    return [re.sub(r"(routines::)\S+ alert ", r"\1alert ", line) for line in lines]


def first_time(lines: list[str]) -> list[str]:
    """Without the lines of further attempts that end as the first one did."""
    half = len(lines) // 2
    return lines[:half] if lines[:half] == lines[half:] else lines


def reordered(datagram: str | None) -> Any:
    if datagram is None:
        return None
    return re.sub(r'"policy-string":\[(.*?)\]', lambda match: str(sorted(match[1].split(","))), datagram)


@pytest.mark.parametrize(("group", "series", "case", "expect"), cases())
def test_like_postfix(group: str, series: str, case: dict[str, Any], expect: dict[str, Any]) -> None:
    result = played(group, series)[case["id"]]
    assert "error" not in result, result["error"]
    if case["id"] in UNORDERED:
        assert sorted(masked(result["log"])) == sorted(masked(expect["log"]))
        assert reordered(result["datagram"]) == reordered(expect.get("datagram"))
    else:
        lines = first_time(masked(result["log"]))
        if "smtp_tls_connection_reuse" in case["config"]:
            lines = [line for line in lines if not OF_TLSPROXY.search(line)]
        assert lines == masked(expect["log"])
        assert result["datagram"] == expect.get("datagram")
