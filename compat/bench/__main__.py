"""``python -m compat.bench``: this program and Postfix's own, measured side by side under a real Postfix.

Needs root, Postfix and control groups. Everything happens in namespaces of their own. Runs alternate (A B, B A, ...,
A being Postfix's program), queue files are put into the queue directly, CPU time is that of all processes of the agent
(with helpers: of tlsproxy and scache as well), memory is their proportional set size. Printed are medians and the
smallest, median and largest ratio B/A of the rounds.
"""

import argparse
import fnmatch
import json
import os
import socket
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from compat.bench import loads
from compat.bench.accounting import Group, groups
from compat.bench.sink import build
from compat.sidebyside import namespaces, quiescence
from compat.sidebyside.instance import Agent
from compat.sidebyside.pool import obstacle
from compat.sidebyside.worker import as_first_process

_AGENTS: tuple[Agent, Agent] = ("postfix", "ours")
_BOTH: dict[str, Agent] = {"both": "ours", "ours": "ours", "postfix": "postfix"}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m compat.bench", description=__doc__)
    parser.add_argument("patterns", nargs="*", metavar="LOAD", help=f"globs of {', '.join(loads.LOADS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--agent", choices=sorted(_BOTH), default="both")
    parser.add_argument("--scale", type=float, default=1.0, help="factor for the number of messages")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--groups", help=argparse.SUPPRESS)
    return parser


def _chosen(patterns: Sequence[str]) -> list[str]:
    if not patterns:
        return [name for name in loads.LOADS if name not in loads.ON_DEMAND]
    return [name for name in loads.LOADS if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]


def _drain_log() -> None:
    """Somebody must read the log."""
    child = os.fork()
    if child == 0:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.bind("/dev/log")
            os.chmod("/dev/log", 0o666)
            while True:
                log.recv(65536)
    quiescence.OURS.add(child)


def _measure(options: argparse.Namespace) -> None:
    """Run the loads; inside the namespaces."""
    namespaces.enter()
    _drain_log()
    base = Path(options.groups)
    accounted = {name: Group(base / name) for name in ("agent", "helper")}
    place = loads.Place(accounted, build(loads.scratch()), options.scale)
    agents = _AGENTS if options.agent == "both" else (_BOTH[options.agent],)
    everything: dict[str, dict[str, list[loads.Figures]]] = {}
    for name in _chosen(options.patterns):
        rows: dict[Agent, list[loads.Figures]] = {agent: [] for agent in agents}
        for turn in range(options.rounds):
            for agent in agents if turn % 2 == 0 else agents[::-1]:
                try:
                    rows[agent].append(loads.LOADS[name](place, agent))
                except TimeoutError as failure:
                    print(f"{name}: {agent} did not finish: {failure}", flush=True)
        everything[name] = {str(agent): found for agent, found in rows.items()}
        _show(name, list(rows.values()))
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1))


def _show(name: str, rows: Sequence[Sequence[loads.Figures]]) -> None:
    if not all(rows):
        return
    for figure in rows[0][0]:
        columns = [[row[figure] for row in found] for found in rows]
        line = f"{name:20s} {figure:18s}"
        for letter, values in zip("AB" if len(rows) == 2 else "B", columns, strict=True):
            line += f" {letter} {statistics.median(values):10.2f}"
        if len(columns) == 2:
            ratios = [ours / theirs if theirs else float("nan") for theirs, ours in zip(*columns, strict=False)]
            line += f"   B/A {min(ratios):.2f} / {statistics.median(ratios):.2f} / {max(ratios):.2f}"
        print(line, flush=True)


def main() -> int:
    """Run the command."""
    options = _parser().parse_args()
    if options.groups:
        as_first_process(lambda: _measure(options))
    if reason := obstacle():
        _parser().error(reason)
    with groups() as made:
        inside = namespaces.command("compat.bench", ["--groups", str(made["agent"].path.parent), *sys.argv[1:]])
        return subprocess.run(inside, cwd=namespaces.ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
