"""The accept loop: several requests at a time, accounted to master(8) (process chapter 9).

What master(8) believes decides whether mail moves: as long as it records a process as available it does not start
another one. So a process says TAKEN when it is full or will not accept any more, and AVAIL when there is room again;
and it never keeps the record AVAIL while it does not accept.
"""

import asyncio
import contextlib
import os
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from postfix_smtp import log
from postfix_smtp.daemon.client import greet, serve
from postfix_smtp.daemon.listener import Listener, PassListener
from postfix_smtp.daemon.load import LoadMeter
from postfix_smtp.daemon.program import Program
from postfix_smtp.daemon.status import Status, StatusChannel
from postfix_smtp.daemon.threads import CountingExecutor
from postfix_smtp.daemon.watchdog import Watchdog
from postfix_smtp.ipc.channel import CHUNK, Channel
from postfix_smtp.ipc.delivery import DeliveryConnection

_FORK_PAUSE: Final = 0.05  #: seconds until a fork that was not possible is tried again
_STOP_TIMEOUT: Final = 5.0  #: seconds for closing what is open at the end


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How this process serves.

    Attributes:
        service: master.cf service name.
        capacity: requests at the same time.
        max_use: accepted requests after which the process ends. Each of the `capacity` places stands for one process of
            the stock program, so this is ``max_use`` times `capacity`.
        max_idle: seconds without a request after which it ends.
        ipc_timeout: of each wait for the queue manager, in seconds.
        deadline: of one request, in seconds from accept (``daemon_timeout``).
        options_name: see :attr:`postfix_smtp.ipc.settings.IpcSettings.options_name`.
    """

    service: str
    capacity: int
    max_use: int
    max_idle: float
    ipc_timeout: float
    deadline: float
    options_name: str


class Server:
    """Serves until there is a reason to end."""

    def __init__(
        self,
        program: Program,
        settings: ServerSettings,
        status: StatusChannel,
        listeners: Sequence[Listener],
        watchdog: Watchdog | None = None,
    ) -> None:
        self._program = program
        self._settings = settings
        self._status = status
        self._listeners = list(listeners)
        self._watchdog = watchdog
        self._name = f"{settings.service} socket"
        self._in_progress = 0
        self._accepted = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting = False
        self._leaving = False  # no new requests, end when the last one has ended
        self._taken = False  # what master(8) was told last
        self._counted = False  # master(8) has seen this process serve
        self._connected = True  # to master(8)
        self._splitting = False  # it has closed the channel, but believes that this process accepts clients
        self._load = LoadMeter()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._executor = CountingExecutor()
        self._loop: asyncio.AbstractEventLoop
        self._end: asyncio.Future[None]

    async def run(self) -> None:
        """Serve. Returns when the process is to end, with status 0."""
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.create_future()
        self._loop.set_default_executor(self._executor)
        await self._program.start()
        self._loop.add_reader(self._status.fileno(), self._master_gone)
        self._accept_clients(True)
        self._restart_idle_timer()
        if self._watchdog is not None:
            self._watchdog.start()
        await self._end
        # Closing sessions may take a moment, in which nobody accepts
        self._tell(Status.TAKEN)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_TIMEOUT):
                await self._program.stop()

    # Clients

    def _accept_clients(self, wanted: bool) -> None:
        if wanted == self._accepting:
            return
        self._accepting = wanted
        for listener in self._listeners:
            if wanted:
                self._loop.add_reader(listener.fileno(), self._client_waits, listener)
            else:
                self._loop.remove_reader(listener.fileno())

    def _client_waits(self, listener: Listener) -> None:
        """One client is accepted for each event: a loop would take work from processes that are free."""
        if not self._accepting:
            return
        changed = self._program.changed_table()
        if changed is not None:
            log.info(f"table {changed} has changed -- restarting")
            self._leave()
            return
        try:
            connected = listener.accept()
        except OSError as failure:
            self._cannot_accept(f"accept connection: {os.strerror(failure.errno or 0)}")
            return
        if connected is None:
            return
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if log.verbose():
            log.info("connection established")
        self._in_progress += 1
        self._accepted += 1
        if self._accepted >= self._settings.max_use:
            self._leaving = True
        if self._leaving or self._in_progress >= self._settings.capacity:
            self._tell(Status.TAKEN)
            self._accept_clients(False)
        elif self._load.is_saturated():
            # Another process may help, on another core; this one goes on accepting as well
            self._tell(Status.TAKEN)
        if isinstance(listener, PassListener):
            serving = self._serve_passed(listener, connected)
        else:
            serving = self._serve(self._greet(connected))
        task = self._loop.create_task(serving)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        deadline = self._loop.call_later(self._settings.deadline, task.cancel)
        task.add_done_callback(lambda _task: deadline.cancel())

    def _cannot_accept(self, text: str) -> None:
        """Without a delivery in progress try again, until too many errors end the process, as they end Postfix's.

        With one, wait for its end: it frees what is missing here, and is not to be lost.
        """
        if not self._in_progress:
            log.error(text)
            return
        log.warning(text)
        self._tell(Status.TAKEN)
        self._accept_clients(False)

    def _greet(self, client: socket.socket) -> DeliveryConnection | None:
        return greet(Channel(client, self._name, self._settings.ipc_timeout), self._settings.options_name)

    async def _serve(self, connection: DeliveryConnection | None) -> None:
        served = False
        try:
            if connection is not None:
                served = await serve(self._program, connection, self._may_die)
        finally:
            self._client_done(served)

    async def _serve_passed(self, listener: PassListener, connected: socket.socket) -> None:
        connection = None
        try:
            client = await listener.client(connected)
            if client is not None:
                connection = self._greet(client)
        finally:
            await self._serve(connection)

    def _client_done(self, served: bool) -> None:
        """The connection is closed."""
        if log.verbose():
            log.info("connection closed")
        self._in_progress -= 1
        if not self._leaving and not self._accepting:
            # There is room again
            if self._splitting or self._tell(Status.AVAIL):
                self._accept_clients(True)
            else:
                self._leave()
        elif self._taken and not self._leaving and not self._splitting:
            # Still accepting: TAKEN means that the loop was saturated
            calm = self._in_progress == 0 or not self._load.is_saturated()
            if calm or (served and not self._counted):
                if not self._tell(Status.AVAIL):
                    self._leave()
                elif not calm:
                    # That was for master(8)'s count only, as below
                    self._tell(Status.TAKEN)
        elif served and not self._counted and not self._taken:
            # Without a TAKEN and an AVAIL master(8) would think that this process never served anybody, and hold up
            # the service when it crashes (process chapter 9.2)
            self._tell(Status.TAKEN)
            if not self._tell(Status.AVAIL):
                self._leave()
        if self._in_progress == 0:
            if self._leaving:
                self._finish()
            else:
                self._restart_idle_timer()

    def _may_die(self) -> bool:
        """Whether an error that is fatal to a request may end the process, as it ends the stock program.

        Only if the process holds no other delivery. master(8) is told that nobody accepts here any more.
        """
        if self._in_progress != 1:
            return False
        self._accept_clients(False)
        self._tell(Status.TAKEN)
        return True

    def _restart_idle_timer(self) -> None:
        self._idle_timer = self._loop.call_later(self._settings.max_idle, self._idle)

    def _idle(self) -> None:
        if self._in_progress == 0:
            if log.verbose():
                log.info("idle timeout -- exiting")
            self._finish()

    # master(8)

    def _tell(self, status: Status) -> bool:
        """Report a change; False when master(8) is gone, which matters only after AVAIL."""
        taken = status is Status.TAKEN
        if taken == self._taken:
            return True
        if not self._connected or not self._status.report(status):
            return False
        self._counted |= not taken
        self._taken = taken
        return True

    def _leave(self) -> None:
        """Accept nobody any more, and end when the last request has ended."""
        self._leaving = True
        self._accept_clients(False)
        if self._in_progress == 0:
            self._finish()
        else:
            self._tell(Status.TAKEN)

    def _finish(self) -> None:
        # At once: a client may wait in this very turn of the loop
        self._accept_clients(False)
        if not self._end.done():
            self._end.set_result(None)

    def _master_gone(self) -> None:
        """master(8) closed the channel: a reload, or its end."""
        if not self._status.is_closed:
            return
        self._loop.remove_reader(self._status.fileno())
        self._connected = False
        if self._in_progress == 0:
            if log.verbose():
                log.info("master disconnect -- exiting")
            self._finish()
        elif self._taken:
            # master(8) does not count on this process: it can take its time
            self._leave()
        else:
            self._split_off()

    def _split_off(self) -> None:
        """Go on as another process, so that master(8) sees this one end.

        After a reload master(8) still believes that this process accepts clients, and would start no other until it
        has ended; it can be told nothing any more (process chapter 9.4). Until the split has worked, clients are
        accepted: never to accept is the one thing that must not be.
        """
        self._splitting = self._in_progress > 0
        if not self._splitting:
            self._leave()
        elif self._executor.at_work == 0 and fork_loop(self._loop, self._replace_executor):
            self._splitting = False
            self._leave()
            for listener in self._listeners:
                listener.close()
            self._listeners.clear()
            if self._watchdog is not None:
                self._watchdog.start()
        else:
            self._loop.call_later(_FORK_PAUSE, self._split_off)

    def _replace_executor(self) -> None:
        """Threads do not exist in a child. They are idle; wait for the last to put down its result."""
        old, self._executor = self._executor, CountingExecutor()
        self._loop.set_default_executor(self._executor)
        old.shutdown(wait=True)


async def serve_once(program: Program, settings: ServerSettings) -> None:
    """Serve one request on standard input and output (option ``-S``)."""
    await program.start()
    ours, theirs = socket.socketpair()
    pumps = [
        threading.Thread(target=_pump, args=(partial(os.read, 0), theirs.sendall, theirs), daemon=True),
        threading.Thread(target=_pump, args=(theirs.recv, _write_output, None)),
    ]
    for pump in pumps:
        pump.start()
    channel = Channel(ours, "unknown_stream", settings.ipc_timeout)
    connection = greet(channel, settings.options_name)
    if connection is not None:
        await serve(program, connection, lambda: True)
    pumps[1].join()
    await program.stop()


def _pump(read: Callable[[int], bytes], write: Callable[[bytes], None], end: socket.socket | None) -> None:
    with contextlib.suppress(OSError):
        while octets := read(CHUNK):
            write(octets)
    if end is not None:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_WR)


def _write_output(octets: bytes) -> None:
    while octets:
        octets = octets[os.write(1, octets) :]


def fork_loop(loop: asyncio.AbstractEventLoop, before: Callable[[], None]) -> bool:
    """Continue the running `loop` in a child, and end this process with status 0. False when that failed.

    Must be called by the loop itself (a callback or timer).

    Args:
        before: called first; must leave no thread behind.
    """
    before()
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        child = os.fork()
    except OSError as failure:
        log.warning(f"fork: {os.strerror(failure.errno or 0)}")
        return False
    if child:
        os._exit(0)
    # The loop remembers which process it runs in
    asyncio._set_running_loop(loop)
    return True
