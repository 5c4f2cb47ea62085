"""cdb: constant databases (tables chapter 6.2). Never changed in place, so nothing is locked."""

import struct
from os import pread

from postfix_smtp.errors import FatalError
from postfix_smtp.tables.base import Table, TableFlags
from postfix_smtp.tables.indexed import DamagedFile, IndexedTable, open_file
from postfix_smtp.tables.opening import Opener

_TABLES = 256
_HEAD = 8 * _TABLES
_PAIR = struct.Struct("<2I")
#: Postfix's word for a file that is no cdb.
_DAMAGED = "Protocol error"
#: Most records fit in one read.
_GUESS = 512
#: Half of the slots are empty, so what is looked for is within a few.
_SLOTS_AT_ONCE = 16
#: Octets that are hashed before the number is cut to 32 bits: cutting costs more than a longer number, up to a point.
_STRETCH = 128


def cdb_hash(key: bytes) -> int:
    """The hash of a key, 32 bits."""
    number = 5381
    for octet in key[:_STRETCH]:
        number = number * 33 ^ octet
    for start in range(_STRETCH, len(key), _STRETCH):
        number &= 0xFFFFFFFF
        for octet in key[start : start + _STRETCH]:
            number = number * 33 ^ octet
    return number & 0xFFFFFFFF


class CdbTable(IndexedTable):
    """One file."""

    def get(self, key: bytes) -> bytes | None:
        """Look up."""
        number = cdb_hash(key)
        start, slots = _PAIR.unpack(self._read(8 * (number % _TABLES), 8))
        if not slots:
            return None
        if start < _HEAD:
            raise DamagedFile(_DAMAGED)
        slot = (number >> 8) % slots
        left = slots
        while left:
            count = min(left, slots - slot, _SLOTS_AT_ONCE)
            for found, position in _PAIR.iter_unpack(self._read(start + 8 * slot, 8 * count)):
                if not position:
                    return None
                if found == number:
                    value = self._record(position, key)
                    if value is not None:
                        return value
            left -= count
            slot = (slot + count) % slots
        return None

    def _record(self, position: int, key: bytes) -> bytes | None:
        """The value of the record at `position`, if it is the key's."""
        if position < _HEAD:
            raise DamagedFile(_DAMAGED)
        octets = pread(self._file.descriptor, _GUESS, position)
        if len(octets) < 8:
            raise DamagedFile(_DAMAGED)
        key_size, value_size = _PAIR.unpack_from(octets)
        if key_size != len(key):
            return None
        value_at = 8 + key_size
        end = value_at + value_size
        if len(octets) < end:
            if position + end > self._file.size():
                raise DamagedFile(_DAMAGED)
            octets = self._read(position, end)
        return octets[value_at:end] if octets.startswith(key, 8) else None

    def _read(self, position: int, size: int) -> bytes:
        octets = pread(self._file.descriptor, size, position)
        if len(octets) != size:
            raise DamagedFile(_DAMAGED)
        return octets


def open_cdb(name: str, flags: TableFlags, opener: Opener) -> Table:
    """Open ``NAME.cdb``.

    Raises:
        FatalError: not a cdb file.
    """
    path = f"{name}.cdb"
    file = open_file(path)
    try:
        problem = "" if len(file.read(0, _HEAD)) == _HEAD else _DAMAGED
    except OSError:
        problem = "No such device"  # a directory cannot be mapped, which Postfix does
    if problem:
        file.close()
        raise FatalError(f"dict_cdbq_open: unable to init {path}: {problem}")
    file.warn_if_older_than(name)
    return CdbTable(f"cdb:{path}", file, path)
