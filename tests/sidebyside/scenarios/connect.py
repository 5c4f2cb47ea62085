"""Scenarios: connect."""

from compat.sidebyside.scenario import FAST, add

add("connect/timeout-then-ok", dns={"mx1.dest.test": [("A", "192.0.2.99"), ("A", "192.0.2.1")]}, main=FAST, cost=3)

add("connect/bind-address-alien", main={"smtp_bind_address": "198.51.100.77"})

add("connect/bind-address-bad", main={"smtp_bind_address": "no-address"})

add(
    "connect/bind-address6",
    main={"smtp_bind_address6": "2001:db8::9"},
    dns={"mx1.dest.test": [("AAAA", "2001:db8::1")]},
    servers=[{"at": "[2001:db8::1]:25"}],
)

add("connect/linger-on-quit", srv={"linger": True})

add(
    "connect/concurrency-limit",
    srv={"on": {"DOT": (("sleep", 1), ("reply", "250 2.0.0 slow"))}},
    main={"default_destination_concurrency_limit": "1", "smtp_connection_cache_on_demand": "no"},
    messages=[{"to": ["user@dest.test"], "via": "smtp"}, {"to": ["user@dest.test"], "via": "smtp"}],
    steps=[("sendquick", 0, 1), ("idle",)],
    concurrent=True,
)

add(
    "connect/swallowed-then-next",
    main={"smtp_connect_timeout": "1s"},
    cost=2,
    dns={
        "mx1.dest.test": [("A", "192.0.2.99")],
        "dest.test": [("MX", 1, "mx1.dest.test."), ("MX", 2, "mx2.dest.test.")],
    },
    servers=[{"at": "192.0.2.2:25"}],
)

add("connect/bind-address-enforced", main={"smtp_bind_address": "198.51.100.2"})

add("connect/bind-address-other-family", main={"smtp_bind_address": "2001:db8::1"})

add(
    "connect/bind-address6-other-family",
    main={"smtp_bind_address6": "192.0.2.3", "smtp_bind_address_enforce": "yes"},
    dns={"mx1.dest.test": [("AAAA", "2001:db8::1")]},
    servers=[{"at": "[2001:db8::1]:25"}],
)

add("connect/bind-address-in-odd-spelling", main={"smtp_bind_address": "0300.0.2.99"})

add("connect/bind-address-bad-in-brackets", main={"smtp_bind_address": "[IPv6:192.0.2.1]"})
