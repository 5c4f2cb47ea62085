"""Scenarios: fallback."""

from compat.sidebyside.scenario import add

add(
    "fallback/null-mx",
    dns={"dest.test": [("MX", 0, ".")]},
    servers=[{"at": "192.0.2.3:25", "host": "mx3"}],
    main={"smtp_fallback_relay": "[192.0.2.3]"},
)

add(
    "fallback/5xx-rcpt",
    servers=[{"at": "192.0.2.1:25", "on": {"RCPT": "550 5.1.1 no"}}, {"at": "192.0.2.3:25", "host": "mx3"}],
    main={"smtp_fallback_relay": "[192.0.2.3]"},
)

add(
    "fallback/domain-with-mx",
    dns={"fb.test": [("MX", 10, "mx3.dest.test.")]},
    servers=[{"at": "192.0.2.3:25", "host": "mx3"}],
    main={"smtp_fallback_relay": "fb.test"},
)

add(
    "fallback/loop-self-first",
    dns={"dest.test": [("MX", 10, "mail.lab.test.")], "mail.lab.test": [("A", "127.0.0.1")]},
    servers=[{"at": "192.0.2.3:25", "host": "mx3"}],
    main={"smtp_fallback_relay": "[192.0.2.3]"},
)

add(
    "fallback/after-nxdomain",
    main={"smtp_fallback_relay": "[mx2.dest.test]"},
    to=["user@nowhere.test"],
    servers=[{"at": "192.0.2.2:25"}],
)

add(
    "fallback/not-after-5xx",
    main={"smtp_fallback_relay": "[mx2.dest.test]"},
    servers=[{"at": "192.0.2.1:25", "on": {"RCPT": "550 5.1.1 no"}}, {"at": "192.0.2.2:25"}],
)

add(
    "fallback/two-in-turn",
    main={"smtp_fallback_relay": "[mx2.dest.test], [mx3.dest.test]"},
    servers=[{"at": "192.0.2.3:25"}],
)

add(
    "fallback/left-over-recipients-only",
    main={"smtp_fallback_relay": "[mx2.dest.test]"},
    to=["good@dest.test", "later@dest.test"],
    servers=[{"at": "192.0.2.1:25", "on": {"RCPT": {"later": "450 4.2.0 later"}}}, {"at": "192.0.2.2:25"}],
)
