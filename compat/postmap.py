"""The real Postfix's postmap(1) with a configuration of its own: what it builds, and what it answers."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TIME_LIMIT = 120.0


@dataclass(frozen=True, slots=True)
class Answers:
    """What one run of postmap said.

    Attributes:
        values: answer by key; keys that were not found are missing.
        log: its messages, without ``postmap: ``.
    """

    values: dict[str, str]
    log: list[str]


def postmap_path() -> str | None:
    """The installed postmap, None if there is none."""
    return shutil.which("postmap", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class Postmap:
    """Runs postmap.

    Args:
        directory: for its main.cf; must exist.
        settings: further parameters.
    """

    def __init__(self, directory: Path, settings: Mapping[str, str] | None = None) -> None:
        command = postmap_path()
        assert command is not None
        self._command = command
        self._configuration = directory / "etc"
        self._configuration.mkdir(exist_ok=True)
        parameters = {"compatibility_level": "3.6", "queue_directory": str(directory), "smtputf8_enable": "yes"}
        parameters |= {"data_directory": str(directory), **(settings or {})}
        lines = [f"{name} = {value}\n" for name, value in parameters.items()]
        file = self._configuration / "main.cf"
        file.write_text("".join(lines))
        os.utime(file, (1, 1))  # Postfix waits until a file that was just changed is older

    def build(self, spec: str, *options: str) -> list[str]:
        """Build an indexed file from its source; the messages."""
        return self._run([*options, spec], b"")[1]

    def answers(self, spec: str, keys: Sequence[str]) -> Answers:
        """Look up keys, each a line of text. A look-up error ends the run."""
        output, messages = self._run(["-q", "-", spec], "".join(f"{key}\n" for key in keys).encode(*_TEXT))
        values = {}
        for line in output.decode(*_TEXT).split("\n")[:-1]:
            key, _, value = line.partition("\t")
            values[key] = value
        return Answers(values, messages)

    def answer(self, spec: str, key: str) -> tuple[str | None, list[str]]:
        """Look up one key; the value, None if there is none, and the messages."""
        output, messages = self._run(["-q", key, spec], b"")
        return (output.decode(*_TEXT)[:-1] if output else None), messages

    def _run(self, arguments: Sequence[str], given: bytes) -> tuple[bytes, list[str]]:
        command = [self._command, "-c", str(self._configuration), *arguments]
        environment = {"PATH": os.environ.get("PATH", ""), "LANG": "C"}
        done = subprocess.run(command, input=given, capture_output=True, timeout=_TIME_LIMIT, env=environment)
        messages = done.stderr.decode(*_TEXT).split("\n")[:-1]
        return done.stdout, [message.removeprefix("postmap: ") for message in messages]


_TEXT = "utf-8", "surrogateescape"
