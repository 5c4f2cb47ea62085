"""Scenarios: mx."""

from compat.sidebyside.scenario import add

add(
    "mx/second-after-refused",
    dns={"dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 20, "mx2.dest.test.")]},
    servers=[{"at": "192.0.2.2:25", "host": "mx2"}],
)

add(
    "mx/second-after-4xx-greeting",
    dns={"dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 20, "mx2.dest.test.")]},
    servers=[{"at": "192.0.2.1:25", "greet": "421 4.3.2 go away"}, {"at": "192.0.2.2:25", "host": "mx2"}],
)

add(
    "mx/second-after-ehlo-fail",
    dns={"dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 20, "mx2.dest.test.")]},
    servers=[
        {"at": "192.0.2.1:25", "on": {"EHLO": "421 busy", "HELO": "421 busy"}},
        {"at": "192.0.2.2:25", "host": "mx2"},
    ],
)

add(
    "mx/second-after-dot-4xx",
    dns={"dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 20, "mx2.dest.test.")]},
    servers=[{"at": "192.0.2.1:25", "on": {"DOT": "451 4.3.0 no"}}, {"at": "192.0.2.2:25", "host": "mx2"}],
)

add(
    "mx/session-limit-refused-free",
    dns={"dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 20, "mx2.dest.test."), ("MX", 30, "mx3.dest.test.")]},
    servers=[{"at": "192.0.2.3:25", "host": "mx3"}],
    main={"smtp_mx_session_limit": "1"},
)

add("mx/null-mx", dns={"dest.test": [("MX", 0, ".")]})

add("mx/null-mx-and-other", dns={"dest.test": [("MX", 0, "."), ("MX", 10, "mx1.dest.test.")]})

add("mx/no-mx-no-a", dns={"dest.test": [("TXT", "x")]})

add("mx/nxdomain", to=["user@nosuch.test"])

add("mx/host-nxdomain", dns={"mx1.dest.test": None})

add(
    "mx/one-host-nxdomain",
    dns={"dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 20, "mx2.dest.test.")], "mx1.dest.test": None},
    servers=[{"at": "192.0.2.2:25", "host": "mx2"}],
)

add("mx/host-servfail", dns={"mx1.dest.test": "SERVFAIL"})

add("mx/refused-query", dns={"dest.test": "REFUSED"})

add("mx/formerr", dns={"dest.test": "FORMERR"})

add("mx/dns-garbage", dns={"dest.test": "GARBAGE"}, cost=3)

add(
    "mx/cname-host-no-override",
    dns={"mx1.dest.test": [("CNAME", "real.test.")], "real.test": [("A", "192.0.2.1")]},
    main={"smtp_cname_overrides_servername": "yes"},
)

add(
    "mx/cname-relay-override",
    dns={"alias.test": [("CNAME", "real.test.")], "real.test": [("A", "192.0.2.1")]},
    main={"smtp_cname_overrides_servername": "yes", "relayhost": "[alias.test]"},
)

add("mx/cname-loop", dns={"dest.test": [("CNAME", "b.test.")], "b.test": [("CNAME", "dest.test.")]})

add("mx/ip-literal-as-host", dns={"dest.test": [("MX", 10, "192.0.2.1.")]})

add(
    "mx/self-address-other-name",
    dns={"dest.test": [("MX", 10, "mx1.dest.test.")], "mx1.dest.test": [("A", "127.0.0.1")]},
    servers=[],
)

add(
    "mx/self-is-backup",
    dns={
        "dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 20, "mx2.dest.test."), ("MX", 30, "mx3.dest.test.")],
        "mx2.dest.test": [("A", "127.0.0.1")],
    },
    servers=[{"at": "192.0.2.3:25", "host": "mx3"}],
)

add(
    "mx/self-is-backup-better-ok",
    dns={
        "dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 20, "mx2.dest.test."), ("MX", 30, "mx3.dest.test.")],
        "mx2.dest.test": [("A", "127.0.0.1")],
    },
    servers=[{"at": "192.0.2.1:25"}, {"at": "192.0.2.3:25", "host": "mx3"}],
)

add(
    "mx/self-equal-preference",
    dns={
        "dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 10, "mx2.dest.test."), ("MX", 20, "mx3.dest.test.")],
        "mx2.dest.test": [("A", "127.0.0.1")],
    },
    servers=[{"at": "192.0.2.1:25"}, {"at": "192.0.2.3:25", "host": "mx3"}],
)

add("mx/dns-support-dnssec", main={"smtp_dns_support_level": "dnssec"}, hosts="192.0.2.1 dest.test\n")

add(
    "mx/reply-filter-all",
    main={"smtp_dns_reply_filter": "regexp:/etc/postfix/rf"},
    files={"rf": "/ IN A / IGNORE\n/\\sA\\s/ IGNORE\n"},
)

add("mx/resolver-options", main={"smtp_dns_resolver_options": "res_defnames, res_dnsrch"}, to=["user@dest.test"])

add(
    "mx/invalid-names",
    dns={
        "dest.test": [("MX", 10, "-bad-.dest.test."), ("MX", 20, "mx1.dest.test.")],
        "-bad-.dest.test": [("A", "192.0.2.2")],
    },
    servers=[{"at": "192.0.2.1:25"}, {"at": "192.0.2.2:25", "host": "mx2"}],
)

add(
    "mx/two-domains",
    messages=[{"to": ["a@dest.test", "b@other.test"]}],
    concurrent=True,
    dns={"other.test": [("MX", 10, "mx2.dest.test.")]},
    servers=[{"at": "192.0.2.1:25"}, {"at": "192.0.2.2:25", "host": "mx2"}],
)

add("mx/null-mx-2", dns={"dest.test": [("MX", 0, ".")]})

add("mx/null-mx-beside-another", dns={"dest.test": [("MX", 0, "."), ("MX", 10, "mx1.dest.test.")]})

add(
    "mx/six-hosts-two-allowed",
    main={"smtp_mx_address_limit": "2"},
    dns={
        "dest.test": [("MX", 10 * number, f"h{number}.dest.test.") for number in range(1, 7)],
        **{f"h{number}.dest.test": [("A", f"192.0.2.{10 + number}")] for number in range(1, 7)},
    },
    servers=[{"at": "192.0.2.16:25"}],
)

add(
    "mx/three-sessions-two-allowed",
    main={"smtp_mx_session_limit": "2"},
    dns={"dest.test": [("MX", 10 * number, f"mx{number}.dest.test.") for number in (1, 2, 3)]},
    servers=[{"at": f"192.0.2.{number}:25", "on": {"MAIL": "451 4.3.0 later"}} for number in (1, 2, 3)],
)

add(
    "mx/first-host-has-no-address",
    dns={"dest.test": [("MX", 5, "gone.dest.test."), ("MX", 10, "mx1.dest.test.")]},
)

add(
    "mx/address-of-first-host-fails",
    dns={
        "dest.test": [("MX", 5, "sick.dest.test."), ("MX", 10, "mx1.dest.test.")],
        "sick.dest.test": "SERVFAIL",
    },
)

add(
    "mx/all-addresses-fail",
    dns={"dest.test": [("MX", 5, "sick.dest.test.")], "sick.dest.test": "SERVFAIL"},
)

add(
    "mx/we-are-the-second",
    dns={
        "dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 20, "mail.lab.test."), ("MX", 30, "mx3.dest.test.")],
        "mail.lab.test": [("A", "127.0.0.1")],
    },
)

add(
    "mx/alias-of-domain",
    dns={"alias.test": [("CNAME", "dest.test.")]},
    to=["user@alias.test"],
)

add(
    "mx/alias-as-exchanger",
    dns={"dest.test": [("MX", 10, "www.dest.test.")], "www.dest.test": [("CNAME", "mx1.dest.test.")]},
)

add(
    "mx/truncated-answer",
    dns={"dest.test": [("MX:TRUNC",), ("MX", 10, "mx1.dest.test.")]},
)

add("mx/hosts-file", main={"smtp_host_lookup": "native"}, hosts="192.0.2.1 dest.test\n")

add(
    "mx/dns-then-hosts-file",
    main={"smtp_host_lookup": "dns, native"},
    to=["user@only-here.test"],
    hosts="192.0.2.1 only-here.test\n",
)

for number, host in enumerate(("192.0.2.0002", "0.1.2.3", "0xC0000202", "1:2:3:4:5:6:7", "::2:3:4:5:6:7:8"), 1):
    add(
        f"mx/odd-address-as-host-{number}",
        dns={"dest.test": [("MX", 10, f"{host}."), ("MX", 20, "mx1.dest.test.")]},
    )

for number, host in enumerate((r"mx\032one.test", r"mx\.one.test", r"mx\000one.test", r"mx\228one.test"), 1):
    add(
        f"mx/escaped-octet-in-host-{number}",
        dns={"dest.test": [("MX", 10, f"{host}."), ("MX", 20, "mx1.dest.test.")], "mx.one.test": [("A", "192.0.2.9")]},
    )

add(
    "mx/alias-to-a-malformed-name",
    dns={"dest.test": [("CNAME", "bad/name.test.")], "bad/name.test": [("MX", 10, "mx1.dest.test.")]},
)

add(
    "mx/exchanger-is-alias-of-a-malformed-name",
    dns={"mx1.dest.test": [("CNAME", "bad/name.test.")], "bad/name.test": [("A", "192.0.2.1")]},
)

add(
    "mx/alias-to-an-address",
    dns={"dest.test": [("CNAME", "192.0.2.9.")], "192.0.2.9": [("MX", 10, "mx1.dest.test.")]},
)

add(
    "mx/hundred-addresses-of-both-families",
    dns={
        "mx1.dest.test": [
            *(("A", f"203.0.113.{number}") for number in range(1, 61)),
            *(("AAAA", f"2001:db8:dead::{number:x}") for number in range(1, 61)),
        ]
    },
    servers=[],
    main={"smtp_mx_address_limit": "0"},
)

add(
    "mx/hundred-addresses-of-all-hosts",
    dns={
        "dest.test": [("MX", 10, "m1.test."), ("MX", 20, "m2.test."), ("MX", 30, "mx1.dest.test.")],
        "m1.test": [("A", f"203.0.113.{number}") for number in range(1, 61)],
        "m2.test": [("A", f"203.0.113.{number}") for number in range(61, 121)],
    },
    main={"smtp_mx_address_limit": "0"},
    differs={"DNS": ["+mx1.dest.test A", "+mx1.dest.test AAAA"]},  # all hosts are asked for at once
)
