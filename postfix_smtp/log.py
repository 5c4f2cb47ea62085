"""What every room uses to speak to the operator.

Lines are Postfix's to the letter: the text is given here, the label (``warning: ``) and the destination (syslog,
postlogd, stderr) are added by :mod:`postfix_smtp.daemon.logging`, which installs the handler. Text is sanitised there,
so callers pass what they have.

Verbosity is the process's ``-v`` count, raised for one request or one session by ``debug_peer_list``; it is a context
variable because a process serves several deliveries at once.
"""

import logging
from contextvars import ContextVar

PANIC = logging.CRITICAL + 10

logger = logging.getLogger("postfix_smtp")
verbosity: ContextVar[int] = ContextVar("verbosity", default=0)


def info(text: str) -> None:
    """Log a line without label."""
    logger.log(logging.INFO, text)


def warning(text: str) -> None:
    """Log ``warning: TEXT``."""
    logger.log(logging.WARNING, text)


def error(text: str) -> None:
    """Log ``error: TEXT``; the 13th of a process is fatal (process chapter 14.1)."""
    logger.log(logging.ERROR, text)


def fatal(text: str) -> None:
    """Log ``fatal: TEXT``. Only logs: raise :class:`~postfix_smtp.errors.FatalError` to end something."""
    logger.log(logging.CRITICAL, text)


def panic(text: str) -> None:
    """Log ``panic: TEXT``. Only logs: raise :class:`~postfix_smtp.errors.PanicError` to end something."""
    logger.log(PANIC, text)


def verbose(level: int = 1) -> bool:
    """Whether this delivery is logged with at least `level` times ``-v``."""
    return verbosity.get() >= level
