"""The status channel to master(8): who has room for clients (process chapter 5)."""

import os
import socket
import struct
from enum import IntEnum
from typing import Final

from postfix_smtp import log
from postfix_smtp.errors import FatalError

_MESSAGE: Final = struct.Struct("=iIi")
_DIGITS: Final = "0123456789"
_OCTAL_DIGITS: Final = "01234567"
_LARGEST: Final = (1 << 64) - 1


class Status(IntEnum):
    """What a process tells master(8) about itself."""

    TAKEN = 0
    AVAIL = 1


def generation(text: str | None) -> int:
    """The number in environment variable ``GENERATION``, octal; 0 without one.

    Any digits will do, as they do for Postfix: what begins with the first that is not octal does not count.

    Raises:
        FatalError: something else than digits.
    """
    if text is None:
        return 0
    if not text or text.strip(_DIGITS):
        raise FatalError(f"bad generation: {text}")
    octal = text[: len(text) - len(text.lstrip(_OCTAL_DIGITS))] or "0"
    number = min(int(octal, 8), _LARGEST) & 0xFFFFFFFF
    if log.verbose():
        log.info(f"process generation: {text} ({number:o})")
    return number


class StatusChannel:
    """One end of the socket pair; all processes of a service share it, so its mode must not be changed.

    Args:
        descriptor: 5.
        number: generation of this process.
    """

    def __init__(self, descriptor: int, number: int) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=descriptor)
        self._generation = number
        # A process that goes on after a reload must not report for itself, so the number is kept.
        self._pid = os.getpid()

    def fileno(self) -> int:
        """The descriptor, to watch it for end of file."""
        return self._socket.fileno()

    def report(self, status: Status) -> bool:
        """Tell master(8); False when it has closed the channel."""
        text = ""
        try:
            os.write(self._socket.fileno(), _MESSAGE.pack(self._pid, self._generation, status))
        except OSError as failure:
            text = f": {os.strerror(failure.errno or 0)}"
        if log.verbose():
            log.info(f"master_notify: status {status:d}{text}")
        return not text

    @property
    def is_closed(self) -> bool:
        """master(8) closed its end: reload, or the end of it all. Nothing is ever read from the channel."""
        try:
            return not self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return True
