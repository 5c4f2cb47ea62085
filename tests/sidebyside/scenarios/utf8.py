"""Scenarios: utf8."""

from compat.sidebyside.scenario import add, agents, message

add(
    "utf8/both",
    main={"smtputf8_enable": "yes"},
    srv={"kw": ["PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 10000000", "DSN"]},
    messages=[
        {
            "to": ["üser@dest.test"],
            "data": "From: s <sender@origin.test>\nTo: x\nSubject: grüß\n\nbody ä\n",
            "sender": "sender@origin.test",
            "via": "smtp",
            "mail_args": ["SMTPUTF8", "BODY=8BITMIME"],
        }
    ],
)

add(
    "utf8/sendmail",
    main={"smtputf8_enable": "yes"},
    srv={"kw": ["PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 10000000", "DSN"]},
    messages=[
        {
            "to": ["üser@dest.test"],
            "data": "From: s <sender@origin.test>\nTo: x\nSubject: grüß\n\nbody ä\n",
            "args": ["-O", "SMTPUTF8"],
        }
    ],
)

add(
    "utf8/idn-domain-server-lacks",
    main={"smtputf8_enable": "yes"},
    messages=[
        {
            "to": ["user@bücher.test"],
            "data": "From: s <sender@origin.test>\nTo: x\nSubject: grüß\n\nbody ä\n",
            "sender": "sender@origin.test",
            "via": "smtp",
            "mail_args": ["SMTPUTF8", "BODY=8BITMIME"],
        }
    ],
    dns={"xn--bcher-kva.test": [("MX", 10, "mx1.dest.test.")]},
)

add(
    "utf8/disabled",
    main={"smtputf8_enable": "no"},
    srv={"kw": ["PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 10000000", "DSN"]},
    messages=[
        {
            "to": ["user@dest.test"],
            "data": "From: s <sender@origin.test>\nTo: x\nSubject: grüß\n\nbody ä\n",
            "via": "smtp",
            "mail_args": ["BODY=8BITMIME"],
        }
    ],
)

add(
    "utf8/bounce",
    main={"smtputf8_enable": "yes"},
    srv={"kw": ["PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 10000000", "DSN"], "on": {"RCPT": "550 5.1.1 unbekannt ä"}},
    messages=[
        {
            "to": ["üser@dest.test"],
            "data": "From: s <sender@origin.test>\nTo: x\nSubject: grüß\n\nbody ä\n",
            "sender": "sender@origin.test",
            "via": "smtp",
            "mail_args": ["SMTPUTF8", "BODY=8BITMIME"],
        }
    ],
)

add(
    "utf8/two-mx-none",
    main={"smtputf8_enable": "yes"},
    dns={"dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 20, "mx2.dest.test.")]},
    servers=[{"at": "192.0.2.1:25"}, {"at": "192.0.2.2:25"}],
    messages=[
        {
            "to": ["üser@dest.test", "other@dest.test"],
            "sender": "sender@origin.test",
            "via": "smtp",
            "mail_args": ["SMTPUTF8", "BODY=8BITMIME"],
            "data": "Subject: grüß\n\nbody ä\n",
        }
    ],
)

add(
    "utf8/two-mx-second",
    main={"smtputf8_enable": "yes"},
    dns={"dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 20, "mx2.dest.test.")]},
    servers=[
        {"at": "192.0.2.1:25"},
        {"at": "192.0.2.2:25", "kw": ["PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 10000000", "DSN"]},
    ],
    messages=[
        {
            "to": ["üser@dest.test", "other@dest.test"],
            "sender": "sender@origin.test",
            "via": "smtp",
            "mail_args": ["SMTPUTF8", "BODY=8BITMIME"],
            "data": "Subject: grüß\n\nbody ä\n",
        }
    ],
)

add(
    "utf8/autodetect-verify",
    main={"smtputf8_enable": "yes", "smtputf8_autodetect_classes": "verify"},
    srv={"kw": ["PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 10000000", "DSN"]},
    messages=[
        {"to": ["user@dest.test"], "data": "Subject: grüß\n\nx\n"},
        {"to": ["üser@dest.test"], "args": ["-bv"], "data": ""},
    ],
    steps=[
        ("send", 0),
        ("idle",),
        ("send", 1),
        ("wait_log", "üser@dest.test.*removed|üser.*status=|removed"),
        ("idle",),
    ],
)

for level in ("disabled", "enabled"):
    add(
        f"utf8/native-look-up-{level}",
        main={"smtp_dns_support_level": level, "smtp_host_lookup": "native", "relayhost": "[bücher.test]"},
    )

add(
    "utf8/native-look-up-found",
    main={"smtp_dns_support_level": "disabled"},
    to=["user@bücher.test"],
    hosts="192.0.2.1 xn--bcher-kva.test\n",
)

for number, host in enumerate(("bücher.test", "bü_cher.test", "☃.test", "Straße.TEST", "１９２.0.2.1"), 1):
    add(
        f"utf8/international-relay-{number}",
        main={"relayhost": f"[{host}]"},
        dns={f"{name}.test": [("A", "192.0.2.1")] for name in ("xn--bcher-kva", "xn--b_cher-3ya", "xn--n3h")},
    )

for number, host in enumerate(
    ("ab--ü.test", "-ü.test", "ü-.test", "\u0301a.test", "aא.test", "ü..test", "xn--a-ü.test"), 1
):
    add(f"utf8/relay-without-a-label-form-{number}", main={"relayhost": f"[{host}]"}, servers=[])

# Bits of a newer Postfix, in a queue file that was there before
for name, bits in (("alone", 16), ("requested", 17)):
    add(
        f"utf8/unknown-bits-{name}",
        messages=[message(via="queue", original="ö@x.test".encode(), lines=[b"To: x", b"", b"x"], smtputf8=bits)],
        srv={"kw": ["8BITMIME", "DSN"]},
        max="3.9",
    )

# Case of addresses in the program's own comparisons
AGENTS = agents("smtp flags=D")
CASES = (
    ("Ü@dest.test", "ü@dest.test"),
    ("straße@dest.test", "STRASSE@dest.test"),
    ("user@dest.test", "USER@dest.test"),
)
for enabled in ("yes", "no"):
    for number, (recipient, other) in enumerate(CASES):
        add(
            f"utf8/original-in-other-case-{enabled}-{number}",
            main={"smtputf8_enable": enabled},
            messages=[message(recipient, via="queue", original=other.encode(), lines=[b"To: x", b"", b"x"])],
        )
        add(
            f"utf8/delivered-to-in-other-case-{enabled}-{number}",
            main={"smtputf8_enable": enabled},
            messages=[message(recipient, via="queue", lines=[f"Delivered-To: {other}".encode(), b"", b"x"])],
            agents=AGENTS,
        )
