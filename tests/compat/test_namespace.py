"""What belongs into a namespace is never done to the machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from compat import namespace

ROOT = Path(__file__).resolve().parents[2]


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="without root nothing can be harmed")
def test_private_network_is_not_set_up_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    before = mounts()
    monkeypatch.setenv(namespace._OUTSIDE, namespace._namespaces())
    with pytest.raises(RuntimeError, match="namespaces"):
        namespace.enter([], [], {})
    monkeypatch.delenv(namespace._OUTSIDE)
    with pytest.raises(RuntimeError, match="namespaces"):
        namespace.enter([], [], {})
    assert mounts() == before


@pytest.mark.parametrize("module", ["compat.sidebyside.worker", "compat.sidebyside.bursts"])
def test_worker_started_by_hand_refuses(module: str) -> None:
    before = mounts()
    done = subprocess.run(
        [sys.executable, "-m", module, "none"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "namespaces of its own" in done.stderr
    assert mounts() == before
