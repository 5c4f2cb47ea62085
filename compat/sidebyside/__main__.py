"""``python -m compat.sidebyside [PATTERN...]``: compare single scenarios by hand.

A pattern is a name (``stage/data-close``), an area (``stage``) or a glob. The last line counts what was the same and
what was not; the exit status is 0 if everything was the same.
"""

import argparse
import fnmatch
import queue
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from compat.sidebyside.namespaces import ROOT
from compat.sidebyside.pool import Worker, differences, installed_version, obstacle, show
from compat.sidebyside.run import Result
from compat.sidebyside.scenario import fits, load

SCENARIOS = ROOT / "tests/sidebyside/scenarios"


def _chosen(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    return [
        name
        for name in names
        if not patterns
        or any(fnmatch.fnmatch(name, pattern) or name.startswith(f"{pattern.rstrip('/')}/") for pattern in patterns)
    ]


def _verdict(postfix: Result, ours: Result, diff: list[str]) -> str:
    if postfix.error or ours.error:
        return "error"
    return "DIFF" if diff else "same"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m compat.sidebyside", description=__doc__)
    parser.add_argument("patterns", nargs="*", metavar="PATTERN")
    parser.add_argument("--scenarios", type=Path, default=SCENARIOS, help="directory of the scenarios")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once")
    parser.add_argument("--repeat", type=int, default=1, help="run each scenario so often")
    parser.add_argument("--dump", action="store_true", help="show all that was observed with Postfix's own program")
    parser.add_argument("--quiet", action="store_true", help="show only what differs")
    parser.add_argument("--list", action="store_true", help="show the names")
    options = parser.parse_args(arguments)
    everything = load(options.scenarios)
    names = _chosen(list(everything), options.patterns)
    if options.list:
        print("\n".join(names))
        return 0
    if reason := obstacle():
        parser.error(reason)
    version = installed_version()
    names = [name for name in names if fits(everything[name], version)]
    names.sort(key=lambda name: -everything[name].get("cost", 1))
    tasks: queue.SimpleQueue[str] = queue.SimpleQueue()
    results: queue.SimpleQueue[tuple[str, Result, Result]] = queue.SimpleQueue()
    for name in names * options.repeat:
        tasks.put(name)

    def work() -> None:
        with Worker(options.scenarios) as worker:
            while True:
                try:
                    name = tasks.get_nowait()
                except queue.Empty:
                    return
                results.put((name, worker.run(name, "postfix"), worker.run(name, "ours")))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(options.jobs)]
    for thread in threads:
        thread.start()
    counts = {"same": 0, "DIFF": 0, "error": 0}
    for _ in range(len(names) * options.repeat):
        name, postfix, ours = results.get()
        diff = differences(postfix.sections, ours.sections, everything[name])
        verdict = _verdict(postfix, ours, diff)
        counts[verdict] += 1
        if verdict != "same" or not options.quiet:
            print(f"{verdict:5s} {name}  {postfix.seconds:.1f}s {ours.seconds:.1f}s", flush=True)
        for title, result in (("Postfix", postfix), ("ours", ours)):
            if result.error:
                print(f"    {title}: {result.error}")
        for row in diff:
            print(f"    {row}")
        if options.dump:
            print(show(postfix.sections))
    for thread in threads:
        thread.join()
    print(f"{counts['same']} same, {counts['DIFF']} differ, {counts['error']} error")
    return int(counts["same"] != len(names) * options.repeat)


if __name__ == "__main__":
    sys.exit(main())
