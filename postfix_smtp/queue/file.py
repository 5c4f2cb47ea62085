"""The queue file of one delivery request: found, opened, locked, marked (queue-file chapters 6 to 9).

A request is served in this order: :func:`inspect` while the request is still being read, :meth:`QueueFile.open` when it
is complete, marks while results come in, :meth:`QueueFile.close` after the reply. The open file holds a shared lock,
so that a restarted queue manager leaves the message alone.
"""

import fcntl
import os
import stat
import time
from types import TracebackType
from typing import Self

from postfix_smtp import log
from postfix_smtp.errors import FatalError, PanicError
from postfix_smtp.queue.path import QueueSettings, is_queue_id, is_queue_name, queue_path
from postfix_smtp.queue.records import RecordReader, ReverseJumps

_RECIPIENT_DONE = b"D"
_MODE_CORRUPT = 0o400
_NEVER_MARKED = -1
#: A second link this young may be a rename in progress.
_LINK_GRACE_SECONDS = 60


class QueueFileMissing(Exception):
    """There is no such queue file (any more); already logged. The reply to the queue manager is "try again"."""


def inspect(settings: QueueSettings, queue_name: str, queue_id: str) -> None:
    """Log what is strange about a queue file. Refuses nothing: that is for :meth:`QueueFile.open`."""
    if not is_queue_name(queue_name):
        log.warning(f"bad mail queue name: {queue_name}")
        return
    if not is_queue_id(queue_id):
        return
    path = queue_path(settings, queue_name, queue_id)
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning(f"{path}: {error.strerror}")
        return
    if not stat.S_ISREG(status.st_mode):
        log.warning(f"{path}: uid {status.st_uid}: not a regular file")
    elif status.st_nlink > 1 and status.st_ctime < time.time() - _LINK_GRACE_SECONDS:
        log.warning(f"{path}: uid {status.st_uid}: file has {status.st_nlink} links")


class QueueFile:
    """An open, locked queue file.

    Attributes:
        path: relative to the queue directory, as log lines show it.
    """

    __slots__ = ("_descriptor", "_length_octets", "_reverse_jumps", "path")

    def __init__(self, descriptor: int, path: str, settings: QueueSettings) -> None:
        self._descriptor = descriptor
        self._length_octets = settings.length_octets
        self._reverse_jumps = ReverseJumps()
        self.path = path

    @classmethod
    def open(cls, settings: QueueSettings, queue_name: str, queue_id: str) -> Self:
        """Open the file for reading and writing, and take the shared lock.

        Raises:
            PanicError: name or id are malformed.
            QueueFileMissing: no such file; logged.
            FatalError: it cannot be opened or locked.
        """
        if not is_queue_name(queue_name):
            raise PanicError(f"mail_queue_dir: bad queue name: {queue_name}")
        if not is_queue_id(queue_id):
            raise PanicError(f"mail_queue_dir: bad queue id: {queue_id}")
        path = queue_path(settings, queue_name, queue_id)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError as error:
            log.warning(f"open {queue_name} {queue_id}: {error.strerror}")
            raise QueueFileMissing(path) from None
        except OSError as error:
            raise FatalError(f"open {queue_name} {queue_id}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise FatalError(f"shared lock {path}: {error.strerror}") from error
        return cls(descriptor, path, settings)

    def records(self, offset: int, size_hint: int = 0) -> RecordReader:
        """A reader of the records from `offset` (octets from the start of the file).

        Args:
            size_hint: octets expected to be read; a small message is then read in one go without a large buffer.

        Raises:
            FatalError: the offset cannot be a file offset.
        """
        try:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
        except (OSError, OverflowError) as error:
            raise FatalError(f"seek queue file: {getattr(error, 'strerror', 'Invalid argument')}") from error
        return RecordReader(self._descriptor, self.path, offset, self._length_octets, self._reverse_jumps, size_hint)

    def mark_done(self, offset: int) -> None:
        """Cross off the recipient whose record is at `offset`; -1 is a recipient without a record.

        The octet has reached the kernel when this returns; it is not forced to the disk.

        Raises:
            PanicError: no record can be there.
            FatalError: the file cannot be written.
        """
        if offset == _NEVER_MARKED:
            return
        if offset <= 0:
            raise PanicError(f"deliver_completed: bad offset {offset}")
        try:
            os.pwrite(self._descriptor, _RECIPIENT_DONE, offset)
        except (OSError, OverflowError) as error:
            log.warning(f"{self.path}: seek or write error")
            text = getattr(error, "strerror", "Invalid argument")
            raise FatalError(f"update queue file {self.path}: {text}") from error

    def mark_corrupt(self) -> None:
        """Set the mode that makes the queue manager move the file to the corrupt queue.

        Raises:
            FatalError: the mode cannot be changed.
        """
        log.warning(f"corrupted queue file: {self.path}")
        try:
            os.fchmod(self._descriptor, _MODE_CORRUPT)
        except OSError as error:
            raise FatalError(f"mark_corrupt: fchmod {self.path}: {error.strerror}") from error

    def close(self) -> None:
        """Give up the file and its lock; more than once does no harm."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
