"""What the way from the queue file to the wire costs: ``python -m compat.bench.message``.

For each kind of message and each pipeline: CPU time per MB of content, longest time in which nothing else could run on
the event loop, and (for a large message) memory above what the process had before.
"""

import argparse
import asyncio
import os
import resource
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from compat.bench.contents import EIGHT_BIT, HEADER, PARTS, base64_lines, eight_bit_lines, prose_lines, short_lines
from compat.queue_file import Queued, text_message, write_message
from postfix_smtp.ipc.request import (
    DeliveryRequest,
    MessageTimes,
    Recipient,
    RequestFlags,
    Ret,
    SendOptions,
    Submission,
)
from postfix_smtp.message.checks import Checks
from postfix_smtp.message.content import Content
from postfix_smtp.message.generic import GenericMapper, GenericSettings
from postfix_smtp.message.settings import MessageSettings
from postfix_smtp.queue.file import QueueFile
from postfix_smtp.queue.path import QueueSettings
from postfix_smtp.tables.base import Table
from postfix_smtp.tables.maps import Maps

_MEGABYTE = 1_000_000


class _NoMatch(Table):
    """A table in which nothing is found, at the price of a regular expression."""

    pattern = True

    def lookup(self, key: str) -> str | None:
        return None if "no such text" not in key else "WARN"


class _NoDomains:
    def is_local(self, domain: str) -> bool:
        return False


async def _same(address: str) -> str:
    return address


def request_for(queue_id: str, queued: Queued) -> DeliveryRequest:
    """A delivery request for a file made with :mod:`compat.queue_file`."""
    return DeliveryRequest(
        RequestFlags.MARK_DONE,
        "active",
        queue_id,
        queued.data_offset,
        queued.size,
        "y.example",
        "8bit",
        SendOptions(0),
        "a@x.example",
        "",
        Ret(0),
        MessageTimes(),
        Submission(),
        (Recipient("b@y.example", "b@y.example", queued.recipient_offsets[0]),),
    )


async def _pauses(stop: asyncio.Event) -> float:
    """Longest time between two turns of the event loop, seconds of CPU time: other processes shall not count."""
    longest = 0.0
    last = time.process_time()
    while not stop.is_set():
        await asyncio.sleep(0)
        now = time.process_time()
        longest = max(longest, now - last)
        last = now
    return longest


async def _measure(content: Content, converting: bool, watch: bool) -> tuple[float, float, int]:
    """CPU seconds, longest pause in seconds, octets sent."""
    stop = asyncio.Event()
    watcher = asyncio.create_task(_pauses(stop)) if watch else None
    await asyncio.sleep(0)
    octets = 0
    start = time.process_time()
    async for chunk in content.chunks(converting):
        octets += len(chunk)
    cpu = time.process_time() - start
    stop.set()
    return cpu, await watcher if watcher else 0.0, octets


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--size", type=int, default=2, help="message size in MB for the times")
    parser.add_argument("--large", type=int, default=100, help="message size in MB for memory and pauses, 0: none")
    arguments = parser.parse_args()

    tables = Maps("smtp_header_checks", [_NoMatch("regexp:none")])
    header_checks = Checks(header=tables, mime_header=tables, nested_header=tables)
    all_checks = Checks(tables, tables, tables, tables)
    generic = GenericMapper(
        GenericSettings("x.example"), Maps("smtp_generic_maps", [_NoMatch("x:y")]), _NoDomains(), _same
    )
    cases: list[tuple[str, bytes, Callable[[int], bytes], bool, Checks | None, GenericMapper | None]] = [
        ("base64, as it is", PARTS, base64_lines, False, None, None),
        ("text, as it is", b"\n", prose_lines, False, None, None),
        ("short lines, as they are", b"\n", short_lines, False, None, None),
        ("base64, generic maps", PARTS, base64_lines, False, None, generic),
        ("base64, header checks", PARTS, base64_lines, False, header_checks, None),
        ("text, header checks", b"\n", prose_lines, False, header_checks, None),
        ("base64, converting", PARTS, base64_lines, True, None, None),
        ("8bit text, converting", EIGHT_BIT, eight_bit_lines, True, None, None),
        ("text, body checks", b"\n", prose_lines, False, all_checks, None),
        ("8bit text, everything", EIGHT_BIT, eight_bit_lines, True, all_checks, generic),
    ]
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        Path("active").mkdir()
        print(f"{'':24}{'ms CPU per MB':>14}{'longest turn, ms':>19}{'peak memory, kB':>17}")
        for name, header, lines, converting, checks, mapper in cases:

            def content(file: QueueFile, size: int, queued: Queued) -> Content:
                return Content(file, request_for("BENCH", queued), MessageSettings(), checks=checks, generic=mapper)  # noqa: B023

            def write(size: int) -> Queued:
                text = HEADER + header + lines(size * _MEGABYTE)  # noqa: B023
                return write_message("active/BENCH", text_message("a@x.example", ["b@y.example"], text))

            queued = write(arguments.size)
            best = float("inf")
            with QueueFile.open(QueueSettings(), "active", "BENCH") as file:
                for _ in range(5):
                    cpu, _, _ = asyncio.run(_measure(content(file, arguments.size, queued), converting, False))
                    best = min(best, cpu)
            figures = f"{name:24}{best / queued.size * _MEGABYTE * 1000:14.2f}"
            if arguments.large:
                queued = write(arguments.large)
                with QueueFile.open(QueueSettings(), "active", "BENCH") as file:
                    _, pause, _ = asyncio.run(_measure(content(file, arguments.large, queued), converting, True))
                    tracemalloc.start()
                    asyncio.run(_measure(content(file, arguments.large, queued), converting, False))
                    peak = tracemalloc.get_traced_memory()[1]
                    tracemalloc.stop()
                figures += f"{pause * 1000:19.1f}{peak / 1024:17.0f}"
            print(figures, flush=True)
    print(f"resident at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss} kB (includes making the messages)")


if __name__ == "__main__":
    main()
