import json
import logging
from pathlib import Path
from typing import Any

import pytest

from postfix_smtp.errors import FatalError, TableError
from postfix_smtp.tables.match_list import MatchList, Style
from postfix_smtp.tables.opening import Opener, TableSettings

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/config/match_lists.json").read_text())
LABELS = {logging.INFO: "", logging.WARNING: "warning: ", logging.ERROR: "error: "}


def style(vector: dict[str, Any]) -> Style:
    if vector["list"] == "string_list":
        return Style.STRING
    return Style.PARENT if vector["parent_domains"] else Style.DOT


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda v: f"{v['list']}-{v['patterns']}-{v['query']}")
def test_like_postfix(vector: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, text in VECTORS["files"].items():
        (tmp_path / Path(name).name).write_text(text)
    opener = Opener(TableSettings(utf8=True, open_error_is_fatal=False, version=(3, 11, 6)))
    query = vector["query"] if isinstance(vector["query"], list) else [vector["query"]]
    fatal = []
    try:
        patterns = MatchList(
            "command line",
            vector["patterns"].replace("/LIST", str(tmp_path)),
            opener,
            style(vector),
            addresses=vector["list"] == "namadr_list",
        )
        result = "match" if patterns.match(*query) else "no match"
    except TableError:
        result = "error"
    except FatalError as error:
        result = "fatal"
        fatal = [f"fatal: {error}"]
    logged = [LABELS[record.levelno] + record.getMessage() for record in caplog.records] + fatal
    assert result == vector["result"]
    assert [line.replace(str(tmp_path), "/LIST") for line in logged] == vector["log"]


def test_files_of_postfix_3_7_have_physical_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "list"
    path.write_text("aaa\n  ddd # tail\n# x\n")
    opener = Opener(TableSettings(utf8=True, open_error_is_fatal=False, version=(3, 7, 11)))
    patterns = MatchList("title", str(path), opener, Style.STRING)
    assert patterns.match("ddd")
    assert not patterns.match("tail")
    assert caplog.messages == ["title: comment at end of line is not supported: # tail"]
