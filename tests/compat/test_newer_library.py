"""What is forgiven because of a newer OpenSSL, and what is not."""

from typing import Any

import pytest

from compat.sidebyside import newer_library
from compat.sidebyside.newer_library import as_with_it
from compat.sidebyside.pool import differences

HELLO = "T hello sni=none alpn=none versions={} psk=no ticket=empty"
ALL, NEW = HELLO.format("0304/0303/0302/0301"), HELLO.format("0304/0303")


def main(**settings: str) -> dict[str, Any]:
    return {"main": settings}


@pytest.fixture(params=[False, True], ids=["same", "newer"])
def newer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(newer_library, "is_used", lambda: request.param)
    return bool(request.param)


@pytest.mark.parametrize(
    ("settings", "at_match_level"),
    [
        ({"smtp_tls_security_level": "may"}, False),
        ({"smtp_tls_security_level": "encrypt"}, False),
        ({"smtp_tls_security_level": "verify"}, True),
        ({"smtp_tls_policy_maps": "inline:{ {dest.test = fingerprint match=aa} }"}, True),
        ({"smtp_enforce_tls": "yes"}, True),
        ({"smtp_tls_loglevel": "verify"}, False),
    ],
)
def test_old_versions_may_be_missing_at_match_levels_of_a_newer_library(
    settings: dict[str, str], at_match_level: bool, newer: bool
) -> None:
    found = differences({"wire": [ALL]}, {"wire": [NEW]}, main(**settings))
    assert bool(found) == (not newer or not at_match_level)


def test_other_versions_may_not(newer: bool) -> None:
    assert differences({"wire": [ALL]}, {"wire": [HELLO.format("0304")]}, main(smtp_tls_security_level="verify"))


def test_order_of_ciphers_with_short_tags() -> None:
    row = "T hello psk=no ciphers=1302,c0af,c0ad,c0ae,002f,00ff groups=001d"
    assert as_with_it({"wire": [row]}, {}) == {
        "wire": ["T hello psk=no ciphers=1302,c0ad,002f,c0af,c0ae,00ff groups=001d"]
    }


def test_names_of_alerts(newer: bool) -> None:
    old, new = (f"warning: error:0A000410:SSL routines::{word} alert handshake failure:" for word in ("sslv3", "tls"))
    assert bool(differences({"log": [old]}, {"log": [new]}, {})) != newer


def test_a_difference_that_must_be_there_is_missed(newer: bool) -> None:
    scenario = {"differs": {"log": ["-one", "+two"]}}
    assert differences({"log": ["a", "one", "b"]}, {"log": ["a", "two", "b"]}, scenario) == []
    assert differences({"log": ["a", "one", "b"]}, {"log": ["a", "one", "b"]}, scenario)
    assert differences({"log": ["a", "one", "b"]}, {"log": ["a", "two", "c"]}, scenario)
    assert differences({}, {}, scenario)


def test_rows_that_look_like_parts_of_a_diff_count(newer: bool) -> None:
    for row in ("--boundary", "++", "@@ -1 +1 @@"):
        assert differences({"wire": ["a"]}, {"wire": ["a", row]}, {})
        assert differences({"wire": [row, "a"]}, {"wire": ["a"]}, {})
