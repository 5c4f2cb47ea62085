"""What the emulated services have in common: a socket, the announcement, and a memory of every request.

A service is strict about each attribute: name, order, form. What is not as it should be is a *problem*, which tests
look at: an emulator that forgives hides a defect that the real service would not forgive.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compat.background import Background
from postfix_smtp.ipc.attributes import Kind, Layout, ListError, encode
from postfix_smtp.ipc.channel import Channel

TIMEOUT = 30.0


@dataclass(slots=True)
class Call:
    """One request that a service received.

    Attributes:
        service: name of the service.
        attributes: (name, value) in the order of the wire; numbers are int, data is bytes.
    """

    service: str
    attributes: list[tuple[str, Any]] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        """The first value of attribute `name`."""
        for key, value in self.attributes:
            if key == name:
                return value
        raise KeyError(name)

    def as_dict(self) -> dict[str, Any]:
        """The attributes as a mapping; a name that repeats gets ``#2``."""
        result: dict[str, Any] = {}
        for key, value in self.attributes:
            number = 2
            name = key
            while name in result:
                name = f"{key}#{number}"
                number += 1
            result[name] = value
        return result


class Recorder:
    """The common memory of the services of one world.

    Attributes:
        calls: all requests, in order of arrival.
        problems: what was not as it should be.
        changed: is called after each new call.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.problems: list[str] = []
        self.changed: Callable[[], None] = lambda: None
        self._arrival = threading.Condition()

    def add(self, call: Call) -> None:
        """Remember a request."""
        with self._arrival:
            self.calls.append(call)
            self._arrival.notify_all()
        self.changed()

    def wait(self, service: str, count: int, timeout: float = TIMEOUT) -> list[Call]:
        """Wait until a service was called so many times; its calls.

        Raises:
            TimeoutError: it was not.
        """
        with self._arrival:
            if not self._arrival.wait_for(lambda: len(self.of(service)) >= count, timeout):
                raise TimeoutError(f"{service}: {len(self.of(service))} calls instead of {count}")
        return self.of(service)

    def of(self, service: str) -> list[Call]:
        """The requests to one service."""
        return [call for call in self.calls if call.service == service]


class Service:
    """A service on a socket; subclasses speak its protocol.

    Args:
        directory: queue directory.
        name: service name.
        recorder: where requests are remembered.
    """

    protocol = ""
    folder = "private"
    stream_suffix = " socket"

    def __init__(self, directory: Path, name: str, recorder: Recorder) -> None:
        self.name = name
        self.path = directory / self.folder / name
        self.recorder = recorder
        self.connections = 0
        self._listener: socket.socket | None = None
        self._background: Background | None = None

    def start(self, background: Background) -> None:
        """Listen. To be called in the loop of `background`."""
        self._background = background
        self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self._listener = bind(self.path)
        background.loop.add_reader(self._listener.fileno(), self._accept)

    def stop(self) -> None:
        """Do not listen any more."""
        if self._listener is not None and self._background is not None:
            self._background.loop.remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()

    def _accept(self) -> None:
        assert self._listener is not None
        assert self._background is not None
        with contextlib.suppress(BlockingIOError):
            connected, _ = self._listener.accept()
            self.connections += 1
            channel = Channel(connected, f"{self.name}{self.stream_suffix}", TIMEOUT)
            self._background.spawn(self._serve(channel))

    async def _serve(self, channel: Channel) -> None:
        channel.timeout = None
        try:
            await channel.send(self.announcement())
            await self.converse(channel)
        except (ListError, OSError) as failure:
            if not isinstance(failure, ListError) or not failure.empty:
                self.problem(f"malformed request or lost connection: {failure!r}")
        finally:
            channel.close()

    def announcement(self) -> bytes:
        """What the service says first."""
        return encode((("protocol", self.protocol),))

    async def converse(self, channel: Channel) -> None:
        """Serve one connection."""
        raise NotImplementedError

    def problem(self, text: str) -> None:
        """Something is not as it should be."""
        self.recorder.problems.append(f"{self.name}: {text}")

    def expect(self, what: str, found: object, wanted: object) -> None:
        """Note a problem unless `found` is `wanted`."""
        if found != wanted:
            self.problem(f"{what} is {found!r}, not {wanted!r}")

    def record(self, layout: Layout, values: Sequence[Any], head: Sequence[tuple[str, Any]] = ()) -> Call:
        """Remember a request that was read by `layout`."""
        names = [name for name, kind, _ in layout.wanted if kind is not Kind.FIXED]
        call = Call(self.name, [*head, *zip(names, values, strict=True)])
        self.recorder.add(call)
        return call


def bind(path: Path, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """A listening socket at `path`, whose name may be longer than a socket address allows."""
    listener = socket.socket(socket.AF_UNIX, kind)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
    path.chmod(0o666)
    if kind == socket.SOCK_STREAM:
        listener.listen(100)
    listener.setblocking(False)
    return listener
