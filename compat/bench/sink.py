"""A server that takes everything, in a process of its own."""

import mmap
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from compat.bench.python_sink import COUNTERS
from compat.bench.waiting import until

HERE = Path(__file__).parent
_COUNTER_FILE_SIZE = 4096
_START_TIMEOUT = 10.0


def build(directory: Path) -> list[str]:
    """The command that starts a sink: compiled into `directory`, or the one in Python where that cannot be done."""
    target = directory / "sink"
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler:
        command = [compiler, "-O2", "-o", str(target), str(HERE / "sink.c"), "-lssl", "-lcrypto"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return [str(target)]
    return python_command()


def python_command() -> list[str]:
    """The command that starts the sink in Python."""
    return [sys.executable, "-m", "compat.bench.python_sink"]


class Sink:
    """A running sink.

    Args:
        command: as :func:`build` returns it.
        delay: of each reply, in milliseconds.
        tls: certificate and key, for STARTTLS.
        hang: command (``RCPT``, ``DOT``, ``GREET``, ...) that is never answered.
        record: file for the recipients; the sink in Python only.
    """

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        *,
        delay: int = 0,
        tls: tuple[str, str] | None = None,
        hang: str = "",
        record: Path | None = None,
        processes: int = 2,
    ) -> None:
        self.port = port
        descriptor, self._path = tempfile.mkstemp(prefix="sink-counters-")
        os.ftruncate(descriptor, _COUNTER_FILE_SIZE)
        self._map = mmap.mmap(descriptor, _COUNTER_FILE_SIZE, prot=mmap.PROT_READ)
        os.close(descriptor)
        arguments = [str(port), str(processes), str(delay), self._path]
        if hang:
            arguments.append(f"hang={hang}")
        if record:
            arguments.append(f"record={record}")
        self.process = subprocess.Popen([*command, *arguments, *(tls or ())], cwd=HERE.parents[1])
        until(self._answers, _START_TIMEOUT)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def count(self, name: str) -> int:
        """A counter: ``messages``, ``connections``, ``hung``, ``handshakes``, ``resumed``, ``bytes``."""
        (number,) = struct.unpack_from("Q", self._map, 8 * COUNTERS.index(name))
        return int(number)

    @property
    def last(self) -> float:
        """When the last message came, in seconds of the monotonic clock."""
        return self.count("last_ns") / 1e9

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        os.unlink(self._path)
