"""The parameters: names, types, defaults and bounds, in the order of their evaluation.

Two tables of one form, ``parameters.tsv`` (Postfix's) and ``own_parameters.tsv`` (ours); the head of the first explains
the columns. They are read at each start, so only what the start needs is taken from them.
"""

import os
from typing import NamedTuple

GLOBAL, PROGRAM, TLS = "global", "program", "tls"
#: Set by the program itself, or evaluated by whoever uses them.
_NOT_EVALUATED = ("preset", "late")
# Two tables may have parameters in one stage: Postfix's come first.
_TABLES = ("parameters.tsv", "own_parameters.tsv")


class Parameter(NamedTuple):
    """One row, for one program and one release of Postfix.

    Attributes:
        name: canonical, that is smtp(8)'s.
        spelling: the name in this program.
        kind: ``str``, ``int``, ``long``, ``bool``, ``nbool`` or ``time``.
        default: unevaluated.
        minimum, maximum: length in octets, number or seconds; None: not checked.
        unit: of a time without one.
        stage: when it is evaluated (GLOBAL, PROGRAM, TLS); empty: not in this program and release; it has its neutral
            value then.
    """

    name: str
    spelling: str
    kind: str
    default: str
    minimum: int | None
    maximum: int | None
    unit: str
    stage: str


def parameters(program: str, version: tuple[int, ...]) -> list[Parameter]:
    """All parameters that any release knows, as `program` of release `version` evaluates them."""
    lmtp = program == "lmtp"
    rows: list[Parameter] = []
    seen: set[str] = set()
    stage = ""
    for line in _lines():
        if line[:1] == "#":
            if line.startswith("# stage: "):
                stage = line[9:]
            continue
        name, lmtp_name, kind, default, lmtp_default, low, high, unit, first, last, _ = line.split("\t")
        if name == "name" or stage in _NOT_EVALUATED:
            continue
        spelling = name
        if lmtp and lmtp_name != "=":
            spelling = lmtp_name
            if lmtp_default != "-":
                default = lmtp_default
            elif "$" in default:
                default = default.replace("smtp_", "lmtp_")
        here = stage
        if (
            not _since(first, version)
            or (last != "-" and version[: last.count(".") + 1] > _numbers(last))
            or spelling == "-"
        ):
            if name in seen:
                continue
            here = ""
        elif name in seen:
            rows = [row for row in rows if row.name != name]
        seen.add(name)
        if "||" in default:
            default = _alternative(default, version)
        rows.append(
            Parameter(
                name,
                spelling,
                kind,
                "" if default == '""' else default,
                None if low == "-" else _bound(low, version),
                None if high == "-" else _bound(high, version),
                unit,
                here,
            )
        )
    return rows


def _lines() -> list[str]:
    lines: list[str] = []
    for table in _TABLES:
        with open(os.path.join(os.path.dirname(__file__), table), encoding="utf-8") as file:
            lines += file.read().split("\n")[:-1]
    return lines


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _since(first: str, version: tuple[int, ...]) -> bool:
    """``3.9 (3.7.6,3.8.1)``: from 3.9 on, and in those series from those patch releases on."""
    if first[0] != "3":
        return True  # older than any release this program serves
    main, _, patches = first.partition(" (")
    if version >= _numbers(main):
        return True
    if not patches[:-1]:
        return False
    return any(version[:2] == patch[:2] and version >= patch for patch in map(_numbers, patches[:-1].split(",")))


def _alternative(text: str, version: tuple[int, ...]) -> str:
    """``A || >=V: B``, where V is a list as in :func:`_since` with the mainline release last."""
    before, _, after = text.partition(" || >=")
    releases, _, since = after.partition(": ")
    patches, _, main = releases.rpartition(",")
    return since if _since(f"{main} ({patches})", version) else before


def _bound(text: str, version: tuple[int, ...]) -> int | None:
    if "||" in text:
        text = _alternative(text, version)
    return None if text == "-" else int(text)
