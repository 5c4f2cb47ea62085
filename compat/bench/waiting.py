"""Waiting for what others do."""

import time
from collections.abc import Callable


def until(condition: Callable[[], object], timeout: float, nap: float = 0.002) -> None:
    """Wait until `condition` is true.

    Raises:
        TimeoutError: it was not within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:.0f} s in vain")
        time.sleep(nap)
