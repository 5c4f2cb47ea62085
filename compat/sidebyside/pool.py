"""Workers, and the comparison of what they bring."""

import difflib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from compat.sidebyside import newer_library
from compat.sidebyside.instance import Agent
from compat.sidebyside.namespaces import ROOT, command
from compat.sidebyside.run import Result, Sections
from compat.sidebyside.scenario import Scenario

_PATIENCE = 20


def obstacle() -> str | None:
    """Why nothing can be compared here; None: it can."""
    if os.geteuid() != 0:
        return "needs root"
    for program, place in (("postfix", "/usr/sbin/postfix"), ("ip", None), ("unshare", None)):
        if not (os.access(place, os.X_OK) if place else shutil.which(program)):
            return f"{program} is not installed"
    return None


def installed_version() -> str:
    """Of Postfix."""
    return subprocess.run(
        ["/usr/sbin/postconf", "-d", "-h", "mail_version"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()


class Worker:
    """A process in its own namespaces, started again when it dies. A context manager.

    Args:
        scenarios: directory of the modules that add scenarios.
    """

    def __init__(self, scenarios: Path) -> None:
        self._scenarios = scenarios
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _spawn(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command("compat.sidebyside.worker"),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, name: str, agent: Agent) -> Result:
        """Run one scenario of the directory with one agent."""
        return self._ask({"scenarios": str(self._scenarios), "name": name, "agent": agent})

    def play(self, scenario: Scenario, agent: Agent) -> Result:
        """Run a scenario that is in no directory with one agent."""
        return self._ask({"scenario": repr(scenario), "agent": agent})

    def _ask(self, task: Mapping[str, str]) -> Result:
        if self._process is None or self._process.poll() is not None:
            self._process = self._spawn()
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        line = ""
        try:
            process.stdin.write(json.dumps(task) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            pass
        if not line:
            self.close()
            return Result(error="the worker died")
        return Result(**json.loads(line))

    def close(self) -> None:
        """End the process, and with it everything in its namespaces."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def differences(postfix: Sections, ours: Sections, scenario: Mapping[str, Any]) -> list[str]:
    """Unified diff over all sections; empty when they are the same, or differ exactly as the scenario says."""
    if newer_library.is_used():
        postfix, ours = (newer_library.as_with_it(sections, scenario) for sections in (postfix, ours))
    expected: Mapping[str, Sequence[str]] = scenario.get("differs", {})
    rows: list[str] = []
    for title in sorted({*postfix, *ours, *expected}):
        left, right = postfix.get(title, []), ours.get(title, [])
        wanted = list(expected.get(title, ()))
        found = changed(left, right)
        if found == wanted:
            continue
        rows += difflib.unified_diff(left, right, f"Postfix: {title}", f"ours: {title}", lineterm="", n=2)
        if wanted:
            rows += [f"{title}: not the difference that must be there:", *wanted]
    return rows


def changed(left: Sequence[str], right: Sequence[str]) -> list[str]:
    """Rows of one side alone, with ``-`` or ``+`` in front."""
    _, _, *rows = difflib.unified_diff(left, right, lineterm="", n=0) if left != right else ("", "")
    return [row for row in rows if not row.startswith("@@")]


def show(sections: Mapping[str, list[str]]) -> str:
    """All that was observed, for human beings."""
    return "\n".join(f"== {title}\n" + "\n".join(f"  {row}" for row in sections[title]) for title in sorted(sections))
