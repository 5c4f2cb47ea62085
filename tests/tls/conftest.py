"""Fixtures of this room."""

import logging
from collections.abc import Iterator

import pytest

from postfix_smtp import log


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Log lines, with the label of warnings."""
    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(("warning: " if record.levelno >= logging.WARNING else "") + record.getMessage())

    handler = Handler()
    level = log.logger.level
    log.logger.addHandler(handler)
    log.logger.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        log.logger.removeHandler(handler)
        log.logger.setLevel(level)
