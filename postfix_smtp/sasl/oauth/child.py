"""Work that must come to its end even if this process is killed in the middle of it."""

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Callable, Iterable
from typing import TypeAlias

from postfix_smtp.sasl.oauth.errors import TokenError

StopClock: TypeAlias = Callable[[], None]
#: Seconds that a child has after its time limit to say that it was exceeded.
_GRACE = 5
_PIECE = 65536
#: Children that did not end in time; they are waited for when there is occasion.
_late: list[int] = []


class _Deadline(TimeoutError):
    """The time limit was exceeded."""


def run(work: Callable[[StopClock], None], descriptors: Iterable[int | None], seconds: float) -> None:
    """Do something in a child process, and wait for it.

    The child does not end with this process, nor by SIGTERM. It keeps no descriptor but standard ones and those named,
    so that no connection stays open because of it.

    Args:
        work: is given a function to call when the time limit ends to count, and may raise TokenError.
        descriptors: that the work needs; None is ignored.
        seconds: time limit.

    Raises:
        TokenError: from the work, or because it does not end.
    """
    _reap()
    ours, theirs = os.pipe()
    try:
        child = os.fork()
    except OSError:
        os.close(ours)
        os.close(theirs)
        work(_nothing)
        return
    if child == 0:
        try:
            _detach([theirs, *(number for number in descriptors if number is not None)], seconds)
            os.write(theirs, json.dumps(_outcome(work)).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    try:
        said = _read(ours, seconds + _GRACE)
    finally:
        os.close(ours)
    if said is None:
        _late.append(child)
        raise TokenError("the renewal does not come to an end")
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)
    try:
        outcome = json.loads(said)
    except ValueError:
        raise TokenError("the renewal was ended by a signal") from None
    if outcome:
        raise TokenError(outcome["reason"], lasting=outcome["lasting"])


def _outcome(work: Callable[[StopClock], None]) -> dict[str, object]:
    try:
        work(_stop_clock)
    except TokenError as failure:
        return {"reason": failure.reason, "lasting": failure.lasting}
    except _Deadline:
        return {"reason": "the token endpoint does not answer within the time limit", "lasting": False}
    except BaseException as failure:
        return {"reason": f"unexpected error: {type(failure).__name__}", "lasting": False}
    return {}


def _detach(keep: list[int], seconds: float) -> None:
    with contextlib.suppress(OSError):
        os.setsid()
    signal.set_wakeup_fd(-1)
    for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, _on_alarm)
    start = 3
    for number in sorted({number for number in keep if number > 2}):
        os.closerange(start, number)
        start = number + 1
    os.closerange(start, os.sysconf("SC_OPEN_MAX"))
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _on_alarm(_number: int, _frame: object) -> None:
    raise _Deadline


def _stop_clock() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)


def _nothing() -> None:
    """There is no clock."""


def _read(descriptor: int, seconds: float) -> bytes | None:
    """Everything up to the end; None if that does not come."""
    deadline = time.monotonic() + seconds
    said = b""
    while True:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return None
        piece = os.read(descriptor, _PIECE)
        if not piece:
            return said
        said += piece


def _reap() -> None:
    for child in list(_late):
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(child, os.WNOHANG)[0] == 0:
                continue
        with contextlib.suppress(ValueError):
            _late.remove(child)
