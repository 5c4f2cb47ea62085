"""The engine against every captured conversation."""

import logging
from typing import Any

import pytest
from smtp_support import VECTORS, VERSIONS, Client, expected, load, texts, writes

#: Cases whose point lies outside the engine, and where.
ELSEWHERE = {
    "reqtls-enforce-level-may": "policy: no connection is made",
}
_OTHER_ROOMS = (
    "certificate verification failed for ",
    "disables certificate matching.",
    "breaking line > 998 bytes",
    'lookup error for "',
)


def _names() -> list[str]:
    return sorted(path.stem for path in VECTORS.glob("*.json"))


def _cases() -> list[Any]:
    cases = []
    for name in _names():
        vector = load(name)
        for version in VERSIONS:
            if tuple(map(int, vector.get("since", "3.7").split("."))) <= VERSIONS[version][:2]:
                cases.append(pytest.param(name, version, id=f"{name}-{version}"))
    return cases


def _log_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = []
    for record in caplog.records:
        label = "warning: " if record.levelno == logging.WARNING else ""
        lines.append(label + record.getMessage())
    return lines


@pytest.mark.parametrize(("name", "version"), _cases())
def test_conversation_as_captured(name: str, version: str, caplog: pytest.LogCaptureFixture) -> None:
    vector = load(name)
    if name in ELSEWHERE:
        pytest.skip(ELSEWHERE[name])
    caplog.set_level(logging.INFO)
    client = Client(vector, VERSIONS[version])
    want = texts(expected(vector, version), client.port)
    for request, wanted in zip(vector["requests"], want["requests"], strict=True):
        caplog.clear()
        result = client.deliver(request)
        fields = ("recipient", "dsn", "status", "text")
        _leave_secrets_out(name, wanted)
        assert result.recipients == [{key: entry[key] for key in fields} for entry in wanted["recipients"]]
        lines = [line for line in wanted["log"] if not any(other in line for other in _OTHER_ROOMS)]
        assert _log_lines(caplog) == lines
        hop = wanted.get("hop_status") or None
        assert result.hop_status == hop
        _compare_writes(result.connections, wanted.get("connections"), exact=vector["boundaries"])
    if "client_lines" in want:
        _compare_lines(client.server.lines, want["client_lines"])
    if "client_lines" in want and name.startswith("sasl-"):
        assert len(client.server.lines) == len(want["client_lines"])
    assert client.server.is_done or name.startswith("lost-body")


def _leave_secrets_out(name: str, wanted: dict[str, Any]) -> None:
    """Postfix's text ends in the client's own response; ours does not (SASL chapter 5)."""
    if name != "sasl-long-initial-nonempty-challenge":
        return
    for entry, key in ((wanted["recipients"][0], "text"), (wanted["hop_status"], "reason")):
        entry[key] = entry[key].rpartition(" ")[0] + " "


def _compare_writes(got: list[list[bytes]], wanted: Any, *, exact: bool) -> None:
    if wanted is None:
        return
    assert len(got) == len(wanted)
    for writes_made, connection in zip(got, wanted, strict=True):
        expected_writes = list(writes(connection))
        if exact:
            assert len(writes_made) == len(expected_writes)
            for made, one in zip(writes_made, expected_writes, strict=True):
                assert one is None or made == one
        elif None not in expected_writes:
            assert b"".join(writes_made).startswith(b"".join(piece or b"" for piece in expected_writes))


def _compare_lines(got: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    # The server may have stopped reading before the client stopped writing.
    for one, other in zip(got, wanted, strict=False):
        assert "any" in other or one == other
