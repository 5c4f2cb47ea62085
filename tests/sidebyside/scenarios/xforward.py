"""Scenarios: xforward."""

from compat.sidebyside.scenario import add

add(
    "xforward/sendmail",
    main={"smtp_send_xforward_command": "yes"},
    srv={"kw": ["PIPELINING", "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE", "8BITMIME"]},
)

add(
    "xforward/not-offered",
    main={"smtp_send_xforward_command": "yes"},
    messages=[
        {
            "to": ["user@dest.test"],
            "via": "smtp",
            "xforward": [
                "NAME=spike.test ADDR=198.51.100.7 PORT=1234 PROTO=ESMTP HELO=spike",
                "IDENT=abc SOURCE=REMOTE",
            ],
        }
    ],
)

add(
    "xforward/close",
    main={"smtp_send_xforward_command": "yes"},
    srv={
        "kw": ["PIPELINING", "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE", "8BITMIME"],
        "on": {"XFORWARD": ("close",)},
    },
    messages=[
        {
            "to": ["user@dest.test"],
            "via": "smtp",
            "xforward": [
                "NAME=spike.test ADDR=198.51.100.7 PORT=1234 PROTO=ESMTP HELO=spike",
                "IDENT=abc SOURCE=REMOTE",
            ],
        }
    ],
)

add(
    "xforward/421",
    main={"smtp_send_xforward_command": "yes"},
    srv={
        "kw": ["PIPELINING", "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE", "8BITMIME"],
        "on": {"XFORWARD": "421 bye"},
    },
    messages=[
        {
            "to": ["user@dest.test"],
            "via": "smtp",
            "xforward": [
                "NAME=spike.test ADDR=198.51.100.7 PORT=1234 PROTO=ESMTP HELO=spike",
                "IDENT=abc SOURCE=REMOTE",
            ],
        }
    ],
)

add(
    "xforward/nopipe",
    main={"smtp_send_xforward_command": "yes"},
    srv={"kw": ["XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE", "8BITMIME"]},
    messages=[
        {
            "to": ["user@dest.test"],
            "via": "smtp",
            "xforward": [
                "NAME=spike.test ADDR=198.51.100.7 PORT=1234 PROTO=ESMTP HELO=spike",
                "IDENT=abc SOURCE=REMOTE",
            ],
        }
    ],
)

add(
    "xforward/too-long",
    main={"smtp_send_xforward_command": "yes"},
    srv={"kw": ["PIPELINING", "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE", "8BITMIME"]},
    messages=[
        {
            "to": ["user@dest.test"],
            "via": "smtp",
            "hello": "EHLO "
            + "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh"
            + "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh"
            + "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh"
            + "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh.test",
        }
    ],
)
