"""What the comparisons with Postfix need: root and an installed Postfix."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from compat.sidebyside.pool import Worker, obstacle

HERE = Path(__file__).parent
SCENARIOS = HERE / "scenarios"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this directory is a comparison; without root there is none."""
    reason = obstacle()
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("sidebyside"):
            if reason == "needs root":
                item.add_marker(pytest.mark.skip(reason="the comparison with Postfix needs root"))
            elif reason:
                item.add_marker(pytest.mark.usefixtures("postfix"))


@pytest.fixture(scope="session")
def postfix() -> None:
    """Root, but no Postfix: that is no reason to be content."""
    if reason := obstacle():
        pytest.fail(f"cannot compare with Postfix: {reason}; see tests/sidebyside/packages.txt")


@pytest.fixture(scope="session")
def worker(postfix: None) -> Iterator[Worker]:
    """Namespaces in which scenarios can be played."""
    with Worker(SCENARIOS) as started:
        yield started
