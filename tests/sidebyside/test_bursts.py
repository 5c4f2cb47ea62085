"""Two thousand messages at once through a real Postfix, with trouble in the middle."""

from typing import Any

import pytest

from compat.sidebyside import isolated


def outcome(trouble: str) -> dict[str, Any]:
    return dict(isolated.run("compat.sidebyside.bursts", [trouble]))


@pytest.mark.sidebyside
def test_burst_arrives_completely_and_once(postfix: None) -> None:
    found = outcome("none")
    assert (found["lost"], found["twice"], found["queue"], found["warnings"]) == ([], [], [], [])


@pytest.mark.sidebyside
def test_reload_in_the_middle_loses_nothing_and_delays_nothing(postfix: None) -> None:
    found = outcome("reload")
    assert (found["lost"], found["twice"], found["queue"]) == ([], [], [])
    # scache(8) obeys a reload as well, now and then while somebody talks to it: the second attempt meets its successor
    talking = "postfix/smtp: warning: problem talking to service private/scache: Connection reset by peer"
    assert [line for line in found["warnings"] if line != talking] == []
    assert found["pause"] < 5


@pytest.mark.sidebyside
def test_killed_process_loses_nothing_and_the_service_goes_on(postfix: None) -> None:
    found = outcome("kill")
    assert found["killed"] == 1
    assert found["lost"] == []
    assert found["queue"] == []
    assert found["pause"] < 5
    # What a server had accepted when the process died may be sent again, no more than one process had in hand.
    assert len(found["twice"]) <= 20
    assert not [line for line in found["warnings"] if "throttling" in line]
    expected = ("killed by signal 9", "malformed response")
    assert [line for line in found["warnings"] if not line.endswith(expected)] == []
