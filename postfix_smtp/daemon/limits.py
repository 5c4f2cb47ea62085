"""Signals and resource limits of a service process (process chapters 1.6 and 10.3)."""

import contextlib
import resource
import signal


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
