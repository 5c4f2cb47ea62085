"""delivery.notice: what only some days show; the messages themselves are compared side by side."""

import time
from collections.abc import Iterator

import pytest

from postfix_smtp.delivery.notice import mail_date


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    ("now", "expected"),
    [
        # Seen by the size of the notices that Postfix 3.7.11 sends on the first days of a month
        (1796131286, "Tue,  1 Dec 2026 14:21:26 +0100 (CET)"),
        (1795394560, "Mon, 23 Nov 2026 01:42:40 +0100 (CET)"),
        (1783000800, "Thu,  2 Jul 2026 16:00:00 +0200 (CEST)"),
    ],
)
def test_date_has_two_columns_for_the_day(now: float, expected: str) -> None:
    assert mail_date(now) == expected
