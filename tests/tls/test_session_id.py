"""Names of sessions in the cache (TLS chapter 6.2)."""

from typing import Any

import pytest
from tls_vectors import load

from postfix_smtp.config.installation import version_tuple
from postfix_smtp.tls.levels import Level
from postfix_smtp.tls.records import TlsaRecord
from postfix_smtp.tls.session_id import SessionProperties, base_id, digest_input, session_id


def _record(text: str) -> TlsaRecord:
    usage, selector, matching, data = text.split()
    return TlsaRecord(int(usage), int(selector), int(matching), bytes.fromhex(data))


@pytest.mark.parametrize("case", load("session-ids")["ids"], ids=lambda case: case["id"])
def test_session_ids(case: dict[str, Any]) -> None:
    given = case["input"]
    version = version_tuple(given["version"])
    properties = SessionProperties(
        given["helo"] or "",
        given["openssl_version_num"],
        given["protocols"],
        given["ciphers"],
        bool(given.get("rpk")),
        bool(given.get("must_fail")),
        [_record(text) for text in given["tlsa"]] if given["levelnum"] > Level.ENCRYPT else [],
        (given.get("sni") or "") if given["levelnum"] > Level.ENCRYPT else "",
    )
    base = base_id(version, given["service"], given["nexthop"], given["host"], given["addr"], given["levelnum"])
    assert digest_input(version, properties).hex() == case["digest_input_hex"]
    assert session_id(base, version, properties) == case["cache_id"]
