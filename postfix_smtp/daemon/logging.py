"""Where log lines go: syslog or postlogd(8), and standard error (process chapter 14).

The rest of the program speaks through :mod:`postfix_smtp.log`; this is the handler behind it. Sockets are connected
when logging is set up, before a chroot.
"""

import contextlib
import logging
import os
import socket
import sys
import time
from abc import ABC, abstractmethod
from typing import Final, NoReturn

from postfix_smtp import log
from postfix_smtp.printable import printable
from postfix_smtp.text import to_octets

SYSLOG_SOCKET: Final = "/dev/log"
ERROR_LIMIT: Final = 13  #: so many errors end the process
TEXT_LIMIT: Final = 2000  #: octets of a line's text

FACILITIES: Final = {
    "auth": 4,
    "authpriv": 10,
    "cron": 9,
    "daemon": 3,
    "ftp": 11,
    "kern": 2,  # its number is 0, which syslog(3) takes for "the default"
    "lpr": 6,
    "mail": 2,
    "news": 7,
    "syslog": 5,
    "user": 1,
    "uucp": 8,
    **{f"local{number}": 16 + number for number in range(8)},
}

_LABELS: Final = {
    logging.INFO: (b"", 6),
    logging.WARNING: (b"warning: ", 4),
    logging.ERROR: (b"error: ", 3),
    logging.CRITICAL: (b"fatal: ", 2),
    log.PANIC: (b"panic: ", 2),
}


class _Destination(ABC):
    """A datagram socket with a way to write a line to it."""

    def __init__(self, path: str, tag: str) -> None:
        self._path = path
        self._tag = to_octets(tag)
        self._socket: socket.socket | None = None
        self._second = -1
        self._stamp = b""

    def connect(self) -> bool:
        """Connect if not connected; whether that is so now."""
        if self._socket is None:
            endpoint = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                endpoint.connect(self._path)
            except OSError:
                endpoint.close()
                return False
            self._socket = endpoint
        return True

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def stamp(self, form: str) -> bytes:
        """The time of day."""
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._stamp = time.strftime(form, time.localtime(now)).encode("ascii")
        return self._stamp

    @abstractmethod
    def write(self, severity: int, text: bytes) -> None:
        """Send one line; nobody hears of a failure."""


class Syslog(_Destination):
    """The system's syslog socket, in the form of libc's ``syslog()``, which connects again once when sending fails."""

    def __init__(self, tag: str, facility: int, path: str = SYSLOG_SOCKET) -> None:
        super().__init__(path, tag)
        self._facility = facility
        self.connect()

    def write(self, severity: int, text: bytes) -> None:
        """Send one line."""
        stamp = self.stamp("%b %e %H:%M:%S")
        datagram = b"<%d>%b %b[%d]: %b" % (self._facility * 8 + severity, stamp, self._tag, os.getpid(), text)
        for _ in range(2):
            if not self.connect():
                return
            assert self._socket is not None
            try:
                self._socket.send(datagram)
                return
            except OSError:
                self.close()


class Postlog(_Destination):
    """The socket of postlogd(8), which writes ``maillog_file``.

    A socket that is not there is tried again for each line. A failed send is ignored and the socket kept: it belongs
    to master(8) and outlives postlogd.
    """

    def __init__(self, tag: str, hostname: str, path: str) -> None:
        super().__init__(path, tag)
        self._hostname = to_octets(hostname.partition(".")[0])
        self.connect()

    def write(self, severity: int, text: bytes) -> None:
        """Send one line."""
        if self.connect():
            assert self._socket is not None
            stamp = self.stamp("%b %d %H:%M:%S")
            with contextlib.suppress(OSError):
                self._socket.send(b"%b %b %b[%d]: %b" % (stamp, self._hostname, self._tag, os.getpid(), text))


class LogHandler(logging.Handler):
    """Hands the program's log lines to their destination.

    Attributes:
        utf8: keep UTF-8 (``smtputf8_enable``); strict: only well-formed (Postfix 3.9 and later).
        stderr: write to standard error as well.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.utf8 = False
        self.strict = False
        self.stderr = False
        self._tag = "unknown"
        self._destination: _Destination | None = None
        self._errors = 0

    def use(self, tag: str, destination: _Destination | None) -> None:
        """Send lines to `destination` from now on. `tag` is for standard error."""
        if self._destination is not None:
            self._destination.close()
        self._tag = tag
        self._destination = destination

    def emit(self, record: logging.LogRecord) -> None:
        """Send one line; the last error that is allowed ends the process."""
        label, severity = _LABELS.get(record.levelno, _LABELS[logging.INFO])
        text = to_octets(printable(record.getMessage(), self.utf8, self.strict))[:TEXT_LIMIT]
        if self._destination is not None:
            self._destination.write(severity, label + text)
        if self.stderr:
            self.write_stderr(label + text)
        if record.levelno == logging.ERROR:
            self._errors += 1
            if self._errors >= ERROR_LIMIT:
                die("too many errors - program terminated")

    def write_stderr(self, text: bytes) -> None:
        """Write one line to standard error only."""
        with contextlib.suppress(OSError):
            os.write(2, b"%b: %b\n" % (to_octets(self._tag), text))


def install(handler: LogHandler) -> None:
    """Make `handler` the one destination of :mod:`postfix_smtp.log`."""
    # What a record carries beside its text is never shown here, and costs time
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.raiseExceptions = False
    logging._srcfile = None
    log.logger.propagate = False
    log.logger.setLevel(logging.INFO)
    log.logger.handlers[:] = [handler]


def provisional(handler: LogHandler, program: str) -> None:
    """Log as the environment says, before main.cf is read (step 4 of the start)."""
    tag = f"{os.environ.get('MAIL_LOGTAG', 'postfix')}/{program}"
    path = os.environ.get("POSTLOG_SERVICE")
    if path:
        handler.use(tag, Postlog(tag, os.environ.get("POSTLOG_HOSTNAME") or "amnesiac", path))
    else:
        handler.use(tag, Syslog(tag, FACILITIES["mail"]))


def die(text: str) -> NoReturn:
    """Log ``fatal: TEXT`` and end the process with status 1, a second later, without cleaning up."""
    log.fatal(text)
    sys.stderr.flush()
    time.sleep(1)
    os._exit(1)


def die_panicking(text: str) -> NoReturn:
    """Log ``panic: TEXT`` and abort the process, a second later."""
    log.panic(text)
    time.sleep(1)
    os.abort()
