"""``python -m compat.sidebyside.fuzz --seed N --count M``: compare scenarios made up by chance.

A scenario that differs is played again, to see whether it is stable, and made as small as possible; what is left can be
pasted into a module of scenarios. The exit status is 0 if everything was the same.
"""

import argparse
import itertools
import pprint
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from compat.sidebyside.__main__ import SCENARIOS
from compat.sidebyside.pool import Worker, differences, obstacle, show
from compat.sidebyside.random_content import random_content
from compat.sidebyside.random_sasl import random_sasl_scenario
from compat.sidebyside.random_scenarios import random_scenario
from compat.sidebyside.random_tls import random_tls_scenario
from compat.sidebyside.scenario import Scenario
from compat.sidebyside.shrinking import shrink

_TRIES = 3
KINDS: Mapping[str, Callable[[int], Scenario]] = {
    "mail": random_scenario,
    "sasl": random_sasl_scenario,
    "tls": random_tls_scenario,
    "content": random_content,
}


def compare(worker: Worker, scenario: Scenario) -> tuple[str, list[str]]:
    """``same``, ``DIFF`` or ``error``, and the rows that say why."""
    postfix, ours = worker.play(scenario, "postfix"), worker.play(scenario, "ours")
    rows = [f"{title}: {result.error}" for title, result in (("Postfix", postfix), ("ours", ours)) if result.error]
    if rows:
        # a scenario that takes too long does so with both
        return ("error" if postfix.error else "DIFF"), rows
    rows = differences(postfix.sections, ours.sections, scenario)
    return ("DIFF" if rows else "same"), rows


def _kinds(rows: Sequence[str]) -> set[str]:
    """The sections that differ."""
    return {row.removeprefix("--- Postfix: ").partition("#")[0] for row in rows if row.startswith("--- Postfix: ")}


def examine(worker: Worker, scenario: Scenario, *, small: bool) -> tuple[str, str]:
    """Compare a scenario; a verdict and what to print."""
    verdict, rows = compare(worker, scenario)
    if verdict == "same":
        return verdict, ""
    text = "\n".join(f"    {row}" for row in rows)
    if verdict == "error":
        return verdict, text
    for _ in range(_TRIES - 1):
        if compare(worker, scenario)[0] != "DIFF":
            return "unstable", text
    if small:
        kinds = _kinds(rows)

        def still(candidate: Scenario) -> bool:
            found, different = compare(worker, candidate)
            return found == "DIFF" and (not kinds or bool(kinds & _kinds(different)))

        scenario = shrink(scenario, still)
        text = "\n".join(f"    {row}" for row in compare(worker, scenario)[1])
    keywords = ",\n".join(f"    {key}={pprint.pformat(value, width=110)}" for key, value in scenario.items())
    return verdict, f'{text}\nadd(\n    "AREA/WHAT",\n{keywords},\n)'


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m compat.sidebyside.fuzz", description=__doc__)
    parser.add_argument("--kind", choices=KINDS, default="mail", help="what the scenarios are about")
    parser.add_argument("--seed", type=int, default=0, help="of the first scenario")
    parser.add_argument("--count", type=int, default=100, help="how many scenarios")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin nothing after so long")
    parser.add_argument("--no-shrink", action="store_true", help="show differing scenarios as they are")
    parser.add_argument("--dump", action="store_true", help="show the scenarios and all that was observed")
    options = parser.parse_args(arguments)
    if reason := obstacle():
        parser.error(reason)
    deadline = time.monotonic() + options.seconds
    numbers = itertools.count(options.seed)
    results: queue.SimpleQueue[tuple[int, str, str] | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            play()
        finally:
            results.put(None)

    def play() -> None:
        with Worker(SCENARIOS) as worker:
            for seed in numbers:
                if seed >= options.seed + options.count or time.monotonic() > deadline:
                    break
                scenario = KINDS[options.kind](seed)
                if options.dump:
                    shown = f"{pprint.pformat(scenario)}\n{show(worker.play(scenario, 'postfix').sections)}"
                    results.put((seed, "same", shown))
                else:
                    results.put((seed, *examine(worker, scenario, small=not options.no_shrink)))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(options.jobs)]
    for thread in threads:
        thread.start()
    counts = {"same": 0, "DIFF": 0, "unstable": 0, "error": 0}
    working = len(threads)
    while working:
        result = results.get()
        if result is None:
            working -= 1
            continue
        seed, verdict, text = result
        counts[verdict] += 1
        if text:
            print(f"{verdict} seed {seed}\n{text}", flush=True)
    print(", ".join(f"{number} {verdict}" for verdict, number in counts.items()))
    return int(counts["DIFF"] > 0)


if __name__ == "__main__":
    sys.exit(main())
