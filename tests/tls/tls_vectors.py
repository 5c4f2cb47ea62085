"""Access to the vectors of this room."""

import json
import pathlib
from typing import Any

import pytest

FOLDER = pathlib.Path(__file__).parent.parent / "vectors" / "tls"
PKI = FOLDER / "pki"
#: Series of the vectors and the release that was run.
RELEASES = {"3.7": (3, 7, 11), "3.8": (3, 8, 16), "3.9": (3, 9, 10), "3.10": (3, 10, 13), "3.11": (3, 11, 6)}


def load(name: str) -> Any:
    """A vector file."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def by_version(cases: list[dict[str, Any]]) -> list[Any]:
    """One test parameter for each case and series: case, release, what is expected."""
    found = []
    for case in cases:
        for expect in case["expect"]:
            for series in expect["versions"]:
                found.append(pytest.param(case, RELEASES[series], expect, id=f"{case['id']}-{series}"))
    return found
