"""Files beside each other: a token file, its lock, its next version. All of it works in a jail and without root.

A path below the folder of token files, which is opened before the jail, is used relative to that descriptor; one below
the queue directory relative to the working directory, which is the queue directory inside and outside a jail. Any other
path is what it is: in a jail it begins at the jail's root.
"""

import contextlib
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from postfix_smtp.sasl.oauth.errors import TokenError

MAX_SIZE = 1 << 18
_POLL = 0.02
#: Room for a new token, reserved before the provider is asked for it.
_ROOM = 1 << 15


@dataclass(frozen=True, slots=True)
class Place:
    """Where one token file is.

    Attributes:
        path: as configured, for log lines.
        name: to open it.
        folder: the descriptor that `name` is relative to.
    """

    path: str
    name: str
    folder: int | None = None

    def read(self) -> bytes:
        """The content.

        Raises:
            TokenError: it cannot be read.
        """
        try:
            descriptor = os.open(self.name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=self.folder)
        except OSError as failure:
            raise TokenError(f"open token file {self.path}: {failure.strerror}", lasting=True) from None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise TokenError(f"token file {self.path} is no regular file", lasting=True)
            octets = os.read(descriptor, MAX_SIZE + 1)
        finally:
            os.close(descriptor)
        if len(octets) > MAX_SIZE:
            raise TokenError(f"token file {self.path} is too large", lasting=True)
        return octets

    def status(self) -> os.stat_result:
        """Of the token file."""
        try:
            return os.stat(self.name, dir_fd=self.folder)
        except OSError as failure:
            raise TokenError(f"open token file {self.path}: {failure.strerror}", lasting=True) from None

    @contextlib.contextmanager
    def locked(self, seconds: float) -> "Iterator[Lock]":
        """Hold the lock that lets only one process renew the token.

        Raises:
            TokenError: it cannot be had within so many seconds.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            descriptor = os.open(f"{self.name}.lock", flags, 0o600, dir_fd=self.folder)
        except OSError as failure:
            raise TokenError(f"open {self.path}.lock: {failure.strerror}", lasting=True) from None
        try:
            self._share(descriptor)
            deadline = time.monotonic() + seconds
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise TokenError(f"{self.path} is being renewed by another process") from None
                    time.sleep(_POLL)
            yield Lock(self, descriptor)
        finally:
            # A child that renews keeps the lock by its own descriptor
            os.close(descriptor)

    def _share(self, descriptor: int) -> None:
        """A lock made by root is for whoever the token file is for."""
        if os.geteuid() == 0:
            status = self.status()
            os.fchown(descriptor, status.st_uid, status.st_gid)
            os.fchmod(descriptor, 0o660 if status.st_mode & stat.S_IRGRP else 0o600)

    def last(self) -> dict[str, Any]:
        """What was noted about the last renewal, without the lock; empty if nothing is known."""
        try:
            descriptor = os.open(f"{self.name}.lock", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.folder)
        except OSError:
            return {}
        with open(descriptor, "rb") as file:
            return _note(file.read(MAX_SIZE))


@dataclass(frozen=True, slots=True)
class Lock:
    """The right to change a token file."""

    place: Place
    descriptor: int

    def note(self) -> dict[str, Any]:
        """What was noted about the last renewal."""
        return _note(os.pread(self.descriptor, MAX_SIZE, 0))

    def set_note(self, **members: Any) -> None:
        """Note something in place of it; no secrets."""
        octets = json.dumps(members).encode()
        with contextlib.suppress(OSError):
            os.ftruncate(self.descriptor, 0)
            os.pwrite(self.descriptor, octets, 0)

    @contextlib.contextmanager
    def replacement(self) -> "Iterator[Replacement]":
        """A new version of the file, so far empty.

        Room on the disk is reserved at once: it must not turn out only afterwards that a token cannot be stored.

        Raises:
            TokenError: a new version cannot be made.
        """
        place = self.place
        name = f"{place.name}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        old = place.status()
        try:
            descriptor = os.open(name, flags, 0o600, dir_fd=place.folder)
        except OSError as failure:
            raise TokenError(f"open {place.path}.new: {failure.strerror}", lasting=True) from None
        try:
            try:
                new = os.fstat(descriptor)
                if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
                    # Without root the file becomes one of this user
                    with contextlib.suppress(PermissionError):
                        os.fchown(descriptor, old.st_uid, old.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
                os.posix_fallocate(descriptor, 0, old.st_size + _ROOM)
            except OSError as failure:
                raise TokenError(f"write {place.path}.new: {failure.strerror}") from None
            yield Replacement(place, name, descriptor)
        finally:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=place.folder)


@dataclass(frozen=True, slots=True)
class Replacement:
    """The next version of a token file."""

    place: Place
    name: str
    descriptor: int

    def commit(self, octets: bytes) -> None:
        """Put it in the place of the old one, durably.

        Raises:
            TokenError: it did not work.
        """
        place = self.place
        try:
            written = 0
            while written < len(octets):
                written += os.pwrite(self.descriptor, octets[written:], written)
            os.ftruncate(self.descriptor, len(octets))
            os.fsync(self.descriptor)
            os.rename(self.name, place.name, src_dir_fd=place.folder, dst_dir_fd=place.folder)
            directory = os.open(os.path.dirname(place.name) or ".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=place.folder)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as failure:
            raise TokenError(f"write token file {place.path}: {failure.strerror}") from None


class Locator:
    """Finds the places of token files.

    Args:
        queue_directory: the working directory.
        folder_path, folder: the folder of token files, and its descriptor; None if there is no such folder.
    """

    def __init__(self, queue_directory: str, folder_path: str = "", folder: int | None = None) -> None:
        self._queue = os.path.normpath(queue_directory) + "/" if queue_directory else ""
        self._folder_path = os.path.normpath(folder_path) + "/" if folder_path else ""
        self._folder = folder

    def place(self, path: str) -> Place:
        """Where the file `path` is."""
        normal = os.path.normpath(path)
        if self._folder is not None and normal.startswith(self._folder_path):
            return Place(path, normal.removeprefix(self._folder_path), self._folder)
        if self._queue and normal.startswith(self._queue):
            return Place(path, normal.removeprefix(self._queue))
        if os.path.islink(normal):
            # The file itself is to be replaced, not the link to it
            normal = os.path.realpath(normal)
        return Place(path, normal)


def _note(octets: bytes) -> dict[str, Any]:
    try:
        note = json.loads(octets)
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}
