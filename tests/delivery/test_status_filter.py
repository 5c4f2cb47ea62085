"""The operator's last word on a result."""

import asyncio

import pytest

from postfix_smtp.delivery.status_filter import StatusFilter
from postfix_smtp.dsn import Dsn


def filtered(value: str | None) -> Dsn:
    async def lookup(key: str) -> str | None:
        assert key == "4.4.1 no answer"
        return value

    return asyncio.run(StatusFilter(lookup)(Dsn("4.4.1", "no answer")))


@pytest.mark.parametrize(
    ("value", "status", "reason"),
    [
        (None, "4.4.1", "no answer"),
        ("5.4.9 given up", "5.4.9", "given up"),
        ("5.4.9", "5.4.9", "no answer"),
        ("5.4.9  ", "5.4.9", "no answer"),
        ("2.0.0 fine", "4.4.1", "no answer"),
        ("nonsense", "4.4.1", "no answer"),
    ],
)
def test_result_of_the_table(value: str | None, status: str, reason: str) -> None:
    assert (filtered(value).status, filtered(value).reason) == (status, reason)
