"""The laws of :mod:`engine_laws` under Hypothesis."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from engine_laws import Play


class Drawn:
    """Choices by Hypothesis."""

    def __init__(self, data: st.DataObject) -> None:
        self._draw = data.draw

    def number(self, low: int, high: int) -> int:
        return self._draw(st.integers(low, high))

    def octets(self) -> bytes:
        return self._draw(st.binary(min_size=1, max_size=40))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("postfix_smtp")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 20)
    yield
    logger.setLevel(level)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_laws_hold_whatever_the_server_says(data: st.DataObject) -> None:
    Play(Drawn(data)).run()
