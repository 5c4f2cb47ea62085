"""The threads that wait for look-ups, and a count of those at work: a process with such cannot fork."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.thread import ThreadPoolExecutor
from typing import Any

MAX_THREADS = 32


class CountingExecutor(ThreadPoolExecutor):
    """An executor that knows how many calls have not ended.

    Before a fork it must be shut down and replaced: a call counts as ended a moment before its result is delivered.
    """

    def __init__(self) -> None:
        super().__init__(MAX_THREADS, "lookup")
        self._lock = threading.Lock()
        self.at_work = 0

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> "Future[Any]":
        """Run a call in a thread."""
        with self._lock:
            self.at_work += 1
        return super().submit(self._run, call, arguments, keywords)

    def _run(self, call: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        try:
            return call(*arguments, **keywords)
        finally:
            with self._lock:
                self.at_work -= 1
