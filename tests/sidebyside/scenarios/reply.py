"""Scenarios: reply."""

from compat.sidebyside.scenario import FAST, add

add("reply/rcpt-no-text-space", srv={"on": {"RCPT": "550 "}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]}, main=FAST)

add(
    "reply/rcpt-enhanced-wrong-class",
    srv={"on": {"RCPT": "550 4.1.1 odd"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    main=FAST,
)

add(
    "reply/rcpt-enhanced-wrong-class-2",
    srv={"on": {"RCPT": "450 5.1.1 odd"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    main=FAST,
)

add(
    "reply/rcpt-enhanced-long",
    srv={"on": {"RCPT": "550 5.1234.1 odd"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    main=FAST,
)

add(
    "reply/rcpt-multiline-2xx-5xx",
    srv={"on": {"RCPT": "250-ok\n550 5.1.1 second"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    main=FAST,
)

add(
    "reply/rcpt-nul",
    srv={"on": {"RCPT": b"550 5.1.1 a\x00b\r\n"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    main=FAST,
)

add(
    "reply/rcpt-latin1",
    srv={"on": {"RCPT": b"550 5.1.1 caf\xe9\r\n"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    main=FAST,
)

add(
    "reply/rcpt-bare-lf", srv={"on": {"RCPT": b"550 5.1.1 lf\n"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]}, main=FAST
)

add("reply/rcpt-code-199", srv={"on": {"RCPT": "199 odd"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]}, main=FAST)

add("reply/rcpt-empty-line", srv={"on": {"RCPT": b"\r\n"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]}, main=FAST)

add(
    "reply/rcpt-space-first",
    srv={"on": {"RCPT": " 550 5.1.1 odd"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    main=FAST,
)

add(
    "reply/rcpt-percent",
    srv={"on": {"RCPT": "550 5.1.1 %s %n %d"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    main=FAST,
)

add(
    "reply/rcpt-backslash",
    srv={"on": {"RCPT": "550 5.1.1 a\\nb"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    main=FAST,
)

add(
    "reply/rcpt-quote",
    srv={"on": {"RCPT": "550 5.1.1 \"quoted\" 'x'"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    main=FAST,
)

add(
    "reply/rcpt-trailing-blanks",
    srv={"on": {"RCPT": "550 5.1.1 text   "}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    main=FAST,
)

add("reply/pipelined-mail-multiline-mixed-codes", srv={"on": {"MAIL": "550-5.1.1 first\n450 4.1.1 second"}}, main=FAST)

add(
    "reply/pipelined-mail-long-line",
    srv={
        "on": {
            "MAIL": "550 5.1.1 long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long long long long long long long long long long long "
            + "long long long long long long long "
        }
    },
    main=FAST,
)

add("reply/dot-enhanced-2xx", srv={"on": {"DOT": "550 2.1.1 odd"}}, main=FAST)

add("reply/dot-250-multiline", srv={"on": {"DOT": "250-2.0.0 first\n250 2.0.0 last"}})

add("reply/dot-250-no-enhanced", srv={"on": {"DOT": "250 fine"}})

add(
    "reply/extra-reply",
    srv={"on": {"MAIL": b"250 2.1.0 Ok\r\n250 2.1.0 extra\r\n"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "reply/split-multiline",
    srv={
        "on": {"RCPT": ("pieces", [b"250-2.1.5 a\r\n25", b"0 2.1.5 b\r\n"])},
        "kw": ["SIZE 10240000", "8BITMIME", "DSN"],
    },
)

add(
    "reply/filter-4xx-to-5xx",
    main={**FAST, "smtp_reply_filter": "pcre:/etc/postfix/rf"},
    files={"rf": "/^4(.*)/ 5$1\n"},
    srv={"on": {"RCPT": {"two": "550 5.1.1 unknown", "three": "450 4.2.0 later"}}},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "reply/filter-drop-multi",
    main={**FAST, "smtp_reply_filter": "pcre:/etc/postfix/rf"},
    files={"rf": "/^250-.*/ 250 x\n"},
    srv={"on": {"RCPT": {"two": "550 5.1.1 unknown", "three": "450 4.2.0 later"}}},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "reply/filter-5xx-to-4xx",
    main={**FAST, "smtp_reply_filter": "pcre:/etc/postfix/rf"},
    files={"rf": "/^5(.)(.) 5(.*)$/ 4$1$2 4$3\n"},
    srv={"on": {"RCPT": {"two": "550 5.1.1 unknown", "three": "450 4.2.0 later"}}},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add("reply/enhanced-code-does-not-fit", srv={"on": {"RCPT": "550 4.1.1 contradiction"}})

add("reply/no-text", srv={"on": {"RCPT": b"550\r\n"}})

add("reply/control-characters", srv={"on": {"RCPT": b"550 5.1.1 bell \x07 and \xff eight bit\r\n"}})

add("reply/line-feed-only", srv={"on": {"RCPT": b"550-5.1.1 first\n550 5.1.1 second\n"}})

add("reply/codes-differ", srv={"on": {"RCPT": b"250-2.1.5 fine\r\n550 5.1.1 not fine\r\n"}})
