"""What tables in database files have in common: the file behind them, and the trailing NUL (tables chapter 4 and 6).

Files are read with pread(2), never mapped: who cuts a mapped file short under a reader kills the reader.
"""

import contextlib
import os
import threading
import time
from abc import abstractmethod
from collections.abc import Iterator

from postfix_smtp import log
from postfix_smtp.errors import FatalError
from postfix_smtp.tables.base import OpenError, Table

#: A source that was changed within this time may be about to be indexed (seconds).
_SOURCE_SETTLES = 100


class DamagedFile(Exception):
    """The file is no database, or not a whole one. The text is Postfix's word for it."""


class DatabaseFile:
    """An open database file.

    Args:
        path: with suffix.

    Attributes:
        descriptor: for locking.
        modified: the file's time when it was opened (seconds).

    Raises:
        OSError: cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.modified = int(os.fstat(self.descriptor).st_mtime)

    def read(self, position: int, size: int) -> bytes:
        """Read up to `size` octets at `position`; fewer only at the end of the file."""
        return os.pread(self.descriptor, size, position)

    def size(self) -> int:
        """How long the file is now."""
        return os.fstat(self.descriptor).st_size

    def warn_if_older_than(self, source: str) -> None:
        """Warn if the text file it was made of has been changed since."""
        try:
            changed = int(os.stat(source).st_mtime)
        except OSError:
            return
        if self.modified < changed < time.time() - _SOURCE_SETTLES:
            log.warning(f"database {self.path} is older than source file {source}")

    def close(self) -> None:
        """Close the file."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class IndexedTable(Table):
    """A table in a database file; may be used by several threads.

    Args:
        name: ``type:name`` as log lines show it.
        shown: how the error of a look-up names the table.
    """

    def __init__(self, name: str, file: DatabaseFile, shown: str) -> None:
        super().__init__(name)
        self._file = file
        self._shown = shown
        # Locks belong to the file or the process, not to the thread: one would take the other's away.
        self._alone = threading.Lock()
        self._with_nul: bool | None = None

    def lookup(self, key: str) -> str | None:
        """Look up with or without a NUL; the first hit tells how the file was written.

        Raises:
            FatalError: the file is damaged, or cannot be read.
        """
        octets = key.encode("utf-8", "surrogateescape")
        with self._alone:
            try:
                value = self.get(octets) if self._with_nul is False else self.get(octets + b"\0")
                if self._with_nul is None:
                    if value is None:
                        value = self.get(octets)
                        if value is not None:
                            self._with_nul = False
                    else:
                        self._with_nul = True
            except DamagedFile as error:
                raise FatalError(f"error reading {self._shown}: {error}") from None
            except OSError as error:
                raise FatalError(f"error reading {self._shown}: {error.strerror}") from None
        if value is None:
            return None
        end = value.find(0)
        return (value if end < 0 else value[:end]).decode("utf-8", "surrogateescape")

    @abstractmethod
    def get(self, key: bytes) -> bytes | None:
        """The value for exactly these octets.

        Raises:
            DamagedFile: not as it should be.
            OSError: cannot be read or locked.
        """

    def changed(self) -> bool:
        """The file was removed, replaced or rewritten."""
        status = os.fstat(self._file.descriptor)
        return status.st_nlink == 0 or int(status.st_mtime) != self._file.modified

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_file(path: str) -> DatabaseFile:
    """Open a database file.

    Raises:
        OpenError: impossible.
    """
    try:
        return DatabaseFile(path)
    except OSError as error:
        raise OpenError(f"open database {path}: {error.strerror}") from None


@contextlib.contextmanager
def first_look(file: DatabaseFile) -> Iterator[None]:
    """Look into a file that was just opened; it is closed again if it is no good.

    Raises:
        OpenError: in place of DamagedFile and OSError.
    """
    try:
        yield
    except (DamagedFile, OSError) as error:
        file.close()
        text = error.strerror if isinstance(error, OSError) else error
        raise OpenError(f"open database {file.path}: {text}") from None
