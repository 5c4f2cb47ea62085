"""Scenarios: lmtp."""

from compat.sidebyside.scenario import FAST, add

add(
    "lmtp/inet-three",
    servers=[{"at": "192.0.2.1:24", "lmtp": True}],
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
    main={"default_transport": "lmtp:inet:[192.0.2.1]:24"},
)

add(
    "lmtp/inet-mixed-dot",
    servers=[
        {
            "at": "192.0.2.1:24",
            "lmtp": True,
            "on": {"DOT": {"one": "550 5.7.1 rejected by sieve", "two": "452 4.2.2 over quota"}},
        }
    ],
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
    main={"default_transport": "lmtp:inet:[192.0.2.1]:24"},
)

add(
    "lmtp/inet-greeting-4xx",
    servers=[{"at": "192.0.2.1:24", "lmtp": True, "greet": "421 no"}],
    to=["user@dest.test"],
    main={"default_transport": "lmtp:inet:[192.0.2.1]:24"},
)

add(
    "lmtp/inet-close-at-once",
    servers=[{"at": "192.0.2.1:24", "lmtp": True, "greet": ("close",)}],
    to=["user@dest.test"],
    main={"default_transport": "lmtp:inet:[192.0.2.1]:24"},
)

add(
    "lmtp/unix-mixed-rcpt",
    servers=[
        {
            "at": "unix:/run/sidebyside/sockets/lmtp",
            "lmtp": True,
            "on": {"RCPT": {"one": "550 5.1.1 no", "two": "450 4.2.0 later"}},
        }
    ],
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
    main={"default_transport": "lmtp:unix:/run/sidebyside/sockets/lmtp"},
)

add(
    "lmtp/unix-dot-close-after-first",
    servers=[
        {"at": "unix:/run/sidebyside/sockets/lmtp", "lmtp": True, "on": {"DOT": ["250 2.0.0 first", (("close",),)]}}
    ],
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
    main={"default_transport": "lmtp:unix:/run/sidebyside/sockets/lmtp"},
)

add(
    "lmtp/unix-all-dot-5xx",
    servers=[{"at": "unix:/run/sidebyside/sockets/lmtp", "lmtp": True, "on": {"DOT": "554 5.6.0 no"}}],
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
    main={"default_transport": "lmtp:unix:/run/sidebyside/sockets/lmtp"},
)

add(
    "lmtp/unix-nopipe",
    servers=[
        {
            "at": "unix:/run/sidebyside/sockets/lmtp",
            "lmtp": True,
            "kw": ["SIZE 100000", "8BITMIME", "ENHANCEDSTATUSCODES"],
        }
    ],
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
    main={"default_transport": "lmtp:unix:/run/sidebyside/sockets/lmtp"},
)

add(
    "lmtp/rcpt-251",
    servers=[{"at": "192.0.2.1:24", "lmtp": True, "on": {"RCPT": "251 2.1.5 forwarded"}}],
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
    main={"default_transport": "lmtp:inet:[192.0.2.1]:24"},
)

add(
    "lmtp/dot-421-second",
    servers=[{"at": "192.0.2.1:24", "lmtp": True, "on": {"DOT": ["250 2.0.0 first", "421 4.3.2 bye"]}}],
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
    main={"default_transport": "lmtp:inet:[192.0.2.1]:24"},
)

add(
    "lmtp/dot-garbage-second",
    servers=[{"at": "192.0.2.1:24", "lmtp": True, "on": {"DOT": ["250 2.0.0 first", "garbage"]}}],
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
    main={**FAST, "default_transport": "lmtp:inet:[192.0.2.1]:24"},
)

add(
    "lmtp/dsn-success-no-server",
    servers=[{"at": "192.0.2.1:24", "lmtp": True, "kw": ["PIPELINING"]}],
    to=["user@dest.test"],
    main={"default_transport": "lmtp:inet:[192.0.2.1]:24"},
    messages=[{"to": ["user@dest.test"], "args": ["-N", "success", "-V", "envid"]}],
)

add(
    "lmtp/reply-filter",
    servers=[{"at": "192.0.2.1:24", "lmtp": True}],
    to=["user@dest.test"],
    main={"default_transport": "lmtp:inet:[192.0.2.1]:24", "lmtp_reply_filter": "pcre:/etc/postfix/rf"},
    files={"rf": "/^250 2.0.0 (.*)/ 250 2.6.0 filtered $1\n"},
)

add(
    "lmtp/generic",
    servers=[{"at": "192.0.2.1:24", "lmtp": True}],
    to=["user@dest.test"],
    main={"default_transport": "lmtp:inet:[192.0.2.1]:24", "lmtp_generic_maps": "static:x@y.test"},
)

add("lmtp/unix-missing", servers=[], main={"default_transport": "lmtp:unix:/run/sidebyside/sockets/nosuch"})

add("lmtp/smtp-server", servers=[{"at": "192.0.2.1:24"}], main={"default_transport": "lmtp:inet:[192.0.2.1]:24"})

add("lmtp/refused", servers=[], main={"default_transport": "lmtp:inet:[192.0.2.1]:24"})

add(
    "lmtp/fallback",
    servers=[{"at": "192.0.2.3:24", "lmtp": True}],
    main={"default_transport": "lmtp:inet:[192.0.2.1]:24", "lmtp_fallback_relay": "inet:[192.0.2.3]:24"},
)

add(
    "lmtp/deadline",
    main={**FAST, "lmtp_per_request_deadline": "yes", "default_transport": "lmtp:inet:[192.0.2.1]:24"},
    servers=[
        {"at": "192.0.2.1:24", "lmtp": True, "on": {"DOT": ("drip", "250-aaaaaaaaaa\n250 bbbbbbbbbbbbbbbbb", 0.1)}}
    ],
    cost=4,
)

LMTP = {"default_transport": "lmtp:unix:/run/sidebyside/sockets/x"}
HERE = {"at": "unix:/run/sidebyside/sockets/x", "lmtp": True}

add(
    "lmtp/two-recipients-one-rejected-at-the-end",
    main=LMTP,
    to=["one@dest.test", "two@dest.test"],
    servers=[{**HERE, "on": {"DOT": {"two": "552 5.2.2 full"}}}],
)

add(
    "lmtp/two-recipients-one-later-at-the-end",
    main=LMTP,
    to=["one@dest.test", "two@dest.test"],
    servers=[{**HERE, "on": {"DOT": {"one": "452 4.2.2 full"}}}],
)

add(
    "lmtp/closes-between-final-replies",
    main=LMTP,
    to=["one@dest.test", "two@dest.test"],
    servers=[{**HERE, "on": {"DOT": {"two": ("close",)}}}],
)

add("lmtp/no-pipelining", main=LMTP, to=["one@dest.test", "two@dest.test"], servers=[{**HERE, "kw": []}])

add("lmtp/socket-missing", main=LMTP, servers=[])

add(
    "lmtp/smtps-port-without-wrapper-mode",
    servers=[],
    main={"default_transport": "lmtp:inet:[192.0.2.1]:465"},
)

add(
    "lmtp/wrapper-mode-without-level",
    servers=[],
    main={"default_transport": "lmtp:inet:[192.0.2.1]", "lmtp_tls_wrappermode": "yes"},
)

add("lmtp/unix-empty-path", servers=[], main={"default_transport": "lmtp:unix:"})

add("lmtp/inet-empty", servers=[], main={"default_transport": "lmtp:inet:"})
