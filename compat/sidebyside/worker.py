"""Runs inside new namespaces: takes tasks on standard input, answers on standard output, a line of JSON each.

A task is ``{"scenarios": directory, "name": ..., "agent": "postfix" or "ours"}``, or instead of directory and name
``"scenario"``, a Python literal in which digests are written as :func:`~compat.sidebyside.certificates.with_digests`
takes them; the answer is a :class:`~compat.sidebyside.run.Result`.
"""

import ast
import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TextIO

from compat.sidebyside import namespaces, quiescence, syslog
from compat.sidebyside.certificates import with_digests
from compat.sidebyside.name_server import NameServer
from compat.sidebyside.observations import Observations
from compat.sidebyside.run import Result, Run
from compat.sidebyside.scenario import load

_LONGEST_TASK = 1 << 20


class _Forwarding(Observations):
    """Stands for the observations of the scenario that is just running."""

    def __init__(self) -> None:
        super().__init__()
        self.begin()

    def begin(self) -> None:
        """Forget everything: another scenario begins."""
        fresh = Observations()
        for name in Observations.__dataclass_fields__:
            setattr(self, name, getattr(fresh, name))


async def _serve(tasks: BinaryIO, answers: TextIO) -> None:
    loop = asyncio.get_running_loop()
    observations = _Forwarding()
    log = syslog.listen(observations)
    names = NameServer(observations)
    await names.start()
    reader = asyncio.StreamReader(limit=_LONGEST_TASK)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), tasks)
    while line := await reader.readline():
        task = json.loads(line)
        observations.begin()
        result = await _run(task, observations, names)
        answers.write(json.dumps(asdict(result)) + "\n")
        answers.flush()
    log.close()


async def _run(task: dict[str, Any], observations: Observations, names: NameServer) -> Result:
    try:
        if "scenario" in task:
            scenario = ast.literal_eval(with_digests(task["scenario"]))
        else:
            scenario = load(Path(task["scenarios"]))[task["name"]]
        return await Run(scenario, task["agent"], observations, names).go()
    except Exception as failure:
        return Result(error=f"the runner failed: {failure!r}")


def as_first_process(work: Callable[[], None]) -> NoReturn:
    """Be process 1 of a pid namespace, which reaps orphans; `work` runs in a child. Does not return.

    Refuses to be any other process: `work` changes mounts, addresses and the host name, and outside namespaces of its
    own these would be the machine's.
    """
    if os.getpid() != 1:
        sys.exit("this changes mounts and network: it only runs in namespaces of its own, made by its caller")
    child = os.fork()
    if child:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        os.close(0)
        while True:
            try:
                pid, status = os.wait()
            except ChildProcessError:
                os._exit(1)
            if pid == child:
                os._exit(os.waitstatus_to_exitcode(status) & 255)
    quiescence.OURS.add(os.getpid())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    work()
    sys.exit(0)


def _work() -> None:
    namespaces.enter()
    # whatever else is printed must not get between the answers
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asyncio.run(_serve(os.fdopen(os.dup(0), "rb"), answers))


if __name__ == "__main__":
    as_first_process(_work)
