"""Queue file names and places (queue-file chapter 7)."""

import pytest

from postfix_smtp.queue.path import QueueSettings, is_queue_id, is_queue_name, length_octets, queue_path


class Values:
    """The parameters this room reads."""

    program = "smtp"
    service = "smtp"
    version = (3, 10, 13)

    def __init__(self, names: str, depth: int) -> None:
        self._names, self._depth = names, depth

    def text(self, name: str) -> str:
        assert name == "hash_queue_names"
        return self._names

    def number(self, name: str) -> int:
        assert name == "hash_queue_depth"
        return self._depth

    def seconds(self, name: str) -> int:
        raise AssertionError(name)

    def flag(self, name: str) -> bool:
        raise AssertionError(name)

    def spelling(self, name: str) -> str:
        return name


def test_settings_are_read_from_the_parameters() -> None:
    settings = QueueSettings.from_parameters(Values("deferred, Active\tdefer", 2))
    assert settings == QueueSettings(frozenset({"deferred", "active", "defer"}), 2, 4)


@pytest.mark.parametrize(
    ("depth", "queue_id", "path"),
    [
        (1, "ABCDE12345", "active/A/ABCDE12345"),
        (2, "ABCDE12345", "active/A/B/ABCDE12345"),
        (2, "4Vb3Qc1BwXz9kLm", "active/2/9/4Vb3Qc1BwXz9kLm"),
        (6, "4Vb3Qc1BwXz9kLm", "active/2/9/8/B/C/_/4Vb3Qc1BwXz9kLm"),
        (4, "AB", "active/A/B/_/_/AB"),
        (2, "4Vb3Qc1Bwaz9kLm", "active/0/0/4Vb3Qc1Bwaz9kLm"),  # "a" is no base 52 digit
        (1, "123456789zabc", "active/1/123456789zabc"),  # the z comes too early for a long id
    ],
)
def test_hash_directories_are_taken_from_the_id(depth: int, queue_id: str, path: str) -> None:
    assert queue_path(QueueSettings(frozenset({"active"}), depth), "active", queue_id) == path


def test_queue_names_are_compared_without_case_and_others_are_not_hashed() -> None:
    settings = QueueSettings(frozenset({"active"}), 1)
    assert queue_path(settings, "Active", "ABC") == "Active/A/ABC"
    assert queue_path(settings, "incoming", "ABC") == "incoming/ABC"


def test_names_and_ids_are_letters_and_digits() -> None:
    assert is_queue_name("active")
    assert not any(is_queue_name(name) for name in ("", "a_b", "a/b", "..", "a" * 101, "a\n", "ä"))
    assert is_queue_id("4Vb3Qc1BwXz9kLm_")
    assert not any(is_queue_id(name) for name in ("", "a/b", ".", "a" * 256, "a\n"))


@pytest.mark.parametrize(
    ("version", "octets"),
    [
        ((3, 7, 11), 5),
        ((3, 7, 21), 5),
        ((3, 7, 22), 4),
        ((3, 9, 13), 5),
        ((3, 10, 13), 4),
        ((3, 11, 5), 5),
        ((3, 11, 6), 4),
        ((3, 12, 0), 4),
        ((4, 0), 4),
    ],
)
def test_length_octets_depend_on_the_release(version: tuple[int, ...], octets: int) -> None:
    assert length_octets(version) == octets
