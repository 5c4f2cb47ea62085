"""CPU time and memory of groups of processes, including those that have ended.

Control groups do the accounting: version 1 (controller cpuacct) or version 2, whichever is mounted.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


class Group:
    """A control group.

    Attributes:
        path: its directory.
        procs: file to which a process writes in order to join.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.procs = path / "cgroup.procs"

    def cpu(self) -> float:
        """CPU time used so far, in seconds."""
        usage = self.path / "cpuacct.usage"
        if usage.exists():
            return int(usage.read_text()) / 1e9
        fields = dict(line.split() for line in (self.path / "cpu.stat").read_text().splitlines())
        return int(fields["usage_usec"]) / 1e6

    def pids(self) -> list[int]:
        """The processes in it."""
        return [int(line) for line in self.procs.read_text().split()]

    def memory(self) -> tuple[int, int]:
        """Proportional set size of all its processes in KiB, and their number."""
        total = number = 0
        for pid in self.pids():
            with contextlib.suppress(OSError, ProcessLookupError):
                total += pss(pid)
                number += 1
        return total, number

    def descriptors(self) -> int:
        """Open files of all its processes."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                total += len(os.listdir(f"/proc/{pid}/fd"))
        return total


def pss(pid: int) -> int:
    """Proportional set size of a process in KiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def _parent() -> Path | None:
    for place in (_ROOT / "cpuacct", _ROOT / "cpu,cpuacct", _ROOT):
        if (place / "cgroup.procs").exists() and os.access(place, os.W_OK):
            return place
    return None


@contextmanager
def groups() -> Iterator[dict[str, Group]]:
    """Groups ``agent`` and ``helper``, which exist inside the block.

    Raises:
        OSError: there are no control groups that we may make.
    """
    parent = _parent()
    if parent is None:
        raise OSError("no control groups")
    base = parent / f"postfix-smtp-bench-{os.getpid()}"
    base.mkdir()
    made = [base]
    try:
        for name in ("agent", "helper"):
            (base / name).mkdir()
            made.append(base / name)
        yield {name: Group(base / name) for name in ("agent", "helper")}
    finally:
        for path in reversed(made):
            for _ in range(100):
                try:
                    path.rmdir()
                    break
                except OSError:
                    time.sleep(0.05)
