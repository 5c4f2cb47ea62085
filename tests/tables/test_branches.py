import os
import time
from pathlib import Path

import pytest

from postfix_smtp.tables import branches as module
from postfix_smtp.tables.branches import Branches, ValidBranches
from postfix_smtp.tables.indexed import DamagedFile, DatabaseFile


def take_apart(page: bytes) -> tuple[list[bytes], list[int]] | None:
    if page == b"damaged":
        raise DamagedFile
    return None if page == b"elsewhere" else ([b"", page], [1, 2])


def test_a_page_is_known_with_its_latest_octets() -> None:
    known = Branches(take_apart)
    known.learn(7, b"one")
    known.learn(7, b"two")
    assert known[7] == (b"two", [b"", b"two"], [1, 2])


@pytest.mark.parametrize("page", [b"damaged", b"elsewhere"])
def test_what_cannot_be_taken_apart_equals_no_page(page: bytes) -> None:
    known = Branches(take_apart)
    known.learn(7, page)
    assert known[7].page != page


def test_there_is_room_for_so_many_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 2)
    known = Branches(take_apart)
    for number in range(5):
        known.learn(number, b"page")
    known.learn(1, b"new")
    assert [(number, branch.page) for number, branch in known.items()] == [(0, b"page"), (1, b"new")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "t.lmdb"
    path.write_bytes(b"contents")
    return path


def seen(path: Path) -> ValidBranches:
    """Of a file whose head has been read, and a page of it."""
    known = ValidBranches(DatabaseFile(str(path)), take_apart)
    assert not known.still_valid()
    known.renew()
    known.learn(7, b"page")
    known.valid[7] = known[7]
    return known


def test_nothing_is_valid_of_a_file_that_was_changed_just_now(path: Path) -> None:
    known = seen(path)
    assert not known.still_valid()
    assert not known.valid
    assert known[7].page == b"page"


def test_a_settled_file_stays_valid_for_a_while(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SETTLES", -(10**12))
    known = seen(path)
    assert known.still_valid()
    assert known.valid
    later = time.monotonic() + 2
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert not known.still_valid()
    assert not known.valid


def test_a_change_that_keeps_modification_time_and_size_is_seen(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SETTLES", -(10**12))
    known = seen(path)
    before = os.stat(path)
    while os.stat(path).st_ctime_ns == before.st_ctime_ns:  # clocks of file systems are coarse
        with open(path, "r+b") as file:
            file.write(b"CONTENTS")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(path).st_mtime_ns == before.st_mtime_ns
    assert not known.still_valid()
    assert not known.valid


def test_nothing_is_valid_if_the_head_could_not_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SETTLES", -(10**12))
    known = ValidBranches(DatabaseFile(str(path)), take_apart)
    assert not known.still_valid()
    assert not known.still_valid()
