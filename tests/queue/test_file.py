"""Opening, locking and marking (queue-file chapters 6 to 9)."""

import contextlib
import errno
import fcntl
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat.queue_file import text_message, write_message
from postfix_smtp.errors import FatalError, PanicError
from postfix_smtp.queue.file import QueueFile, QueueFileMissing, inspect
from postfix_smtp.queue.path import QueueSettings
from postfix_smtp.queue.records import END_OF_CONTENT, LINE

SETTINGS = QueueSettings()


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "active").mkdir()
    return tmp_path / "active"


def message(path: Path) -> list[int]:
    return write_message(path, text_message("a@x", ["b@y", "c@y"], b"S: x\n\nb\n")).recipient_offsets


def open_file(queue_id: str = "ABC", name: str = "active") -> QueueFile:
    return QueueFile.open(SETTINGS, name, queue_id)


def test_a_good_file_is_opened_without_a_word(queue: Path, caplog: pytest.LogCaptureFixture) -> None:
    message(queue / "ABC")
    inspect(SETTINGS, "active", "ABC")
    with open_file() as file:
        assert file.path == "active/ABC"
    assert caplog.messages == []


def test_a_bad_queue_name_is_a_panic(caplog: pytest.LogCaptureFixture) -> None:
    inspect(SETTINGS, "a/b", "ABC")
    with pytest.raises(PanicError, match=r"^mail_queue_dir: bad queue name: a/b$"):
        open_file(name="a/b")
    assert caplog.messages == ["bad mail queue name: a/b"]


def test_a_bad_queue_id_is_a_panic(caplog: pytest.LogCaptureFixture) -> None:
    inspect(SETTINGS, "active", "../x")
    with pytest.raises(PanicError, match=r"^mail_queue_dir: bad queue id: \.\./x$"):
        open_file("../x")
    assert caplog.messages == []


def test_a_missing_file_has_an_exception_of_its_own(queue: Path, caplog: pytest.LogCaptureFixture) -> None:
    inspect(SETTINGS, "active", "ABC")
    with pytest.raises(QueueFileMissing):
        open_file()
    assert caplog.messages == ["open active ABC: No such file or directory"]
    assert caplog.records[0].levelno == logging.WARNING


def test_a_directory_is_not_opened(queue: Path, caplog: pytest.LogCaptureFixture) -> None:
    (queue / "ABC").mkdir()
    inspect(SETTINGS, "active", "ABC")
    with pytest.raises(FatalError, match=r"^open active ABC: Is a directory$"):
        open_file()
    assert caplog.messages == [f"active/ABC: uid {os.getuid()}: not a regular file"]


def test_other_errors_of_lstat_are_logged(queue: Path, caplog: pytest.LogCaptureFixture) -> None:
    (queue.parent / "plain").touch()
    inspect(SETTINGS, "plain", "ABC")
    assert caplog.messages == ["plain/ABC: Not a directory"]


def test_a_symbolic_link_is_reported_and_followed(queue: Path, caplog: pytest.LogCaptureFixture) -> None:
    message(queue / "XYZ")
    (queue / "ABC").symlink_to("XYZ")
    inspect(SETTINGS, "active", "ABC")
    with open_file():
        pass
    assert caplog.messages == [f"active/ABC: uid {os.getuid()}: not a regular file"]


def test_links_are_reported_when_they_are_old(
    queue: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    message(queue / "ABC")
    os.link(queue / "ABC", queue / "XYZ")
    inspect(SETTINGS, "active", "ABC")
    assert caplog.messages == []
    now = os.stat(queue / "ABC").st_ctime + 61
    monkeypatch.setattr("postfix_smtp.queue.file.time.time", lambda: now)
    inspect(SETTINGS, "active", "ABC")
    assert caplog.messages == [f"active/ABC: uid {os.getuid()}: file has 2 links"]


def test_the_mode_does_not_matter(queue: Path, caplog: pytest.LogCaptureFixture) -> None:
    message(queue / "ABC")
    (queue / "ABC").chmod(0o600)
    inspect(SETTINGS, "active", "ABC")
    with open_file():
        pass
    assert caplog.messages == []


def test_permission_denied_is_fatal(queue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: str, flags: int) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr("postfix_smtp.queue.file.os.open", denied)
    with pytest.raises(FatalError, match=r"^open active ABC: Permission denied$"):
        open_file()


def test_an_exclusive_lock_is_fatal(queue: Path) -> None:
    message(queue / "ABC")
    with (queue / "ABC").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(FatalError, match=r"^shared lock active/ABC: Resource temporarily unavailable$"):
            open_file()


def test_shared_locks_go_together_and_keep_others_out_until_closed(queue: Path) -> None:
    message(queue / "ABC")
    with open_file(), (queue / "ABC").open("rb") as other:
        with open_file():
            pass
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (queue / "ABC").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_lock_of_the_other_kind_is_not_seen(queue: Path) -> None:
    message(queue / "ABC")
    code = (
        "import fcntl, sys; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); "
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, queue / "ABC"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        other.stdout.readline()
        with open_file():
            pass
        other.communicate()


def open_descriptors(path: Path) -> set[int]:
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{number}") == str(path):
                found.add(int(number))
    return found


def test_the_descriptor_is_not_inherited(queue: Path) -> None:
    message(queue / "ABC")
    before = open_descriptors(queue / "ABC")
    with open_file():
        (new,) = open_descriptors(queue / "ABC") - before
        assert not os.get_inheritable(new)


def test_a_recipient_is_marked_with_one_octet(queue: Path) -> None:
    offsets = message(queue / "ABC")
    before = (queue / "ABC").read_bytes()
    with open_file() as file:
        file.mark_done(-1)
        assert (queue / "ABC").read_bytes() == before
        file.mark_done(offsets[1])
        changed = bytearray(before)
        assert changed[offsets[1] : offsets[1] + 1] == b"R"
        changed[offsets[1] : offsets[1] + 1] = b"D"
        assert (queue / "ABC").read_bytes() == changed


def test_marking_between_reads_does_not_disturb_them(queue: Path) -> None:
    queued = write_message(queue / "ABC", text_message("a@x", ["b@y"], b"S: x\n\nb\n"))
    with open_file() as file:
        reader = file.records(queued.data_offset)
        assert (reader.next(), reader.text) == (LINE, b"S: x")
        file.mark_done(queued.recipient_offsets[0])
        assert [(reader.next(), reader.text) for _ in range(2)] == [(LINE, b""), (LINE, b"b")]
        assert reader.next() == END_OF_CONTENT


@pytest.mark.parametrize("offset", [0, -2, -(2**40)])
def test_marking_where_no_record_can_be_is_a_panic(queue: Path, offset: int) -> None:
    message(queue / "ABC")
    with open_file() as file, pytest.raises(PanicError, match=rf"^deliver_completed: bad offset {offset}$"):
        file.mark_done(offset)


def test_a_failed_mark_is_fatal(queue: Path, caplog: pytest.LogCaptureFixture) -> None:
    message(queue / "ABC")
    read_only = os.open(queue / "ABC", os.O_RDONLY)
    with QueueFile(read_only, "active/ABC", SETTINGS) as file:
        with pytest.raises(FatalError, match=r"^update queue file active/ABC: Bad file descriptor$"):
            file.mark_done(100)
    assert caplog.messages == ["active/ABC: seek or write error"]


def test_a_corrupt_file_gets_its_mode(queue: Path, caplog: pytest.LogCaptureFixture) -> None:
    message(queue / "ABC")
    with open_file() as file:
        file.mark_corrupt()
    assert (queue / "ABC").stat().st_mode & 0o7777 == 0o400
    assert caplog.messages == ["corrupted queue file: active/ABC"]


def test_a_mode_that_cannot_be_set_is_fatal(queue: Path) -> None:
    message(queue / "ABC")
    file = open_file()
    file.close()
    file.close()
    with pytest.raises(FatalError, match=r"^mark_corrupt: fchmod active/ABC: Bad file descriptor$"):
        file.mark_corrupt()


@pytest.mark.parametrize("offset", [-1, 2**63])
def test_an_impossible_data_offset_is_fatal(queue: Path, offset: int) -> None:
    message(queue / "ABC")
    with open_file() as file, pytest.raises(FatalError, match=r"^seek queue file: Invalid argument$"):
        file.records(offset)
