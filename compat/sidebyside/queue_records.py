"""Queue files as something to look at and to damage."""

import os
from collections.abc import Iterator
from pathlib import Path

#: Times, pointers, content; the size record is shown in part.
_NOT_SHOWN = frozenset("TpNMw")


def records(octets: bytes) -> Iterator[tuple[int, str, bytes]]:
    """Offset, type and data of each record, up to the first incomplete one."""
    position = 0
    while position < len(octets):
        start = position
        kind = chr(octets[position])
        position += 1
        length = shift = 0
        while True:
            if position >= len(octets):
                return
            octet = octets[position]
            position += 1
            length |= (octet & 0x7F) << shift
            shift += 7
            if not octet & 0x80:
                break
        yield start, kind, octets[position : position + length]
        position += length


def envelope(octets: bytes) -> list[str]:
    """The records that tell what is left to do, without what changes from run to run."""
    lines = []
    for _, kind, data in records(octets):
        if kind in _NOT_SHOWN:
            continue
        text = data.decode("utf-8", "backslashreplace").rstrip()
        if kind == "C":
            text = " ".join(text.split()[2:3])  # number of recipients
        if kind == "A" and text.startswith(("create_time=", "log_ident=")):
            continue
        lines.append(f"{kind} {text}")
    return lines


def patch(path: str, find: bytes, replace: bytes) -> None:
    """Overwrite the first occurrence of `find`.

    Raises:
        ValueError: there is none.
    """
    at = Path(path).read_bytes().find(find)
    if at < 0:
        raise ValueError(f"{find!r} is not in {path}")
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(replace)


def truncate(path: str, octets: int) -> None:
    """Cut so many octets off the end."""
    os.truncate(path, os.path.getsize(path) - octets)
