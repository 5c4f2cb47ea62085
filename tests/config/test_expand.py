"""$name expansion, against what the real programs did."""

from pathlib import Path
from typing import Any

import pytest
from config_support import RELEASES, Start, expected, vectors

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
