"""What is seen while one scenario runs, and when everybody is at rest."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from compat.sidebyside import quiescence

#: One entry of a transcript: ``C`` (client wrote), ``S`` (server wrote), ``~`` (client waits), ``*`` and ``T`` (notes).
Entry = tuple[str, bytes | str]


@dataclass(slots=True)
class LogLine:
    """A line of the log: ``facility.severity``, tag without process id, process id, text."""

    priority: str
    tag: str
    pid: int
    text: str


@dataclass(slots=True)
class Observations:
    """Shared by all that plays a part in one namespace.

    Attributes:
        activity: number of input events so far.
        pending: tasks of ours that still have something to do.
        connections: one line for each, in order.
        transcripts: of each connection.
        ended: what comes now does not belong to the scenario any more.
        throttled: master(8) said that it will not start some program for a minute.
    """

    activity: int = 0
    pending: int = 0
    connections: list[str] = field(default_factory=list)
    transcripts: dict[str, list[Entry]] = field(default_factory=dict)
    logs: list[LogLine] = field(default_factory=list)
    questions: set[tuple[str, str]] = field(default_factory=set)
    lookups: list[str] = field(default_factory=list)
    reports: list[list[str]] = field(default_factory=list)
    ended: bool = False
    throttled: bool = False
    _logged: asyncio.Event = field(default_factory=asyncio.Event)

    def bump(self) -> None:
        """Something happened."""
        self.activity += 1

    def log(self, priority: str, tag: str, pid: int, text: str) -> None:
        """A log line arrived."""
        self.bump()
        if not self.ended:
            self.logs.append(LogLine(priority, tag, pid, text))
            if "throttling" in text:
                self.throttled = True
        self._logged.set()

    async def wait_log(self, match: Callable[[str, str], object], timeout: float = 20.0, start: int = 0) -> int:
        """Wait until a line satisfies match(tag, text).

        Args:
            timeout: in seconds.
            start: number of lines that are not looked at.

        Returns:
            The number of the line after it.

        Raises:
            TimeoutError: none did.
        """
        deadline = time.monotonic() + timeout
        at = start
        while True:
            while at < len(self.logs):
                line = self.logs[at]
                at += 1
                if match(line.tag, line.text):
                    return at
            self._logged.clear()
            rest = deadline - time.monotonic()
            if rest <= 0:
                raise TimeoutError("a log line did not come")
            try:
                await asyncio.wait_for(self._logged.wait(), rest)
            except TimeoutError:
                raise TimeoutError("a log line did not come") from None

    async def quiet(self) -> None:
        """Return when everybody sleeps and no input waits for us."""
        nap = 0.001
        while not await self.is_quiet():
            await asyncio.sleep(nap)
            nap = min(nap * 1.5, 0.02)

    async def is_quiet(self) -> bool:
        """Whether everybody sleeps, and no input waits for us."""
        before = self.activity
        first = quiescence.snapshot()
        if first is None:
            return False
        for _ in range(5):
            await asyncio.sleep(0)
        return self.activity == before and quiescence.snapshot() == first
