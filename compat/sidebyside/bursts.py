"""Many messages at once through a real Postfix, while something goes wrong: nothing may get lost.

``python -m compat.sidebyside.bursts TROUBLE [postfix]``, in namespaces, prints an :class:`Outcome` as JSON. Each
message has a recipient of its own, by which the sink knows it. TROUBLE is ``none``, ``kill`` (a process of the agent
gets SIGKILL in the middle), or ``reload``.
"""

import collections
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from compat.bench.postfix import PORT, Postfix, queue_file
from compat.bench.sink import Sink, python_command
from compat.bench.waiting import until
from compat.sidebyside import namespaces, quiescence, syslog
from compat.sidebyside.instance import Agent
from compat.sidebyside.observations import Observations
from compat.sidebyside.worker import as_first_process

_MESSAGES = 2000
_SIZE = 4096
_TIMEOUT = 60.0
_QUEUE_TIMEOUT = 5.0
_REQUESTS_ARRIVE = 0.1


@dataclass(slots=True)
class Outcome:
    """What became of the messages.

    Attributes:
        lost: recipients whose message never arrived; twice: those whose message arrived more than once.
        deferred: how many messages had to be tried again.
        queue: files left at the end.
        warnings: log lines with a label.
        seconds: until everything had arrived.
        pause: seconds from the trouble to the next message.
        killed: how many processes were killed.
    """

    lost: list[str]
    twice: list[str]
    deferred: int
    queue: list[str]
    warnings: list[str]
    seconds: float
    pause: float
    killed: int


@contextlib.contextmanager
def log_of(observations: Observations) -> Iterator[None]:
    """Collect what is sent to /dev/log, in a thread."""
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    receiver.bind("/dev/log")
    os.chmod("/dev/log", 0o666)

    def read() -> None:
        while datagram := receiver.recv(65536):
            syslog.feed(observations, datagram)

    threading.Thread(target=read, daemon=True).start()
    yield


def recipient(number: int) -> str:
    """Of one message."""
    return f"user{number:06d}@dest.test"


class Burst:
    """One burst of messages."""

    def __init__(self, trouble: str, agent: Agent, messages: int = _MESSAGES) -> None:
        self._trouble = trouble
        self._agent = agent
        self._messages = messages
        self._record = Path(tempfile.mkstemp(prefix="sink-record-")[1])

    def run(self) -> Outcome:
        """Send everything and see what arrives."""
        sink = Sink(python_command(), PORT, record=self._record)
        quiescence.OURS.add(sink.process.pid)
        try:
            with Postfix(self._agent, groups={}) as postfix, log_of(postfix.observations):
                try:
                    return self._observe(postfix, sink)
                except TimeoutError as failure:
                    raise TimeoutError(f"{failure}\n{self._state(postfix)}") from None
        finally:
            sink.stop()
            self._record.unlink()

    @staticmethod
    def _state(postfix: Postfix) -> str:
        """What there is to know when something takes too long."""
        processes = [f"{pid} {state} {command}" for pid, (state, command) in quiescence.processes().items()]
        labels = [line for line in postfix.observations.logs if "status=sent" not in line.text]
        logs = [f"{line.tag}[{line.pid}]: {line.text}" for line in labels[-40:]]
        files = [f"{path} {path.stat().st_mtime - time.time():.1f}" for path in postfix.queue()]
        return "\n".join([*processes, *logs, *files[:20], f"{len(files)} files"])

    def _observe(self, postfix: Postfix, sink: Sink) -> Outcome:
        postfix.put(queue_file(_SIZE, recipient(number)) for number in range(self._messages))
        started = time.monotonic()
        postfix.trigger()
        pause, killed = 0.0, 0
        if self._trouble != "none":
            until(lambda: sink.count("messages") >= self._messages // 4, _TIMEOUT)
            began = time.monotonic()
            killed = self._make_trouble(postfix)
            arrived = sink.count("messages")
            # those that were on their way to the sink when the trouble began do not count
            until(lambda: sink.count("messages") > arrived + 50, _TIMEOUT)
            pause = time.monotonic() - began
        with contextlib.suppress(TimeoutError):
            until(lambda: not postfix.is_busy(), _QUEUE_TIMEOUT, 0.02)
        deferred = len(postfix.deferred())
        # What a killed process had in hand is tried again after a while. What was being delivered when the queue
        # manager started again stays alone for a minute (queue-file chapter 8), with Postfix's own program, too.
        self._flush(postfix)
        seconds = time.monotonic() - started
        postfix.calm(5)
        return self._outcome(postfix, deferred, seconds, pause, killed)

    @staticmethod
    def _flush(postfix: Postfix) -> None:
        """Try deferred messages until there are none; the queue manager may miss a request while it scans."""
        deadline = time.monotonic() + _TIMEOUT
        while postfix.is_busy() or postfix.deferred():
            if time.monotonic() > deadline:
                raise TimeoutError(f"still there: {postfix.queue()}")
            postfix.hurry()
            with contextlib.suppress(TimeoutError):
                until(lambda: not postfix.is_busy() and not postfix.deferred(), 2, 0.02)

    def _make_trouble(self, postfix: Postfix) -> int:
        if self._trouble == "reload":
            os.kill(postfix.master.pid, signal.SIGHUP)
            return 0
        # The oldest: master(8) rightly holds up the service when a process dies that never served anybody
        victim = min(postfix.agents())
        # Between accept and the arrival of the request there is a moment in which qmgr(8) suspends the transport when
        # the process dies ("write to process: Broken pipe", ipc chapter 4.8). A process that takes half of all
        # deliveries dies in it about once in ten times, one of twenty rarely: let the requests arrive first.
        os.kill(victim, signal.SIGSTOP)
        time.sleep(_REQUESTS_ARRIVE)
        os.kill(victim, signal.SIGKILL)
        return 1

    def _outcome(self, postfix: Postfix, deferred: int, seconds: float, pause: float, killed: int) -> Outcome:
        arrived = collections.Counter(self._record.read_text().split())
        wanted = [recipient(number) for number in range(self._messages)]
        labels = ("warning: ", "error: ", "fatal: ", "panic: ")
        return Outcome(
            lost=[address for address in wanted if not arrived[address]],
            twice=[address for address in wanted if arrived[address] > 1],
            deferred=deferred,
            queue=[str(path) for path in postfix.queue()],
            warnings=[
                f"{line.tag}: {line.text}"
                for line in postfix.observations.logs
                if line.text.startswith(labels) and "file system clock" not in line.text
            ],
            seconds=seconds,
            pause=pause,
            killed=killed,
        )


def _work() -> None:
    namespaces.enter()
    print(
        json.dumps(asdict(Burst(sys.argv[1], "postfix" if sys.argv[2:] == ["postfix"] else "ours").run())), flush=True
    )


if __name__ == "__main__":
    as_first_process(_work)
