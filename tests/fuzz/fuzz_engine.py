"""Coverage-guided fuzzing of the protocol engine.

Run (needs ``pip install atheris``)::

    python tests/fuzz/fuzz_engine.py -max_total_time=600 CORPUS_DIRECTORY

A crash is a broken law of :mod:`engine_laws`; the input that shows it is written to a file, which can be given as an
argument to see it again.
"""

import logging
import sys
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

with atheris.instrument_imports(include=["postfix_smtp.smtp", "postfix_smtp.printable"]):
    from engine_laws import Play


class Consumed:
    """Choices by the fuzzer's octets."""

    def __init__(self, data: bytes) -> None:
        self._provider = atheris.FuzzedDataProvider(data)

    def number(self, low: int, high: int) -> int:
        return int(self._provider.ConsumeIntInRange(low, high))

    def octets(self) -> bytes:
        return bytes(self._provider.ConsumeBytes(self._provider.ConsumeIntInRange(1, 40)))


def one_input(data: bytes) -> None:
    """Play once."""
    Play(Consumed(data)).run()


def main() -> None:
    """Fuzz until told to stop."""
    logging.getLogger("postfix_smtp").setLevel(logging.CRITICAL + 20)
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
