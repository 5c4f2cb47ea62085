"""Scenarios: family."""

from compat.sidebyside.scenario import add, agents

add(
    "family/prefer-ipv4",
    dns={"mx1.dest.test": [("A", "192.0.2.1"), ("AAAA", "2001:db8::1")]},
    servers=[{"at": "192.0.2.1:25"}, {"at": "[2001:db8::1]:25", "host": "six"}],
    main={"smtp_address_preference": "ipv4"},
)

add(
    "family/only-ipv4",
    dns={"mx1.dest.test": [("A", "192.0.2.1"), ("AAAA", "2001:db8::1")]},
    servers=[{"at": "192.0.2.1:25"}, {"at": "[2001:db8::1]:25", "host": "six"}],
    agents=agents("smtp -o inet_protocols=ipv4 -o smtp_address_preference=any -o inet_interfaces=127.0.0.1"),
)

add(
    "family/prefer-ipv6",
    dns={"mx1.dest.test": [("A", "192.0.2.1"), ("AAAA", "2001:db8::1")]},
    servers=[{"at": "192.0.2.1:25"}, {"at": "[2001:db8::1]:25", "host": "six"}],
    main={"smtp_address_preference": "ipv6"},
)

add(
    "family/v6-only-mx",
    dns={"mx1.dest.test": [("AAAA", "2001:db8::1")]},
    servers=[{"at": "[2001:db8::1]:25", "host": "six"}],
)

add(
    "family/aaaa-servfail-a-ok",
    dns={"mx1.dest.test": [("AAAA:SERVFAIL",), ("A", "192.0.2.1")]},
    servers=[{"at": "192.0.2.1:25"}],
)

add("family/address-preference-bad", main={"smtp_address_preference": "ipv5"})

add(
    "family/six-unreachable-then-four",
    main={"smtp_address_preference": "ipv6"},
    dns={"mx1.dest.test": [("AAAA", "2001:db8:dead::1"), ("A", "192.0.2.1")]},
)

add(
    "family/four-only",
    main={"inet_protocols": "ipv4"},
    dns={"mx1.dest.test": [("AAAA", "2001:db8::1")]},
)

add(
    "family/literal-six",
    to=["user@[IPv6:2001:db8::1]"],
    servers=[{"at": "[2001:db8::1]:25"}],
)
