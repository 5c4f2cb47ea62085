"""``smtp_delivery_status_filter``: the operator's last word on a result (delivery chapter 10.4)."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

from postfix_smtp import log
from postfix_smtp.dsn import Dsn

#: The table is known by this name in lmtp(8) too.
TITLE = "smtp_delivery_status_filter"
_STATUS = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:[ \t]+|$)(.*)", re.DOTALL)


class StatusFilter:
    """Replaces status and text of results.

    Args:
        lookup: the value for ``STATUS REASON``, None if there is none.
    """

    def __init__(self, lookup: Callable[[str], Awaitable[str | None]]) -> None:
        self._lookup = lookup

    async def __call__(self, dsn: Dsn) -> Dsn:
        """The result to record. Success stays success, failure stays failure."""
        value = await self._lookup(f"{dsn.status} {dsn.reason}")
        if value is None:
            return dsn
        match = _STATUS.match(value)
        if match is None or (match[1][0] == "2") != (dsn.status[0] == "2"):
            log.warning(f"{TITLE}: bad status code: {value}")
            return dsn
        return replace(dsn, status=match[1], reason=match[2] or dsn.reason)
