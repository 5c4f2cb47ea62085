"""Driving the configuration over the captured vectors."""

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from postfix_smtp.config.configuration import Configuration
from postfix_smtp.config.installation import Installation
from postfix_smtp.errors import FatalError
from postfix_smtp.text import to_text

VECTORS = Path(__file__).parent.parent / "vectors" / "config"
RELEASES = ("3.7.11", "3.10.13", "3.11.6")
LABELS = {logging.WARNING: "warning: ", logging.ERROR: "error: ", logging.INFO: ""}


def vectors(file: str) -> dict[str, Any]:
    return json.loads((VECTORS / f"{file}.json").read_text(encoding="utf-8"))


def expected(vector: dict[str, Any], release: str) -> dict[str, Any]:
    return vector.get(f"expect_{release}", vector["expect"])


def octets(text: str) -> str:
    """Vectors write one character for each octet."""
    return to_text(text.encode("latin-1"))


def installation(release: str) -> Installation:
    """The Postfix of the vectors: 3.7.11 is Debian's build, the others are upstream's."""
    constants = {"mail_version": release}
    if release == "3.7.11":
        constants["daemon_directory"] = "/usr/lib/postfix/sbin"
    return Installation.of(constants)


class Collector(logging.Handler):
    """Log lines with Postfix's labels, /CONF for the directory."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory = str(directory)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.add(LABELS[record.levelno] + record.getMessage())

    def add(self, line: str) -> None:
        self.lines.append(line.replace(self.directory, "/CONF"))


class Start:
    """A start up to and including the program's parameters."""

    def __init__(
        self,
        directory: Path,
        main_cf: bytes | None,
        release: str = "3.7.11",
        program: str = "smtp",
        options: Sequence[str] = (),
    ) -> None:
        path = directory / "main.cf"
        if main_cf is not None:
            path.write_bytes(main_cf)
            os.utime(path, (1, 1))  # not a file that is being written
        collector = Collector(directory)
        logger = logging.getLogger("postfix_smtp")
        logger.addHandler(collector)
        self.configuration: Configuration | None = None
        try:
            configuration = Configuration.load(str(directory), program, installation=installation(release))
            self.configuration = configuration
            for option in options:
                configuration.override(option)
            configuration.set_service(program)
            configuration.evaluate_global()
            configuration.evaluate_program()
            self.failed = False
        except FatalError as failure:
            collector.add(f"fatal: {failure}")
            self.failed = True
        finally:
            logger.removeHandler(collector)
        self.log = collector.lines

    def text(self, name: str) -> str:
        assert self.configuration is not None
        return self.configuration.text(name)
