"""Signals and resource limits of a service process (process chapters 1.6 and 10.3)."""

import contextlib
import resource
import signal
from typing import Final

from postfix_smtp import log

_WANTED_FILES: Final = 256


def set_signals() -> None:
    """Ignore what a failed write would raise; everything else has its default action, also what Python catches."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def raise_descriptor_limit() -> None:
    """Raise the soft limit of open files to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def warn_of_few_descriptors() -> None:
    """Say so if the process may not have as many files open as Postfix's event loop makes room for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _WANTED_FILES:
        log.warning(f"could allocate space for only {soft} open files")
