"""The cache of refused credentials (SASL chapter 9)."""

import asyncio
import time
from typing import Any

import pytest
from real_sasl import FakeProxyWrite

from postfix_smtp.ipc.proxymap import ProxyStatus
from postfix_smtp.sasl.failure_cache import FailureCache
from postfix_smtp.sasl.passwords import Credentials
from postfix_smtp.smtp.reply import Reply

WHO = Credentials("user", "secret")
KEY = "127.0.0.1;user"
HASH = "5en6G6MezRroT3XKqkdPOmY/BfQ="


class Fixture:
    def __init__(self) -> None:
        self.proxy = FakeProxyWrite()
        client: Any = self.proxy
        self.cache = FailureCache(client, "lmdb:/x", 100)

    def find(self, who: Credentials = WHO) -> tuple[str, str] | None:
        return asyncio.run(self.cache.find("127.0.0.1", who))


@pytest.fixture
def made() -> Fixture:
    return Fixture()


def test_an_entry_is_as_postfix_writes_it(made: Fixture) -> None:
    asyncio.run(made.cache.add("127.0.0.1", WHO, Reply(535, "5.7.8", "535-5.7.8 Error:\n535 5.7.8 no; way")))
    moment, _, rest = made.proxy.entries[KEY].partition(";")
    assert abs(int(moment) - time.time()) < 5
    assert rest == f"{HASH};5.7.8;535-5.7.8 Error:\n535 5.7.8 no; way"
    assert made.find() == ("5.7.8", "535-5.7.8 Error:")


def test_only_the_same_password_is_refused(made: Fixture) -> None:
    made.proxy.entries[KEY] = f"{int(time.time())};{HASH};5.7.8;535 no; way"
    assert made.find() == ("5.7.8", "535 no; way")
    assert made.find(Credentials("user", "other")) is None
    assert made.proxy.entries == {}


def test_old_entries_are_deleted(made: Fixture, caplog: pytest.LogCaptureFixture) -> None:
    made.proxy.entries[KEY] = f"{int(time.time()) - 200};{HASH};5.7.8;535 no"
    assert made.find() is None
    assert made.proxy.entries == {}
    assert caplog.messages == []


@pytest.mark.parametrize("entry", ["", "x", "1;2;3", f"x;{HASH};5.7.8;no", f"1800000000;{HASH};999;535 no"])
def test_malformed_entries_are_deleted(entry: str, made: Fixture, caplog: pytest.LogCaptureFixture) -> None:
    made.proxy.entries[KEY] = entry
    assert made.find() is None
    assert made.proxy.entries == {}
    assert caplog.messages == [f"bad smtp_sasl_auth_cache entry: {entry}"]


def test_a_service_in_trouble_refuses_nobody(made: Fixture, caplog: pytest.LogCaptureFixture) -> None:
    made.proxy.status = ProxyStatus.RETRY
    assert made.find() is None
    assert caplog.messages == [f"SASL auth failure map proxy:lmdb:/x: lookup failed for {KEY}"]
