"""Scenarios: stage."""

from compat.sidebyside.scenario import FAST, add, message

add(
    "stage/pipe-mail-421",
    srv={"on": {"MAIL": "421 4.3.2 closing"}},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "stage/pipe-mail-hang",
    srv={"on": {"MAIL": ("hang",)}},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
    main=FAST,
    cost=3,
)

add(
    "stage/pipe-rcpt-421-close",
    srv={"on": {"RCPT": (("reply", "421 4.3.2 closing"), ("close",))}},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add("stage/pipe-data-close", srv={"on": {"DATA": ("close",)}}, to=["one@dest.test", "two@dest.test", "three@dest.test"])

add(
    "stage/pipe-data-421",
    srv={"on": {"DATA": "421 4.3.2 closing"}},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "stage/pipe-data-421-close",
    srv={"on": {"DATA": (("reply", "421 4.3.2 closing"), ("close",))}},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "stage/pipe-data-hang",
    srv={"on": {"DATA": ("hang",)}},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
    main=FAST,
    cost=3,
)

add(
    "stage/pipe-quit-5xx",
    srv={"on": {"QUIT": "554 5.5.1 no"}},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "stage/pipe-quit-hang",
    srv={"on": {"QUIT": ("hang",)}},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
    main=FAST,
    cost=3,
)

add(
    "stage/pipe-rcpt-second-421",
    srv={"on": {"RCPT": {"two": "421 4.3.2 closing"}}},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "stage/pipe-rcpt-one-5xx",
    srv={"on": {"RCPT": {"two": "550 5.1.1 unknown"}}},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "stage/pipe-rcpt-all-5xx-data-354",
    srv={"on": {"RCPT": "550 5.1.1 unknown"}},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "stage/pipe-rcpt-all-5xx-data-503",
    srv={"on": {"RCPT": "550 5.1.1 unknown", "DATA": "503 5.5.1 no rcpt"}},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "stage/pipe-data-mixed-rcpt",
    srv={"on": {"RCPT": {"two": "550 5.1.1 no"}, "DATA": "451 4.3.0 no"}},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "stage/pipe-dot-mixed-rcpt",
    srv={"on": {"RCPT": {"two": "550 5.1.1 no"}, "DOT": "451 4.3.0 no"}},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add("stage/pipe-dot-3xx", srv={"on": {"DOT": "354 hm"}})

add("stage/pipe-body-early-reply", srv={"body": {"after": 5, "do": (("reply", "552 5.3.4 too much"), ("close",))}})

add(
    "stage/nopipe-mail-421-close",
    srv={"on": {"MAIL": (("reply", "421 4.3.2 closing"), ("close",))}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "stage/nopipe-rcpt-421",
    srv={"on": {"RCPT": "421 4.3.2 closing"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "stage/nopipe-rcpt-5xx",
    srv={"on": {"RCPT": "554 5.5.1 no"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "stage/nopipe-data-5xx",
    srv={"on": {"DATA": "554 5.5.1 no"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "stage/nopipe-data-4xx",
    srv={"on": {"DATA": "451 4.5.1 no"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "stage/nopipe-dot-421",
    srv={"on": {"DOT": "421 4.3.2 closing"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "stage/nopipe-dot-421-close",
    srv={"on": {"DOT": (("reply", "421 4.3.2 closing"), ("close",))}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "stage/nopipe-dot-4xx",
    srv={"on": {"DOT": "451 4.5.1 no"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "stage/nopipe-rcpt-one-4xx",
    srv={"on": {"RCPT": {"two": "450 4.2.0 grey"}}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "stage/nopipe-rcpt-all-5xx-data-354",
    srv={"on": {"RCPT": "550 5.1.1 unknown"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
)

add(
    "stage/nopipe-fifty-rcpts",
    to=[
        "user00@dest.test",
        "user01@dest.test",
        "user02@dest.test",
        "user03@dest.test",
        "user04@dest.test",
        "user05@dest.test",
        "user06@dest.test",
        "user07@dest.test",
        "user08@dest.test",
        "user09@dest.test",
        "user10@dest.test",
        "user11@dest.test",
        "user12@dest.test",
        "user13@dest.test",
        "user14@dest.test",
        "user15@dest.test",
        "user16@dest.test",
        "user17@dest.test",
        "user18@dest.test",
        "user19@dest.test",
        "user20@dest.test",
        "user21@dest.test",
        "user22@dest.test",
        "user23@dest.test",
        "user24@dest.test",
        "user25@dest.test",
        "user26@dest.test",
        "user27@dest.test",
        "user28@dest.test",
        "user29@dest.test",
        "user30@dest.test",
        "user31@dest.test",
        "user32@dest.test",
        "user33@dest.test",
        "user34@dest.test",
        "user35@dest.test",
        "user36@dest.test",
        "user37@dest.test",
        "user38@dest.test",
        "user39@dest.test",
        "user40@dest.test",
        "user41@dest.test",
        "user42@dest.test",
        "user43@dest.test",
        "user44@dest.test",
        "user45@dest.test",
        "user46@dest.test",
        "user47@dest.test",
        "user48@dest.test",
        "user49@dest.test",
    ],
    srv={"kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
)

add(
    "stage/nopipe-data-250",
    srv={"on": {"DATA": "250 hm"}, "kw": ["SIZE 10240000", "8BITMIME", "DSN"]},
    main=FAST,
    cost=2,
)

add(
    "stage/nopipe-body-early-reply",
    srv={
        "body": {"after": 5, "do": (("reply", "552 5.3.4 too much"), ("close",))},
        "kw": ["SIZE 10240000", "8BITMIME", "DSN"],
    },
)

add("stage/quit-waited", main={"smtp_skip_quit_response": "no"})

add("stage/body-hang", srv={"body": {"after": 50, "do": ("hang",)}}, main=FAST, cost=2)

add(
    "stage/retry-only-rest",
    srv={"on": {"RCPT": {"two": ["450 4.2.0 grey", "250 ok"]}}},
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
    steps=[("send", 0), ("idle",), ("flush",), ("idle",)],
)

add(
    "stage/retry-after-refused",
    servers=[],
    to=["one@dest.test", "two@dest.test", "three@dest.test"],
    steps=[("send", 0), ("idle",), ("server_on", {"at": "192.0.2.1:25"}), ("flush",), ("idle",)],
)

add(
    "stage/suspended-after-4xx-greeting",
    srv={"greet": "421 4.3.2 no"},
    messages=[{"to": ["user@dest.test"]}, {"to": ["other@dest.test"]}],
)

add(
    "stage/deadline-reply-ehlo",
    main={**FAST, "smtp_per_request_deadline": "yes"},
    srv={"on": {"EHLO": ("drip", "250-aaaaaaaaaa\n250 bbbbbbbbbbbbbbbbb", 0.1)}},
    cost=4,
)

add(
    "stage/deadline-reply-dot",
    main={**FAST, "smtp_per_request_deadline": "yes"},
    srv={"on": {"DOT": ("drip", "250-aaaaaaaaaa\n250 bbbbbbbbbbbbbbbbb", 0.1)}},
    cost=4,
)

add(
    "stage/nopipe-rcpt-mixed",
    to=["a@dest.test", "b@dest.test", "c@dest.test"],
    srv={"kw": ["SIZE"], "on": {"RCPT": {"a@": "550 5.1.1 no", "b@": "450 4.2.0 later"}}},
)

add("stage/nopipe-all-rejected", to=["a@dest.test", "b@dest.test"], srv={"kw": [], "on": {"RCPT": "550 5.1.1 no"}})

add("stage/data-accepted-though-all-rejected", to=["a@dest.test"], srv={"on": {"RCPT": "550 5.1.1 no"}})

add("stage/size-too-large", srv={"kw": ["PIPELINING", "SIZE 100"]})

add(
    "stage/reset-in-the-content",
    messages=[message("user@dest.test", data="Subject: big\n\n" + "line\n" * 400000)],
    srv={"body": {"after": 100000, "do": ("rst",)}},
)

add(
    "stage/error-before-the-end-of-the-content",
    messages=[message("user@dest.test", data="Subject: x\n\n" + "line\n" * 20000)],
    srv={"body": {"after": 10, "do": (("reply", "552 5.3.4 too big"), ("close",))}},
)

add("stage/reply-in-pieces", srv={"on": {"MAIL": ("pieces", ["25", "0-2.1.0 first\r\n250 ", "2.1.0 last\r\n"])}})

add(
    "stage/lost-with-nobody-left",
    srv={"on": {"RCPT": (("reply", "450 4.2.0 later"), ("close",))}},
    messages=[{"to": ["one@dest.test"]}, {"to": ["two@dest.test"]}],
)

add(
    "stage/lost-with-somebody-left",
    srv={"on": {"RCPT": ["250 2.1.5 Ok", (("reply", "450 4.2.0 later"), ("close",))]}},
    messages=[{"to": ["one@dest.test", "two@dest.test"]}, {"to": ["three@dest.test"]}],
)
