"""How busy the event loop is.

A process whose deliveries wait for slow servers can take many more; one whose loop needs a whole core should let
master(8) start another process for the next core. The loop's own CPU time tells the two apart. When several processes
compete for too few cores each gets less than a core, counts as less busy, and no further one is asked for.
"""

import time
from collections.abc import Callable
from typing import Final

PERIOD: Final = 0.05  #: seconds over which the load is measured
BUSY: Final = 0.75  #: share of a core above which the loop is saturated...
CALM: Final = 0.5  #: ...until it falls below this one


class LoadMeter:
    """Watches the CPU time of the thread it is used in.

    Args:
        cpu: CPU seconds of this thread so far.
        clock: seconds, monotonic.
    """

    def __init__(
        self, cpu: Callable[[], float] = time.thread_time, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cpu = cpu
        self._clock = clock
        self._since = clock()
        self._used = cpu()
        self._saturated = False

    def is_saturated(self) -> bool:
        """Whether the loop was busy all the time lately. Cheap; to be asked at each accept and each end."""
        now = self._clock()
        elapsed = now - self._since
        if elapsed >= PERIOD:
            used = self._cpu()
            load = (used - self._used) / elapsed
            self._since, self._used = now, used
            self._saturated = load > (CALM if self._saturated else BUSY)
        return self._saturated
