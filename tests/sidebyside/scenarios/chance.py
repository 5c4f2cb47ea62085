"""Scenarios: chance. What made-up scenarios (python -m compat.sidebyside.fuzz) once showed to be different."""

from compat.sidebyside.scenario import CLOSE, FAST, add, message

TWO = {"dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 20, "mx2.dest.test.")]}
KEPT = {"smtp_connection_cache_destinations": "dest.test", "smtp_connection_cache_time_limit": "20s"}

# A failure of the whole session is logged although all recipients already wait for the next server
add(
    "chance/lost-after-mail-rejected",
    dns=TWO,
    servers=[
        {"at": "192.0.2.1:25", "kw": [], "on": {"MAIL": (("reply", "421 4.3.2 shutting down"), CLOSE)}},
        {"at": "192.0.2.2:25"},
    ],
)
add(
    "chance/lost-after-all-rejected",
    dns=TWO,
    servers=[
        {"at": "192.0.2.1:25", "on": {"RCPT": "550 5.1.1 no", "DATA": CLOSE}},
        {"at": "192.0.2.2:25"},
    ],
)

# Whether QUIT follows is decided before outstanding replies are read
add(
    "chance/kept-despite-late-misunderstanding",
    main=KEPT,
    messages=[message("a@dest.test"), message("b@dest.test")],
    srv={"on": {"RCPT": "501 5.7.1 no"}},
)
add(
    "chance/kept-until-odd-end-of-data",
    main=KEPT,
    messages=[message("a@dest.test"), message("b@dest.test")],
    srv={"on": {"DOT": "100 odd"}},
)
add(
    "chance/kept-until-garbage-at-the-end",
    main=KEPT,
    messages=[message("a@dest.test"), message("b@dest.test")],
    srv={"on": {"DOT": "garbage\n250 2.0.0 ok"}},
)

# The C library's "no address" is no unknown name
add(
    "chance/native-name-without-address",
    main={"disable_dns_lookups": "yes"},
    dns={"dest.test": [("TXT", "x")]},
)

add(
    "chance/total-of-lines-too-long",
    srv={"on": {"RCPT": "530-first\n" + ("530-" + "x" * 1100 + "\n") * 2 + "530-more\n530 5.1.1 last"}},
)
add(
    "chance/total-of-two-lines-too-long",
    srv={"on": {"RCPT": "530-second " + "x" * 1100 + "\n530-third" + "x" * 1000 + "\n530 5.1.1 last"}},
)

# A failed handshake is reported before QUIT is sent
add(
    "chance/quit-after-the-report",
    main={**FAST, "default_transport": "lmtp:inet:[192.0.2.1]:24", "lmtp_reply_filter": "regexp:/etc/postfix/filter"},
    files={"filter": "/^221/ 221 filtered\n"},
    servers=[{"at": "192.0.2.1:24", "lmtp": True, "greet": "421 4.3.2 no"}],
)

# A filter that gives a status alone leaves the text as it is
for number, (line, code) in enumerate(
    [("/^5/ 5.9.9\n", "550 5.1.1 no"), ("/^5/ 5.9.9 ${1}\n", "550 5.1.1 no"), ("/^2/ 2.9.9\n", "250 2.1.5 Ok")]
):
    add(
        f"chance/filter-without-text-{number}",
        main={"smtp_delivery_status_filter": "regexp:/etc/postfix/filter"},
        files={"filter": line},
        srv={"on": {"RCPT": code}},
    )

# The resolver's search list comes after each step along aliases
SEARCH = {"smtp_dns_resolver_options": "res_defnames, res_dnsrch"}
for number, dns in enumerate(
    [
        {"mx1.dest.test": [("CNAME", "real.test.")], "real.test": []},
        {"mx1.dest.test": [("CNAME", "real.test.")], "real.test.lab.test": [("A", "192.0.2.1")]},
        {"mx1.dest.test": [("CNAME", "real.test.")], "mx1.dest.test.lab.test": [("A", "192.0.2.1")]},
        {"mx1.dest.test": "SERVFAIL", "mx1.dest.test.lab.test": [("A", "192.0.2.1")]},
        {"mx1.dest.test": None, "mx1.dest.test.lab.test": "SERVFAIL"},
        {"mx1.dest.test": [("TXT", "x")], "mx1.dest.test.lab.test": "REFUSED"},
    ]
):
    add(f"chance/search-{number}", main=SEARCH, dns=dns)
add(
    "chance/search-short-name",
    main={**SEARCH, "relayhost": "[short]"},
    dns={"short.lab.test": [("CNAME", "mx1.dest.test.")]},
)
add(
    "chance/search-short-name-without-address",
    main={**SEARCH, "relayhost": "[short]"},
    dns={"short.lab.test": [("TXT", "x")]},
)

# The bound on a line's length does not count its LF
for number, line in enumerate(
    [
        b"250 " + b"x" * 2043 + b"\r\n",
        b"250 " + b"x" * 2044 + b"\r\n",
        b"250 " + b"x" * 2044 + b"\n",
        b"250 " + b"x" * 2045 + b"\n",
        b"250 " + b"x" * 2043 + b"\r\r\n",
    ]
):
    add(f"chance/long-line-{number}", srv={"on": {"MAIL": line}})
add(
    "chance/long-line-in-two-pieces",
    srv={"kw": [], "on": {"MAIL": ("pieces", [b"250 " + b"x" * 2043 + b"\r", b"\n"])}},
)

add(
    "chance/passed-on-recipient-is-quoted",
    main={"best_mx_transport": "discard:"},
    dns={"mx1.dest.test": [("A", "127.0.0.1")]},
    messages=[message('"a..b"@dest.test', via="smtp"), message("plain@dest.test")],
    servers=[],
)

add(
    "chance/address-twice",
    dns={"mx1.dest.test": [("A", "192.0.2.1"), ("A", "192.0.2.1"), ("A", "192.0.2.2"), ("A", "192.0.2.1")]},
    servers=[],
)
add(
    "chance/records-mixed",
    dns={
        "dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 5, "mx2.dest.test."), ("MX", 10, "mx1.dest.test.")],
        "mx2.dest.test": [("A", "192.0.2.2"), ("A", "192.0.2.3"), ("A", "192.0.2.2")],
    },
    main={"smtp_mx_address_limit": "0"},
    servers=[],
)

# Each AUTH line without a mechanism of use is warned about until there is one
add(
    "chance/auth-lines-of-no-use",
    main={
        "smtp_sasl_auth_enable": "yes",
        "smtp_sasl_password_maps": "inline:{ {dest.test = user:secret} }",
        "smtp_sasl_mechanism_filter": "plain",
    },
    servers=[{"at": "192.0.2.1:25", "kw": ["AUTH FOO", "AUTH", "AUTH BAR BAZ"]}],
)

# There is no opportunistic TLS on a connection that was not made
for name in ("missing", "lmtp"):
    add(
        f"chance/opportunistic-over-unix-{name}",
        main={
            "default_transport": f"lmtp:unix:/run/sidebyside/sockets/{name}",
            "lmtp_tls_security_level": "may",
        },
        servers=[{"at": "unix:/run/sidebyside/sockets/lmtp", "lmtp": True}],
    )
