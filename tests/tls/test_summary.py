"""The summary line (TLS chapter 5.8)."""

from typing import Any

import pytest
from tls_vectors import by_version, load

from postfix_smtp.tls import summary
from postfix_smtp.tls.certificate import Key


def _key(described: dict[str, Any] | None) -> Key | None:
    if described is None:
        return None
    match described["type"]:
        case "rsa":
            return Key("RSA-PSS", described["bits"])
        case "ec":
            return Key("ECDSA", curve=described["curve"])
        case kind:
            return Key(kind.upper())


def _scheme(described: dict[str, Any] | None) -> int:
    return int((described or {}).get("scheme") or "0", 16)


@pytest.mark.parametrize(("case", "version", "expect"), by_version(load("summary")["cases"]))
def test_summary_lines(case: dict[str, Any], version: tuple[int, ...], expect: dict[str, Any]) -> None:
    session = case["session"]
    server, client = session.get("server"), session.get("client")
    made = summary.Connection(
        session["protocol"],
        session["cipher"],
        session["usebits"],
        session["algbits"],
        session["resumed"],
        session.get("group") or "",
        _key(server),
        _scheme(server),
        _key(client),
        _scheme(client),
        bool((server or {}).get("rpk")),
        bool((client or {}).get("rpk")),
    )
    assert summary.line(session["status"], session["usage"], session["peer"], made, version) == expect["line"]
