"""Each scenario with Postfix's own program and with ours: everything that can be seen is the same."""

from pathlib import Path

import pytest

from compat.sidebyside.pool import Worker, differences, installed_version, obstacle
from compat.sidebyside.scenario import fits, load

SCENARIOS = load(Path(__file__).parent / "scenarios")


def names() -> list[str]:
    """Those for the installed version; the longest first, so that two processes end at about the same time."""
    version = None if obstacle() else installed_version()
    chosen = [name for name, scenario in SCENARIOS.items() if version is None or fits(scenario, version)]
    return sorted(chosen, key=lambda name: -SCENARIOS[name].get("cost", 1))


@pytest.mark.sidebyside
@pytest.mark.parametrize("name", names())
def test_like_postfix(name: str, worker: Worker) -> None:
    postfix, ours = worker.run(name, "postfix"), worker.run(name, "ours")
    assert (postfix.error, ours.error) == (None, None)
    different = differences(postfix.sections, ours.sections, SCENARIOS[name])
    assert not different, "\n".join(different)


def test_every_area_has_scenarios() -> None:
    areas = {name.partition("/")[0] for name in SCENARIOS}
    assert {path.stem for path in (Path(__file__).parent / "scenarios").glob("*.py")} == areas
