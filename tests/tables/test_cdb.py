import random
from pathlib import Path

from compat.database_files import make_cdb
from postfix_smtp.tables.base import TableFlags
from postfix_smtp.tables.cdb import cdb_hash
from postfix_smtp.tables.opening import Opener, TableSettings


def lookups(tmp_path: Path, entries: dict[bytes, bytes], keys: list[str]) -> list[str | None]:
    (tmp_path / "t.cdb").write_bytes(make_cdb(entries.items()))
    opener = Opener(TableSettings(utf8=True, open_error_is_fatal=True, version=(3, 7, 11)))
    table = opener.open(f"cdb:{tmp_path}/t", TableFlags.LOCK)
    found = [table.lookup(key) for key in keys]
    opener.close()
    return found


def test_every_key_of_files_of_all_sizes_is_found(tmp_path: Path) -> None:
    chance = random.Random(1)
    for count in (0, 1, 2, 10, 300, 5000):
        entries = {b"%x" % chance.getrandbits(64): b"v" * chance.choice((0, 1, 9, 700)) for _ in range(count)}
        keys = [key.decode() for key in entries]
        assert lookups(tmp_path, entries, keys) == [value.decode() for value in entries.values()]
        assert lookups(tmp_path, entries, ["none", *map(str, range(100))]) == [None] * 101


def test_keys_of_equal_hash_are_told_apart(tmp_path: Path) -> None:
    seen: dict[int, bytes] = {}
    for number in range(200000):
        key = b"%d" % (number * 7919)
        other = seen.setdefault(cdb_hash(key), key)
        if other != key:
            break
    else:
        raise AssertionError("no pair of keys")
    assert lookups(tmp_path, {key: b"1", other: b"2"}, [key.decode(), other.decode()]) == ["1", "2"]


def test_long_keys_and_values(tmp_path: Path) -> None:
    entries = {b"k" * 3000: b"v" * 70000, b"k" * 3001: b"w"}
    assert lookups(tmp_path, entries, ["k" * 3000, "k" * 3001, "k" * 2999]) == ["v" * 70000, "w", None]


def test_files_with_trailing_nul(tmp_path: Path) -> None:
    assert lookups(tmp_path, {b"key\0": b"value\0"}, ["key", "other"]) == ["value", None]
