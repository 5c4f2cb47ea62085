"""What is measured: each load returns its figures by name."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compat.bench.accounting import Group
from compat.bench.postfix import PORT, Postfix, queue_file
from compat.bench.sink import Sink
from compat.bench.waiting import until
from compat.sidebyside import certificates
from compat.sidebyside.instance import Agent

Figures = dict[str, float]
_NO_CACHE = {"smtp_connection_cache_on_demand": "no"}
_TLS = {"smtp_tls_security_level": "encrypt"}
_REUSE = {**_TLS, "smtp_tls_connection_reuse": "yes"}
_CONVERTED = {"smtp_discard_ehlo_keywords": "8bitmime"}
_WARM_UP = 60
_SLOW_PORT = 2600
_STATES = ("GREET", "EHLO", "MAIL", "RCPT", "DATA", "DOT")
_FOREVER = "-o max_use=10000000"


@dataclass(frozen=True, slots=True)
class Place:
    """Where loads are run: the groups that account for CPU time, the sink's command, a factor for message numbers."""

    groups: Mapping[str, Group]
    sink: Sequence[str]
    scale: float = 1.0

    def number(self, messages: int) -> int:
        """So many messages, to scale."""
        return max(10, int(messages * self.scale))


@dataclass(frozen=True, slots=True)
class Burst:
    """Messages that are sent as fast as they are taken.

    Attributes:
        size: of a message in octets; delay: of each reply in milliseconds; times: how often the messages are sent;
        kind: of content, see :mod:`compat.bench.contents`.
    """

    messages: int = 2000
    size: int = 4096
    delay: int = 0
    tls: bool = False
    main: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    kind: str = ""

    def __call__(self, place: Place, agent: Agent) -> Figures:
        """Measure."""
        number = place.number(self.messages)
        octets = queue_file(self.size, kind=self.kind)
        with _sink(place, delay=self.delay, tls=self.tls) as sink:
            with Postfix(agent, self.main, groups=place.groups) as postfix:
                # processes exist, connections are kept
                _send(postfix, sink, octets, _WARM_UP)
                postfix.calm()
                connections, handshakes = sink.count("connections"), sink.count("handshakes")
                cpu, helpers = place.groups["agent"].cpu(), place.groups["helper"].cpu()
                wall = sum(_send(postfix, sink, octets, number) for _ in range(self.times))
                postfix.calm(3)
                number *= self.times
                cpu, helpers = place.groups["agent"].cpu() - cpu, place.groups["helper"].cpu() - helpers
                memory, processes = place.groups["agent"].memory()
                return {
                    "messages/s": number / wall,
                    "CPU ms": 1000 * cpu / number,
                    "CPU+helpers ms": 1000 * (cpu + helpers) / number,
                    "processes": processes,
                    "Pss KiB": memory,
                    "connections": sink.count("connections") - connections,
                    "handshakes": sink.count("handshakes") - handshakes,
                }


@contextlib.contextmanager
def _sink(place: Place, port: int = PORT, *, delay: int = 0, tls: bool = False, hang: str = "") -> Iterator[Sink]:
    directory = certificates.DIRECTORY
    files = (str(directory / "ec.pem"), str(directory / "ec.key")) if tls else None
    sink = Sink(place.sink, port, delay=delay, tls=files, hang=hang)
    try:
        yield sink
    finally:
        sink.stop()


def _send(postfix: Postfix, sink: Sink, octets: bytes, number: int) -> float:
    """Send so many messages and wait until the queue is empty; seconds until the last one arrived."""
    before = sink.count("messages")
    postfix.put([octets] * number)
    began = time.monotonic()
    postfix.trigger()
    until(lambda: sink.count("messages") >= before + number, 180, 0.02)
    wall = sink.last - began
    until(lambda: not postfix.is_busy(), 60, 0.02)
    return wall


@dataclass(frozen=True, slots=True)
class Hanging:
    """Memory while so many deliveries wait for a server that does not answer."""

    deliveries: int

    def __call__(self, place: Place, agent: Agent) -> Figures:
        """Measure."""
        limits = {
            "initial_destination_concurrency": str(self.deliveries),
            "default_destination_concurrency_limit": str(self.deliveries),
            "default_process_limit": str(self.deliveries + 20),
        }
        with _sink(place, hang="RCPT") as sink, Postfix(agent, limits, groups=place.groups) as postfix:
            postfix.put([queue_file(4096)] * self.deliveries)
            postfix.trigger()
            until(lambda: sink.count("hung") >= self.deliveries, 120)
            postfix.calm(3)
            memory, processes = place.groups["agent"].memory()
            return {"Pss KiB": memory, "processes": processes}


@dataclass(frozen=True, slots=True)
class ColdStart:
    """From the trigger to the arrival, when there is no process of the agent yet."""

    tls: bool = False
    main: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, place: Place, agent: Agent) -> Figures:
        """Measure."""
        times, used = [], []
        settings = {**self.main, "transport_maps": "inline:{ {none.test = discard:} }"}
        with _sink(place, tls=self.tls) as sink:
            for _ in range(5):
                with Postfix(agent, settings, groups=place.groups) as postfix:
                    postfix.put([queue_file(4096, "x@none.test")])  # the other daemons are there already
                    postfix.trigger()
                    postfix.calm()
                    until(lambda: not postfix.is_busy(), 10)
                    postfix.calm()
                    before, cpu = sink.count("messages"), place.groups["agent"].cpu()
                    postfix.put([queue_file(4096)])
                    began = time.monotonic()
                    postfix.trigger()
                    until(lambda: sink.count("messages") > before, 20, 0.001)  # noqa: B023 - waits here
                    times.append(1000 * (sink.last - began))
                    postfix.calm(2)
                    used.append(1000 * (place.groups["agent"].cpu() - cpu))
        return {"ms": statistics.median(times), "CPU ms": statistics.median(used)}


@dataclass(frozen=True, slots=True)
class WarmStart:
    """From the trigger to the arrival, one message at a time, when a process of the agent is there."""

    tls: bool = False
    main: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, place: Place, agent: Agent) -> Figures:
        """Measure."""
        times = []
        with _sink(place, tls=self.tls) as sink, Postfix(agent, self.main, groups=place.groups) as postfix:
            for _ in range(25):
                before = sink.count("messages")
                postfix.put([queue_file(4096)])
                began = time.monotonic()
                postfix.trigger()
                until(lambda: sink.count("messages") > before, 20, 0.001)  # noqa: B023 - waits here
                times.append(1000 * (sink.last - began))
                until(lambda: not postfix.is_busy(), 10, 0.02)
                time.sleep(0.05)  # everybody sleeps again
        return {"ms": statistics.median(times[5:])}


def slow_neighbours(place: Place, agent: Agent) -> Figures:
    """Ten deliveries at a time, alone and beside ten into servers that hang, in each state in turn."""
    figures: Figures = {}
    for at, state in enumerate(_STATES):
        port = _SLOW_PORT + at
        settings = {
            "transport_maps": f"inline:{{ {{slow.test = smtp:[127.0.0.1]:{port}}} }}",
            "initial_destination_concurrency": "10",
            "default_destination_concurrency_limit": "10",
        }
        with _sink(place, delay=5) as fast, _sink(place, port, hang=state) as slow:
            with Postfix(agent, settings, groups=place.groups) as postfix:
                octets, number = queue_file(4096), place.number(600)
                _send(postfix, fast, octets, _WARM_UP)
                alone = statistics.median(_timed(postfix, fast, octets, number) for _ in range(3))
                postfix.put([queue_file(4096, "b@slow.test")] * 10)
                postfix.trigger()
                until(lambda: slow.count("hung") >= 10, 30)
                beside = statistics.median(_timed(postfix, fast, octets, number) for _ in range(3))
                figures[state] = beside / alone
    return figures


def _timed(postfix: Postfix, sink: Sink, octets: bytes, number: int) -> float:
    """As :func:`_send`, without waiting for others."""
    before = sink.count("messages")
    postfix.put([octets] * number)
    began = time.monotonic()
    postfix.trigger()
    until(lambda: sink.count("messages") >= before + number, 120, 0.005)
    return sink.last - began


def soak(place: Place, agent: Agent) -> Figures:
    """A hundred thousand messages through processes that stay: growth of memory and of descriptors after a tenth."""
    part, octets = place.number(10000), queue_file(4096)
    agent_group = place.groups["agent"]
    with _sink(place) as sink, Postfix(agent, groups=place.groups, words=_FOREVER) as postfix:
        before = sink.count("messages")
        wall = _send(postfix, sink, octets, part)
        memory, processes = agent_group.memory()
        descriptors = agent_group.descriptors()
        wall += sum(_send(postfix, sink, octets, part) for _ in range(9))
        postfix.calm(5)
        later, processes_later = agent_group.memory()
        return {
            "messages/s": 10 * part / wall,
            "arrived too many": sink.count("messages") - before - 10 * part,
            "left": len(postfix.queue()),
            "Pss KiB before": memory,
            "Pss KiB after": later,
            "processes before": processes,
            "processes after": processes_later,
            "descriptors before": descriptors,
            "descriptors after": agent_group.descriptors(),
        }


LOADS: dict[str, Callable[[Place, Agent], Figures]] = {
    "plain": Burst(),
    "plain-5ms": Burst(delay=5),
    "plain-50ms": Burst(delay=50),
    "plain-nocache": Burst(main=_NO_CACHE),
    "tls": Burst(tls=True, main=_TLS),
    "tls:reuse": Burst(tls=True, main=_REUSE),
    "tls-5ms": Burst(delay=5, tls=True, main=_TLS),
    "tls-5ms:reuse": Burst(delay=5, tls=True, main=_REUSE),
    "big": Burst(50, 2_000_000, times=4),
    "big-base64": Burst(50, 2_000_000, times=4, kind="base64"),
    "big-text": Burst(50, 2_000_000, times=4, kind="text"),
    "big-short": Burst(50, 2_000_000, times=4, kind="short"),
    "big-8bit": Burst(50, 2_000_000, times=4, kind="8bit", main=_CONVERTED),
    "big-tls": Burst(50, 2_000_000, tls=True, main=_TLS, times=4),
    "memory-100-hanging": Hanging(100),
    "memory-1000-hanging": Hanging(1000),
    "cold-start": ColdStart(),
    "cold-start-tls": ColdStart(tls=True, main=_TLS),
    "warm-start": WarmStart(),
    "warm-start-tls": WarmStart(tls=True, main=_TLS),
    "slow-neighbours": slow_neighbours,
    "soak": soak,
}
#: Only when asked for: long, or about this program alone.
ON_DEMAND = frozenset(("memory-1000-hanging", "slow-neighbours", "soak"))


def scratch() -> Path:
    """Where the sink is built."""
    path = Path("/run/sidebyside/bench")
    path.mkdir(exist_ok=True)
    return path
