"""Where a queue file is: names, queue ids, hash directories (queue-file chapter 7)."""

import re
from dataclasses import dataclass

from postfix_smtp.config.access import Parameters

_NAME = re.compile(r"[A-Za-z0-9]{1,100}", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9_]{1,255}", re.ASCII)

_BASE_52 = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
_BASE_52_VALUES = {digit: value for value, digit in enumerate(_BASE_52)}

#: In a long id six or more characters of seconds and four of microseconds come before the last ``z``.
_LONG_ID_SEPARATOR_MIN = 10
_MICROSECONDS_LENGTH = 4


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """What the queue file's place and format depend on.

    Attributes:
        hashed_names: lower-case queue names that have hash directories.
        hash_depth: levels of hash directories, at least 1.
        length_octets: most octets that a record's length may have (a matter of the Postfix release).
    """

    hashed_names: frozenset[str] = frozenset({"deferred", "defer"})
    hash_depth: int = 1
    length_octets: int = 5

    @classmethod
    def from_parameters(cls, parameters: Parameters) -> "QueueSettings":
        """Read ``hash_queue_names`` and ``hash_queue_depth``."""
        names = re.split(r"[, \t\r\n]+", parameters.text("hash_queue_names"))
        return cls(
            hashed_names=frozenset(name.lower() for name in names if name),
            hash_depth=parameters.number("hash_queue_depth"),
            length_octets=length_octets(parameters.version),
        )


#: From these patch levels on a record length has at most four octets (queue-file chapter 12).
_SHORT_LENGTH_SINCE: dict[tuple[int, ...], int] = {(3, 7): 22, (3, 8): 20, (3, 9): 14, (3, 10): 13, (3, 11): 6}


def length_octets(version: tuple[int, ...]) -> int:
    """Most length octets of a record that a Postfix release accepts: 4 or 5."""
    release, patch = version[:2], version[2] if len(version) > 2 else 0
    if release < (3, 7):
        return 5
    return 4 if patch >= _SHORT_LENGTH_SINCE.get(release, 0) else 5


def is_queue_name(name: str) -> bool:
    """Whether `name` can be a queue directory: 1..100 ASCII letters and digits."""
    return _NAME.fullmatch(name) is not None


def is_queue_id(queue_id: str) -> bool:
    """Whether `queue_id` can be a queue file: 1..255 ASCII letters, digits and ``_``."""
    return _ID.fullmatch(queue_id) is not None


def queue_path(settings: QueueSettings, queue_name: str, queue_id: str) -> str:
    """The file's path relative to the queue directory. Name and id must be well-formed."""
    if queue_name.lower() not in settings.hashed_names:
        return f"{queue_name}/{queue_id}"
    key = _hash_key(queue_id)[: settings.hash_depth].ljust(settings.hash_depth, "_")
    return f"{queue_name}/{'/'.join(key)}/{queue_id}"


def _hash_key(queue_id: str) -> str:
    """The characters that name the hash directories: of a long id its microseconds, as a short id has them."""
    separator = queue_id.rfind("z")
    if separator < _LONG_ID_SEPARATOR_MIN:
        return queue_id
    microseconds = 0
    for digit in queue_id[separator - _MICROSECONDS_LENGTH : separator]:
        value = _BASE_52_VALUES.get(digit)
        if value is None:
            return "00000"
        microseconds = microseconds * 52 + value
    return f"{microseconds:05X}"
