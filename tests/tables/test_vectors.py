"""The captured look-ups of postmap: table types, files and answers."""

import json
import logging
import os
import re
from pathlib import Path
from typing import Any

import pytest

from postfix_smtp.errors import FatalError, TableError
from postfix_smtp.tables.base import TableFlags
from postfix_smtp.tables.opening import Opener, TableSettings

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/config/tables.json").read_text())
BUILT = (
    "static",
    "inline",
    "texthash",
    "cidr",
    "unionmap",
    "pipemap",
    "randmap",
    "fail",
    "internal",
    "debug",
    "foo",
    "regexp",
    "pcre",
    "hash",
    "lmdb",
    "btree",
    "cdb",
)
LABELS = {logging.INFO: "", logging.WARNING: "warning: ", logging.ERROR: "error: "}
#: What postmap says of an answer; the caller says it in this program.
POSTMAP_ONLY = re.compile(
    r"warning: table .*(empty string result is not allowed|should return NO RESULT)|.*query error"
)


def cases() -> list[Any]:
    chosen = []
    for vector in VECTORS["vectors"]:
        if vector["table"].partition(":")[0] not in BUILT:
            continue
        for key, version in (("expect", (3, 7, 11)), ("expect_3.11.6", (3, 11, 6))):
            if key in vector:
                name = f"{vector['table']}-{vector['key']}-{version[1]}"
                chosen.append(pytest.param(vector, vector[key], version, id=name))
    return chosen


@pytest.mark.parametrize(("vector", "expect", "version"), cases())
def test_like_postmap(
    vector: dict[str, Any],
    expect: dict[str, Any],
    version: tuple[int, ...],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    for name, text in VECTORS["files"].items():
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, (1, 1))
    # postmap makes every open error fatal
    opener = Opener(TableSettings(utf8=True, open_error_is_fatal=True, version=version))
    flags = TableFlags.FOLD_FIX | TableFlags.UTF8_REQUEST
    fatal = []
    result = None
    try:
        table = opener.open(vector["table"].replace("/T/", f"{tmp_path}/"), flags)
        result = table.lookup(vector["key"])
    except FatalError as error:
        fatal = [f"fatal: {error}"]
    except TableError:
        assert any("query error" in line for line in expect["log"])
    logged = [LABELS[record.levelno] + record.getMessage() for record in caplog.records] + fatal
    assert result == expect["result"]
    expected = [line for line in expect["log"] if not POSTMAP_ONLY.match(line)]
    assert [line.replace(f"{tmp_path}/", "/T/") for line in logged] == expected
