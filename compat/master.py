"""master(8) in small: listens for a service, starts its processes with the descriptors they expect, and keeps accounts
of who is available, by the rules that decide whether mail moves (process chapters 1, 5, 6 and 10)."""

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compat.background import Background
from compat.service import bind
from postfix_smtp.config.master_cf import services

_MESSAGE = struct.Struct("=iIi")
_FIRST = 100  # descriptors are parked above this before they go to their places


@dataclass(slots=True)
class Child:
    """A process.

    Attributes:
        available: as master records it; uses: finished turns from TAKEN to AVAIL.
        status: exit status as of waitpid(2), None while it runs.
    """

    pid: int
    generation: int
    available: bool = True
    uses: int = 0
    status: int | None = None


@dataclass(slots=True)
class _Channel:
    ours: socket.socket
    theirs: socket.socket


class MasterService:
    """One line of master.cf and its processes.

    Args:
        command: the executable and what comes before its arguments.
        arguments: of the process, as master(8) makes them.
        limit: number of processes, 0: any.
        environment: of the processes; the generation is added.

    Attributes:
        children: all processes that were ever started.
        statuses: (pid, status) of all messages.
        log: what master(8) would log.
    """

    def __init__(
        self,
        background: Background,
        directory: Path,
        name: str,
        command: Sequence[str],
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        limit: int = 100,
        throttle_time: float = 60.0,
    ) -> None:
        self.name = name
        self.path = directory / "private" / name
        self.children: list[Child] = []
        self.statuses: list[tuple[int, int]] = []
        self.log: list[str] = []
        self.throttled = False
        self._background = background
        self._command = list(command)
        self._arguments = list(arguments)
        self._environment = dict(environment)
        self._limit = limit
        self._throttle_time = throttle_time
        self._generation = 0
        self._polling = False
        self._stopped = True
        self._changed = asyncio.Condition()
        self._listener: socket.socket | None = None
        self._flow = os.pipe()
        self._channel: _Channel | None = None
        self._reapers: list[threading.Thread] = []

    # Life

    def start(self) -> None:
        """Listen; to be called in the loop."""
        self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self._listener = bind(self.path)
        self._stopped = False
        self._open_channel()
        self._review()

    async def stop(self) -> None:
        """End all processes and stop to listen."""
        self._stopped = True
        self._review()
        for child in self.running:
            with contextlib.suppress(ProcessLookupError):  # reaped, but the loop does not know yet
                os.kill(child.pid, signal.SIGTERM)
        try:
            await self.wait(lambda: not self.running, 10)
        except TimeoutError:
            for child in self.running:
                with contextlib.suppress(ProcessLookupError):  # reaped, but the loop does not know yet
                    os.kill(child.pid, signal.SIGKILL)
            await self.wait(lambda: not self.running, 10)
        for child in self.children:
            # A process that went on under another number after a reload is still in the group of the first
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        for thread in self._reapers:
            thread.join()
        self._close_channel()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for number in self._flow:
            os.close(number)

    def reload(self, arguments: Sequence[str] | None = None) -> None:
        """What ``postfix reload`` does: a new status channel; the accounts stay."""
        if arguments is not None:
            self._arguments = list(arguments)
        self._close_channel()
        self._open_channel()
        self._review()

    def lose_channel(self) -> None:
        """What processes see when master(8) dies: end of file on the status channel, and nobody starts others."""
        self._close_channel()
        self._stopped = True
        self._review()

    @property
    def running(self) -> list[Child]:
        """The processes that have not ended."""
        return [child for child in self.children if child.status is None]

    @property
    def available(self) -> int:
        """How many processes are trusted to accept."""
        return sum(child.available for child in self.running)

    async def wait(self, predicate: Callable[[], object], timeout: float = 20.0) -> None:
        """Wait until `predicate` is true of this service."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(predicate)

    # Accounts

    def _open_channel(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        self._channel = _Channel(ours, theirs)
        self._background.loop.add_reader(ours.fileno(), self._read_status)

    def _close_channel(self) -> None:
        if self._channel is not None:
            self._background.loop.remove_reader(self._channel.ours.fileno())
            self._channel.ours.close()
            self._channel.theirs.close()
            self._channel = None

    def _read_status(self) -> None:
        assert self._channel is not None
        while self._channel is not None:
            try:
                octets = self._channel.ours.recv(_MESSAGE.size)
            except BlockingIOError:
                break
            if len(octets) != _MESSAGE.size:
                self.log.append(f"warning: child sent partial status update ({len(octets)} bytes)")
                break
            self._account(*_MESSAGE.unpack(octets))
        self._review()

    def _account(self, pid: int, generation: int, status: int) -> None:
        self.statuses.append((pid, status))
        child = next((child for child in self.running if child.pid == pid), None)
        if child is None:
            return
        if child.generation != generation:
            self.log.append(f"ignoring status update from child pid {pid} generation {generation}")
        elif status not in (0, 1):
            self.log.append(f"warning: master_status_event: ignoring unknown status: {pid}: {status}")
        elif child.available != bool(status):
            child.available = bool(status)
            child.uses += status

    def _review(self) -> None:
        """Poll the listen socket exactly when master(8) does."""
        wanted = (
            not self._stopped
            and not self.throttled
            and not self.available
            and (self._limit == 0 or len(self.running) < self._limit)
        )
        if self._listener is not None and wanted != self._polling:
            self._polling = wanted
            if wanted:
                self._background.loop.add_reader(self._listener.fileno(), self._client_waits)
            else:
                self._background.loop.remove_reader(self._listener.fileno())
        self._background.spawn(self._notify())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _client_waits(self) -> None:
        if self._polling:
            self._spawn()

    # Processes

    def _spawn(self) -> None:
        assert self._listener is not None
        assert self._channel is not None
        self._generation += 1
        sources = [*self._flow, self._channel.theirs.fileno(), self._listener.fileno()]
        parked = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _FIRST) for number in sources]
        null = os.open(os.devnull, os.O_RDWR)
        actions = [(os.POSIX_SPAWN_DUP2, null, number) for number in (0, 1)]
        actions += [(os.POSIX_SPAWN_DUP2, number, place) for place, number in enumerate(parked, 3)]
        try:
            pid = os.posix_spawn(
                self._command[0],
                [*self._command, *self._arguments],
                {**self._environment, "GENERATION": f"{self._generation:o}"},
                file_actions=actions,
                setsigmask=[],
                setsigdef=[signal.SIGPIPE],
                setpgroup=0,
            )
        finally:
            for number in (*parked, null):
                os.close(number)
        child = Child(pid, self._generation)
        self.children.append(child)
        reaper = threading.Thread(target=self._reap, args=(child,), daemon=True)
        self._reapers.append(reaper)
        reaper.start()
        self._review()

    def _reap(self, child: Child) -> None:
        _, status = os.waitpid(child.pid, 0)
        self._background.loop.call_soon_threadsafe(self._ended, child, status)

    def _ended(self, child: Child, status: int) -> None:
        if self._channel is not None:
            self._read_status()
        child.status = status
        if status != 0:
            if os.WIFSIGNALED(status):
                self.log.append(f"warning: process pid {child.pid} killed by signal {os.WTERMSIG(status)}")
            else:
                self.log.append(f"warning: process pid {child.pid} exit status {os.WEXITSTATUS(status)}")
            if child.uses == 0 and not self.throttled and not self._stopped:
                self.log.append("warning: bad command startup -- throttling")
                self.throttled = True
                self._background.loop.call_later(self._throttle_time, self._release)
        self._review()

    def _release(self) -> None:
        self.throttled = False
        self._review()


@dataclass(slots=True)
class ServiceLine:
    """A line of master.cf, as far as it matters here.

    Attributes:
        name: service name; program: ``smtp`` or ``lmtp``.
        limit: process limit, None: the default.
        words: what follows the command.
    """

    name: str = "smtp"
    program: str = "smtp"
    limit: int | None = None
    chroot: bool = False
    unprivileged: bool = False
    words: list[str] = field(default_factory=list)

    def arguments(self) -> list[str]:
        """The arguments that master(8) makes of it."""
        (service,) = services(self.text(), "master.cf", (3, 7, 11))
        return service.argv()[1:]

    def text(self) -> str:
        """The line itself."""
        limit = "-" if self.limit is None else str(self.limit)
        unprivileged = "y" if self.unprivileged else "n"
        chroot = "y" if self.chroot else "n"
        words = " ".join([self.program, *(f"{{ {word} }}" if " " in word else word for word in self.words)])
        return f"{self.name} unix - {unprivileged} {chroot} - {limit} {words}\n"
