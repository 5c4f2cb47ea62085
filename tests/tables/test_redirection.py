import base64
import json
import socket
import threading
import zlib
from pathlib import Path

import pytest

from postfix_smtp.errors import TableError
from postfix_smtp.tables import redirection
from postfix_smtp.tables.base import TableFlags
from postfix_smtp.tables.opening import Opener, TableSettings

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/config/tables.json").read_text())["indexed"]
FLAGS = TableFlags.LOCK | TableFlags.FOLD_FIX | TableFlags.UTF8_REQUEST


class MainCf:
    """Parameters of the redirection."""

    version = (3, 11, 6)

    def __init__(self, **values: str) -> None:
        self._values = {
            "non_bdb_migration_level": "enable-redirect",
            "non_bdb_custom_mapping": "",
            "default_database_type": "lmdb",
            "default_cache_db_type": "cdb",
            "non_bdb_migration_service_name": "nbdb_reindex",
            "meta_directory": "/none",
            "shlib_directory": "/none",
        } | values

    def text(self, name: str) -> str:
        return self._values[name]

    def flag(self, name: str) -> bool:
        return self._values.get(name, "yes") == "yes"


def opener(main_cf: MainCf, version: tuple[int, ...] = (3, 11, 6)) -> Opener:
    settings = TableSettings(utf8=True, open_error_is_fatal=False, version=version)
    return Opener(settings, main_cf)  # type: ignore[arg-type]


def octets(kind: str) -> bytes:
    return zlib.decompress(base64.b64decode(VECTORS[kind]["zlib_base64"]))


@pytest.fixture
def name(tmp_path: Path) -> str:
    for kind in ("lmdb", "cdb", "hash"):
        (tmp_path / f"t{VECTORS[kind]['suffix']}").write_bytes(octets(kind))
    return f"{tmp_path}/t"


@pytest.mark.parametrize(
    ("spec", "mapping", "target"),
    [
        ("hash", "", "lmdb"),
        ("btree", "", "cdb"),
        ("hash", "inline:{hash=cdb}", "cdb"),
        ("hash", "inline:{btree=cdb}", "lmdb"),
        ("hash", "inline:{{hash:NAME = cdb}, hash=lmdb}", "cdb"),
    ],
)
def test_another_file_is_read(
    spec: str, mapping: str, target: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    tables = opener(MainCf(non_bdb_custom_mapping=mapping.replace("NAME", name)))
    table = tables.open(f"{spec}:{name}", FLAGS)
    assert table.lookup("alpha") == "one"
    assert table.name.startswith(target)
    assert caplog.messages == [f"redirecting {spec}:{name} to {target}:{name}"]
    Path(f"{name}.{target}").unlink()
    assert tables.changed() == f"{spec}:{name}(0,lock|fold_fix|utf8_request)"


@pytest.mark.parametrize(
    ("main_cf", "version"),
    [(MainCf(non_bdb_migration_level="disable"), (3, 11, 6)), (MainCf(), (3, 10, 3))],
)
def test_nothing_is_redirected_unless_asked_for(main_cf: MainCf, version: tuple[int, ...], name: str) -> None:
    assert opener(main_cf, version).open(f"hash:{name}", FLAGS).name == f"hash:{name}.db"


@pytest.mark.parametrize(
    ("mapping", "why"),
    [
        ("inline:{hash=a:b}", "bad non-legacy database type syntax: 'a:b'"),
        ("inline:{hash=btree}", "mapping from 'hash' to legacy type 'btree'"),
        ("inline:{hash=foo}", "mapping to unsupported database type: 'foo'"),
        ("fail:x", "fail:x lookup error for 'hash:NAME'"),
        ("hash:x", "hash:x lookup error for 'hash:NAME'"),
    ],
)
def test_what_cannot_be_redirected_is_unavailable(
    mapping: str, why: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    table = opener(MainCf(non_bdb_custom_mapping=mapping)).open(f"hash:{name}", FLAGS)
    why = why.replace("NAME", name)
    assert caplog.messages == [
        f"non-Berkeley-DB type mapping lookup error for 'hash:{name}': {why}",
        f"Berkeley DB type mapping lookup error for 'hash:{name}': {why}",
    ]
    with pytest.raises(TableError):
        table.lookup("alpha")


@pytest.mark.parametrize(("reply", "problem"), [(b"0\0reason\0", ""), (b"1\0reason\0no such source", "no such source")])
def test_a_missing_file_is_made_by_a_service(
    reply: bytes, problem: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "private").mkdir()
    requests = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/private/nbdb_reindex")
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"protocol\0nbdb_reindex\0\0")
                requests.append(connection.recv(4096))
                if not problem:
                    (tmp_path / "t.lmdb").write_bytes(octets("lmdb"))
                connection.sendall(b"status\0" + reply + b"\0\0")

        thread = threading.Thread(target=serve)
        thread.start()
        main_cf = MainCf(non_bdb_migration_level="enable-reindex", queue_directory=str(tmp_path))
        table = opener(main_cf).open(f"hash:{tmp_path}/t", FLAGS)
        thread.join()
    assert requests == [b"nbdb_type\0hash\0nbdb_path\0%b/t\0\0" % str(tmp_path).encode()]
    if problem:
        assert caplog.messages == [f"Non-Berkeley-DB migration error: {problem}"] * 2
    else:
        assert table.lookup("alpha") == "one"


def test_the_service_is_tried_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(redirection.time, "sleep", pauses.append)
    main_cf = MainCf(non_bdb_migration_level="enable-reindex", queue_directory=str(tmp_path))
    opener(main_cf).open(f"hash:{tmp_path}/t", FLAGS)
    assert pauses == [1.0]
    assert caplog.messages[0].startswith("Non-Berkeley-DB migration error: ")
