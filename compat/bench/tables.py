"""Look-ups a second by type of table, next to postmap(1) with the same keys, and how long a table takes to open.

Start-up of both is taken off. ``-300`` is a file of 300 header checks, asked for headers of which one in twelve is a
subject. Run: ``python -m compat.bench.tables [entries]``
"""

import os
import random
import sys
import tempfile
import time
from pathlib import Path

from compat.database_files import make_cdb
from compat.postmap import Postmap, postmap_path
from postfix_smtp.tables.base import TableFlags
from postfix_smtp.tables.opening import Opener, TableSettings

FLAGS = TableFlags.LOCK | TableFlags.FOLD_FIX | TableFlags.UTF8_REQUEST
LOOKUPS = 20000
RUNS = 5  #: of which the best counts
#: A file that was changed just now is read with more care, which is not what is to be measured (seconds).
SETTLES = 6.0
RULES = "".join(f"/^Header-{number}: .*word{number}/ REJECT\n" for number in range(20))
HEADER_RULES = "".join(f"/^Subject:.*buy{number}.*now/ REJECT\n" for number in range(300))
HEADERS = [f"X-Header-{number}: some text of usual length, <number{{0}}@example.com>; {{0}}" for number in range(11)]
HEADERS.append("Subject: the meeting number {0} is on Monday, now really")


def sources(directory: Path, count: int) -> dict[str, str]:
    """Write the sources of the tables; their names by type."""
    text = "".join(f"user{number}@example.com value{number}@example.net\n" for number in range(count))
    made = {}
    for kind in ("texthash", "hash", "btree", "lmdb", "cdb"):
        (directory / kind).write_text(text)
        os.utime(directory / kind, (1, 1))
        made[kind] = f"{kind}:{directory / kind}"
    for kind in ("regexp", "pcre"):
        for name, rules in ((kind, RULES), (f"{kind}-300", HEADER_RULES)):
            (directory / name).write_text(rules)
            os.utime(directory / name, (1, 1))
            made[name] = f"{kind}:{directory / name}"
    (directory / "cidr").write_text("".join(f"10.{number}.0.0/16 x\n" for number in range(100)))
    os.utime(directory / "cidr", (1, 1))
    made["cidr"] = f"cidr:{directory / 'cidr'}"
    return made


def keys(kind: str, count: int) -> list[str]:
    """Keys, half of which are in a table of fixed keys."""
    chance = random.Random(1)
    if kind.endswith("-300"):
        return [chance.choice(HEADERS).format(number) for number in range(LOOKUPS)]
    if kind == "cidr":
        return [f"10.{chance.randrange(200)}.{number // 256}.{number % 256}" for number in range(LOOKUPS)]
    return [f"user{chance.randrange(2 * count)}@example.com" for _ in range(LOOKUPS)]


def ours(spec: str, wanted: list[str]) -> tuple[float, float, int]:
    """Seconds to open, microseconds a look-up, and how many keys were found."""
    opener = Opener(TableSettings(utf8=True, open_error_is_fatal=True, version=(3, 7, 11)))
    begun = time.perf_counter()
    table = opener.open(spec, FLAGS)
    opened = time.perf_counter() - begun
    found, each = 0, []
    for _ in range(RUNS):
        begun = time.perf_counter()
        found = sum(table.lookup(key) is not None for key in wanted)
        each.append(time.perf_counter() - begun)
    opener.close()
    return opened, min(each) / len(wanted) * 1e6, found


def theirs(postmap: Postmap, spec: str, wanted: list[str]) -> tuple[float, float]:
    """Seconds to open and microseconds a look-up of postmap."""
    keys = list(dict.fromkeys(wanted))

    def seconds(some: list[str]) -> float:
        begun = time.perf_counter()
        postmap.answers(spec, some)
        return time.perf_counter() - begun

    opened = min(seconds(keys[:1]) for _ in range(RUNS))
    return opened, (min(seconds(keys) for _ in range(RUNS)) - opened) / len(keys) * 1e6


def main() -> None:
    """Print a line for each type."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        postmap = Postmap(directory) if postmap_path() else None
        made = sources(directory, count)
        if postmap is None:
            lines = (line.split() for line in (directory / "cdb").read_bytes().splitlines())
            (directory / "cdb.cdb").write_bytes(make_cdb((key, value) for key, value in lines))
        for kind in ("hash", "btree", "lmdb", "cdb"):
            if postmap is not None:
                postmap.build(made[kind])
            elif kind != "cdb":
                del made[kind]
        time.sleep(SETTLES)
        for kind, spec in made.items():
            wanted = keys(kind, count)
            opened, each, found = ours(spec, wanted)
            line = f"{kind:10} open {opened * 1e3:6.1f} ms  look-up {each:5.1f} us  found {found}"
            if postmap is not None:
                their_open, their_each = theirs(postmap, spec, wanted)
                line += f"   postmap: open {their_open * 1e3:6.1f} ms  look-up {their_each:5.1f} us"
                line += f"  ratio {each / their_each:.1f}"
            print(line)


if __name__ == "__main__":
    main()
