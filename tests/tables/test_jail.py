"""Tables work in an empty jail in which nothing can be imported."""

import base64
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from compat.table_servers import TableServer, memcache, netstring, socketmap, tcp_table

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/config/tables.json").read_text())["indexed"]


#: Runs in a fresh interpreter, in which nothing has been imported by others.
CHILD = """
import asyncio, json, os, sys
jail, specs = sys.argv[1], json.loads(sys.argv[2])
sys.path.insert(0, sys.argv[3])
from postfix_smtp.errors import TableError
from postfix_smtp.tables.base import TableFlags
from postfix_smtp.tables.opening import Opener, TableSettings
flags = TableFlags.LOCK | TableFlags.FOLD_FIX | TableFlags.UTF8_REQUEST
opener = Opener(TableSettings(utf8=True, open_error_is_fatal=True, version=(3, 7, 11)))
maps = {spec: opener.open_maps("title", spec, flags) for spec in specs}
os.chroot(jail)
os.chdir("/")

async def ask():
    for spec in specs:
        try:
            print(json.dumps([spec, await maps[spec].value("key")]))
        except TableError:
            print(json.dumps([spec, "error"]))

asyncio.run(ask())
"""


def answers_in(jail: Path, specs: dict[str, str | None]) -> dict[str, str | None]:
    """Open tables, enter the jail, look up in each."""
    command = [sys.executable, "-I", "-c", CHILD, str(jail), json.dumps(list(specs)), str(Path(__file__).parents[2])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_look_ups_in_an_empty_jail(tmp_path: Path) -> None:
    jail = tmp_path / "jail"
    jail.mkdir()
    for kind, vector in VECTORS.items():
        (tmp_path / f"t{vector['suffix']}" if kind != "btree" else tmp_path / "b.db").write_bytes(
            zlib.decompress(base64.b64decode(vector["zlib_base64"]))
        )
    with (
        TableServer(socketmap({b"m key": netstring(b"OK one")})) as map_server,
        TableServer(tcp_table({b"key": b"200 two"})) as tcp_server,
        TableServer(memcache({b"key": b"three"})) as memcache_server,
    ):
        (tmp_path / "memcache").write_text(f"memcache = inet:127.0.0.1:{memcache_server.port}\n")
        os.utime(tmp_path / "memcache", (1, 1))
        specs: dict[str, str | None] = {
            "regexp:{{/^k(.)y/ r$1}, {/[/ x}}": "re",
            "pcre:{{/^k(.)y/ p$1}}": "pe",
            "cidr:{{10.0.0.0/8 x}}": None,
            f"hash:{tmp_path}/t": None,
            f"btree:{tmp_path}/b": None,
            f"lmdb:{tmp_path}/t": None,
            f"cdb:{tmp_path}/t": None,
            f"socketmap:inet:127.0.0.1:{map_server.port}:m": "one",
            f"tcp:127.0.0.1:{tcp_server.port}": "two",
            f"memcache:{tmp_path}/memcache": "three",
            "socketmap:inet:no-such-host.invalid:1:m": "error",
            "unix:passwd.byname": None,
        }
        assert answers_in(jail, specs) == specs
