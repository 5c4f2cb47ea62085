"""Ends a process whose event loop does not turn any more (process chapter 10.4).

A single delivery that takes too long is no matter for it: each has its own deadline.
"""

import asyncio
import signal
from types import FrameType

from postfix_smtp.daemon.logging import die
from postfix_smtp.errors import PanicError

ALARMS = 3


class Watchdog:
    """Counts alarms that come without a turn of the loop between them; the third ends the process.

    Args:
        timeout: ``daemon_timeout`` in seconds.

    Raises:
        PanicError: the time is too short to be divided.
    """

    def __init__(self, timeout: int) -> None:
        if timeout < ALARMS:
            raise PanicError(f"watchdog_create: timeout {timeout} is too small")
        self._interval = timeout // ALARMS
        self._missed = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin, in the running loop. Also to be called in a child, which inherits no alarm."""
        self._loop = asyncio.get_running_loop()
        signal.signal(signal.SIGALRM, self._alarm)
        self._turn()

    def _turn(self) -> None:
        assert self._loop is not None
        self._missed = 0
        signal.alarm(self._interval)
        self._loop.call_later(self._interval / 2, self._turn)

    def _alarm(self, _number: int, _frame: FrameType | None) -> None:
        self._missed += 1
        if self._missed >= ALARMS:
            die("watchdog timeout")
        signal.alarm(self._interval)

    @staticmethod
    def stop() -> None:
        """No more alarms."""
        signal.alarm(0)
