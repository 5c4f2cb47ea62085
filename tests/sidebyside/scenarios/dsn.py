"""Scenarios: dsn."""

from compat.sidebyside.scenario import add, message

add(
    "dsn/never-ok-dsn",
    srv={"on": {}},
    messages=[{"to": ["user@dest.test"], "args": ["-N", "never", "-V", "env<id>+1"]}],
)

add(
    "dsn/never-dot-5xx-dsn",
    srv={"on": {"DOT": "554 5.7.1 content"}},
    messages=[{"to": ["user@dest.test"], "args": ["-N", "never", "-V", "env<id>+1"]}],
)

add(
    "dsn/success-4xx-dsn",
    srv={"on": {"RCPT": "450 4.2.0 later"}},
    messages=[{"to": ["user@dest.test"], "args": ["-N", "success", "-V", "env<id>+1"]}],
)

add(
    "dsn/success-dot-5xx-dsn",
    srv={"on": {"DOT": "554 5.7.1 content"}},
    messages=[{"to": ["user@dest.test"], "args": ["-N", "success", "-V", "env<id>+1"]}],
)

add(
    "dsn/failure-dot-5xx-dsn",
    srv={"on": {"DOT": "554 5.7.1 content"}},
    messages=[{"to": ["user@dest.test"], "args": ["-N", "failure", "-V", "env<id>+1"]}],
)

add(
    "dsn/delay-4xx-dsn",
    srv={"on": {"RCPT": "450 4.2.0 later"}},
    messages=[{"to": ["user@dest.test"], "args": ["-N", "delay", "-V", "env<id>+1"]}],
)

add(
    "dsn/all-ok-nodsn",
    srv={"on": {}, "kw": ["PIPELINING", "SIZE 1000000", "8BITMIME"]},
    messages=[{"to": ["user@dest.test"], "args": ["-N", "success,failure,delay", "-V", "env<id>+1"]}],
)

add(
    "dsn/orcpt-xtext",
    messages=[
        {"to": ["user@dest.test"], "via": "smtp", "rcpt_args": ["ORCPT=rfc822;a+20b@c"], "mail_args": ["ENVID=a+20b"]}
    ],
)

add(
    "dsn/orcpt-utf8",
    main={"smtputf8_enable": "yes"},
    messages=[{"to": ["user@dest.test"], "via": "smtp", "rcpt_args": ["ORCPT=utf-8;us\\x{E9}r@x.test"]}],
)

add(
    "dsn/relayed-mix",
    srv={"on": {"RCPT": {"two": "550 5.1.1 no", "three": "450 4.2.0 no"}}},
    messages=[{"to": ["one@dest.test", "two@dest.test", "three@dest.test"], "args": ["-N", "success,failure,delay"]}],
)

add(
    "dsn/success-then-delay",
    srv={"on": {"RCPT": "450 4.2.0 later"}},
    main={"delay_warning_time": "3s", "minimal_backoff_time": "300s"},
    messages=[{"to": ["user@dest.test"], "args": ["-N", "delay"]}],
    steps=[("send", 0), ("idle",), ("sleep", 4.2), ("flush",), ("idle",)],
    cost=5,
)

add("dsn/never", messages=[message("user@dest.test", args=["-N", "never"])], srv={"on": {"RCPT": "550 5.1.1 no"}})

add("dsn/success-relayed", messages=[message("user@dest.test", args=["-N", "success"])], srv={"kw": ["PIPELINING"]})

add("dsn/headers-with-envelope-id", messages=[message("user@dest.test", args=["-V", "id+2Bx", "-R", "hdrs"])])

add(
    "dsn/keyword-discarded",
    main={"smtp_discard_ehlo_keywords": "dsn"},
    messages=[message("user@dest.test", args=["-N", "success,failure"])],
)
