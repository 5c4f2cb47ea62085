"""A real Postfix under load: messages are put into the queue directly, so that only delivery is measured."""

import contextlib
import os
import pwd
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from compat.bench import contents
from compat.bench.accounting import Group
from compat.bench.waiting import until
from compat.queue_file import encode_message, text_message
from compat.sidebyside import quiescence
from compat.sidebyside.instance import SPOOL, Agent, Instance
from compat.sidebyside.namespaces import OURS, SBIN, THEIRS
from compat.sidebyside.observations import Observations
from compat.sidebyside.scenario import agents

PORT = 2525
_SETTINGS = {
    "initial_destination_concurrency": "20",
    "default_destination_concurrency_limit": "20",
    "enable_long_queue_ids": "no",
    "smtp_randomize_addresses": "yes",
    "default_process_limit": "100",
    "message_size_limit": "0",
    "relayhost": f"[127.0.0.1]:{PORT}",
}
#: Helpers whose CPU time belongs to the delivery, too.
_HELPERS = ("tlsproxy", "scache")
_LAUNCHER = """\
#!/bin/sh
# Join the group that is accounted for, then become the program.
echo 0 >{procs}
exec {program} "$@"
"""
_LINE = b"0123456789" * 7


def content(octets: int) -> bytes:
    """A message of about this size."""
    header = b"From: a@origin.test\nTo: b@dest.test\nSubject: bench\n\n"
    return header + (_LINE + b"\n") * (octets // (len(_LINE) + 1))


def queue_file(octets: int, recipient: str = "b@dest.test", kind: str = "") -> bytes:
    """A queue file with a message of about this size, and of a kind of :mod:`compat.bench.contents`."""
    text = contents.content(kind, octets) if kind else content(octets)
    encoding = contents.KINDS[kind][2] if kind else ""
    message = text_message("a@origin.test", [recipient], text, encoding=encoding, arrival=time.time() - 10)
    return encode_message(message)[0]


class Postfix:
    """One running Postfix with one agent. A context manager.

    Args:
        main: settings.
        groups: what CPU time is charged to: ``agent`` and ``helper``; may be empty.
        words: what follows the command in the agent's line of master.cf.
    """

    def __init__(
        self, agent: Agent, main: Mapping[str, str] | None = None, *, groups: Mapping[str, Group], words: str = ""
    ) -> None:
        self.observations = Observations()
        self._instance = Instance(self.observations, agent)
        self._groups = groups
        line = f"smtp {words}".strip()
        self._instance.prepare({"main": {**_SETTINGS, **(main or {})}, "agents": agents(line)})
        if groups:
            directory = THEIRS if agent == "postfix" else OURS
            for name in ("smtp", "lmtp"):
                self._launch(name, directory / name, groups["agent"])
            for name in _HELPERS:
                self._launch(name, THEIRS / name, groups["helper"])
        self._serial = 0
        self._owner = pwd.getpwnam("postfix").pw_uid

    @staticmethod
    def _launch(name: str, program: Path, group: Group) -> None:
        path = SBIN / name
        path.unlink()
        path.write_text(_LAUNCHER.format(procs=group.procs, program=program))
        path.chmod(0o755)

    def __enter__(self) -> "Postfix":
        self._instance.spawn()
        until(lambda: (SPOOL / "public/qmgr").exists(), 10)
        until(lambda: any(command.startswith("qmgr ") for _, command in quiescence.processes().values()), 10)
        self.calm()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def master(self) -> subprocess.Popen[bytes]:
        """The process of master(8)."""
        assert self._instance.master is not None
        return self._instance.master

    def put(self, messages: Iterable[bytes]) -> None:
        """Put queue files into ``incoming``."""
        temporary = SPOOL / "pid/message"
        for octets in messages:
            self._serial += 1
            temporary.write_bytes(octets)
            os.chown(temporary, self._owner, -1)
            temporary.chmod(0o700)
            os.utime(temporary, (time.time() - 10,) * 2)  # qmgr leaves files "from the future" alone
            temporary.rename(SPOOL / f"incoming/A{self._serial:09X}")

    @staticmethod
    def trigger(request: bytes = b"I") -> None:
        """Tell the queue manager that there is mail (``I``), or to forget what it knows of dead places (``DFAI``)."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(SPOOL / "public/qmgr"))
            connection.send(request)

    def is_busy(self) -> bool:
        """Whether there is mail that was not tried yet."""
        return self._instance.is_busy()

    def deferred(self) -> list[Path]:
        """What is to be tried again."""
        return self._instance.queue_files("deferred")

    def queue(self) -> list[Path]:
        """Everything that is left in the queue, records about deliveries too."""
        return self._instance.queue_files("incoming", "active", "deferred", "defer", "bounce", "corrupt", "hold")

    def hurry(self) -> None:
        """Try everything again now, what the queue manager wanted to leave alone for some time as well."""
        for path in self._instance.queue_files("incoming"):
            with contextlib.suppress(FileNotFoundError):
                os.utime(path, (time.time() - 10,) * 2)
        self.trigger()
        subprocess.run(["/usr/sbin/postqueue", "-f"], check=True)

    @staticmethod
    def calm(timeout: float = 20.0) -> None:
        """Wait until everybody sleeps, or for some time at most."""
        deadline = time.monotonic() + timeout
        last = None
        while time.monotonic() < deadline:
            now = quiescence.snapshot()
            if now is not None and now == last:
                return
            last = now
            time.sleep(0.02)

    @staticmethod
    def agents() -> list[int]:
        """The processes of the agent."""
        return [
            pid
            for pid, (state, command) in quiescence.processes().items()
            if state != "Z" and " -t unix" in command and re.search(r"(^|/)smtp ", command)
        ]

    def stop(self) -> None:
        """End it, and everything that it started."""
        if self._instance.master is not None:
            os.kill(self.master.pid, signal.SIGTERM)
            self.master.wait()
            self._instance.master = None
        for group in self._groups.values():
            deadline = time.monotonic() + 3
            while pids := group.pids():
                if time.monotonic() > deadline:
                    for pid in pids:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                time.sleep(0.01)

        def gone() -> bool:
            processes = quiescence.processes().values()
            return not any(state != "Z" and " -t unix" in command for state, command in processes)

        until(gone, 20)
        self._instance.clean()
