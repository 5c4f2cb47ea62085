"""Scenarios: cache."""

from compat.sidebyside.scenario import add, message

add(
    "cache/dest-delivered-other-sender",
    main={
        "smtp_connection_cache_destinations": "dest.test, [192.0.2.1], [mx1.dest.test]",
        "smtp_connection_cache_on_demand": "no",
        "smtp_connection_cache_time_limit": "20s",
        "lmtp_connection_cache_time_limit": "20s",
    },
    messages=[
        {"to": ["user@dest.test"], "sender": "s0@origin.test"},
        {"to": ["user@dest.test"], "sender": "s1@origin.test"},
        {"to": ["user@dest.test"], "sender": "s2@origin.test"},
    ],
    srv={},
)

add(
    "cache/off",
    main={
        "smtp_connection_cache_destinations": "",
        "smtp_connection_cache_on_demand": "no",
        "smtp_connection_cache_time_limit": "20s",
        "lmtp_connection_cache_time_limit": "20s",
    },
    messages=[{"to": ["u0@dest.test"]}, {"to": ["u1@dest.test"]}, {"to": ["u2@dest.test"]}],
    srv={},
)

add(
    "cache/relayhost",
    main={
        "smtp_connection_cache_destinations": "dest.test, [192.0.2.1], [mx1.dest.test]",
        "smtp_connection_cache_on_demand": "no",
        "smtp_connection_cache_time_limit": "20s",
        "lmtp_connection_cache_time_limit": "20s",
        "relayhost": "[mx1.dest.test]",
    },
    messages=[{"to": ["u0@dest.test"]}, {"to": ["u1@dest.test"]}, {"to": ["u2@dest.test"]}],
    srv={},
)

add(
    "cache/expires",
    main={
        "smtp_connection_cache_destinations": "dest.test, [192.0.2.1], [mx1.dest.test]",
        "smtp_connection_cache_on_demand": "no",
        "smtp_connection_cache_time_limit": "1s",
        "lmtp_connection_cache_time_limit": "20s",
    },
    messages=[{"to": ["u0@dest.test"]}, {"to": ["u1@dest.test"]}, {"to": ["u2@dest.test"]}],
    srv={},
    steps=[("send", 0), ("idle",), ("wait_closed", "192.0.2.1:25"), ("send", 1), ("idle",)],
    cost=3,
)

add(
    "cache/rset-fails",
    main={
        "smtp_connection_cache_destinations": "dest.test, [192.0.2.1], [mx1.dest.test]",
        "smtp_connection_cache_on_demand": "no",
        "smtp_connection_cache_time_limit": "20s",
        "lmtp_connection_cache_time_limit": "20s",
    },
    messages=[{"to": ["u0@dest.test"]}, {"to": ["u1@dest.test"]}, {"to": ["u2@dest.test"]}],
    srv={"on": {"RSET": "500 no rset"}},
)

add(
    "cache/rcpt-4xx-then-reuse",
    main={
        "smtp_connection_cache_destinations": "dest.test, [192.0.2.1], [mx1.dest.test]",
        "smtp_connection_cache_on_demand": "no",
        "smtp_connection_cache_time_limit": "20s",
        "lmtp_connection_cache_time_limit": "20s",
    },
    messages=[{"to": ["u0@dest.test"]}, {"to": ["u1@dest.test"]}, {"to": ["u2@dest.test"]}],
    srv={"on": {"RCPT": {"u0": "450 4.2.1 no"}}},
)

add(
    "cache/data-5xx-then-reuse",
    main={
        "smtp_connection_cache_destinations": "dest.test, [192.0.2.1], [mx1.dest.test]",
        "smtp_connection_cache_on_demand": "no",
        "smtp_connection_cache_time_limit": "20s",
        "lmtp_connection_cache_time_limit": "20s",
    },
    messages=[{"to": ["u0@dest.test"]}, {"to": ["u1@dest.test"]}, {"to": ["u2@dest.test"]}],
    srv={"on": {"DATA": ["554 5.5.1 no", "354 go"]}},
)

add(
    "cache/two-mx",
    main={
        "smtp_connection_cache_destinations": "dest.test, [192.0.2.1], [mx1.dest.test]",
        "smtp_connection_cache_on_demand": "no",
        "smtp_connection_cache_time_limit": "20s",
        "lmtp_connection_cache_time_limit": "20s",
    },
    messages=[{"to": ["u0@dest.test"]}, {"to": ["u1@dest.test"]}, {"to": ["u2@dest.test"]}],
    dns={"dest.test": [("MX", 10, "mx1.dest.test."), ("MX", 20, "mx2.dest.test.")]},
    servers=[{"at": "192.0.2.1:25", "greet": "421 busy"}, {"at": "192.0.2.2:25"}],
)

add(
    "cache/generic-nexthop-port",
    main={
        "smtp_connection_cache_destinations": "[192.0.2.1]:2525",
        "smtp_connection_cache_on_demand": "no",
        "smtp_connection_cache_time_limit": "20s",
        "lmtp_connection_cache_time_limit": "20s",
        "relayhost": "[192.0.2.1]:2525",
    },
    messages=[{"to": ["u0@dest.test"]}, {"to": ["u1@dest.test"]}, {"to": ["u2@dest.test"]}],
    servers=[{"at": "192.0.2.1:2525"}],
)

add(
    "cache/verify-probe-on-cached",
    main={
        "smtp_connection_cache_destinations": "dest.test, [192.0.2.1], [mx1.dest.test]",
        "smtp_connection_cache_on_demand": "no",
        "smtp_connection_cache_time_limit": "20s",
        "lmtp_connection_cache_time_limit": "20s",
    },
    messages=[
        {"to": ["user@dest.test"]},
        {"to": ["user@dest.test"], "args": ["-bv"], "data": ""},
        {"to": ["user@dest.test"]},
    ],
    srv={},
    steps=[("send", 0), ("idle",), ("send", 1), ("wait_log", "status=deliverable"), ("idle",), ("send", 2), ("idle",)],
)

add(
    "cache/tls-policy-none",
    main={
        "smtp_connection_cache_on_demand": "no",
        "smtp_connection_cache_time_limit": "20s",
        "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
        "smtp_tls_loglevel": "1",
        "smtp_connection_cache_destinations": "dest.test",
        "tlsproxy_tls_loglevel": "1",
        "smtp_tls_policy_maps": "inline:{ {dest.test = none} }",
        "smtp_tls_connection_reuse": "yes",
    },
    srv={"tls": {"cert": "good"}},
    messages=[{"to": ["u0@dest.test"]}, {"to": ["u1@dest.test"]}],
)

KEPT = {
    "smtp_connection_cache_destinations": "dest.test",
    "smtp_connection_cache_on_demand": "no",
    "smtp_connection_cache_time_limit": "20s",
}

add(
    "cache/server-closes-while-kept",
    main=KEPT,
    messages=[message("a@dest.test"), message("b@dest.test")],
    srv={"on": {"RSET": [("close",), "250 Ok"]}},
)

add(
    "cache/reuse-limit",
    main={**KEPT, "smtp_connection_reuse_count_limit": "2"},
    messages=[message(f"u{number}@dest.test") for number in range(4)],
)

add(
    "cache/421-at-the-end",
    main=KEPT,
    messages=[message("a@dest.test"), message("b@dest.test")],
    srv={"on": {"DOT": ["421 4.3.2 going down", "250 2.0.0 Ok"]}},
)

add(
    "cache/tls",
    main={**KEPT, "smtp_tls_security_level": "encrypt"},
    # Kept inside the process by default, where Postfix keeps none
    ours={"smtp_tls_process_reuse": "no"},
    messages=[message(f"u{number}@dest.test") for number in range(3)],
    srv={"tls": {}},
)

# With connection_reuse Postfix leaves TLS to tlsproxy(8), which then logs what this program logs itself.
REUSED = {
    **KEPT,
    "smtp_tls_CAfile": "/run/sidebyside/certificates/ca.pem",
    "smtp_tls_loglevel": "1",
    "tlsproxy_tls_loglevel": "1",
}

add(
    "cache/tls-policy-yes",
    main={**REUSED, "smtp_tls_policy_maps": "inline:{ {dest.test = encrypt connection_reuse=yes} }"},
    srv={"tls": {"cert": "good"}},
    messages=[message(f"u{number}@dest.test") for number in range(2)],
    drop_other="postfix/tlsproxy: ",
)

add(
    "cache/tls-policy-verify-fails",
    main={**REUSED, "smtp_tls_policy_maps": "inline:{ {dest.test = verify connection_reuse=yes} }"},
    srv={"tls": {"cert": "self"}},
    messages=[message(f"u{number}@dest.test") for number in range(2)],
    drop_other="postfix/tlsproxy: ",
    differs={
        "log of the agent": [
            "+mail.info postfix/smtp: certificate verification failed for mx1.dest.test[192.0.2.1]:25: "
            "self-signed certificate",
        ]
        * 2
    },
)

add(
    "cache/tls-policy-may-handshake-fails",
    main={**REUSED, "smtp_tls_policy_maps": "inline:{ {dest.test = may connection_reuse=yes} }"},
    servers=[{"at": "192.0.2.1:25", "tls": {"do": ("close",)}}],
    messages=[message(f"u{number}@dest.test") for number in range(2)],
    drop_other="postfix/tlsproxy: ",
    differs={
        "log of the agent": [
            "+mail.info postfix/smtp: SSL_connect error to mx1.dest.test[192.0.2.1]:25: lost connection",
        ]
        * 2
    },
)

add(
    "cache/one-server-under-two-names",
    main={"smtp_connection_cache_destinations": "static:all", "smtp_connection_cache_time_limit": "20s"},
    dns={"d1.test": [("MX", 10, "mx1.dest.test.")], "d2.test": [("A", "192.0.2.1")]},
    messages=[message(f"user@{domain}") for domain in ("d1.test", "d2.test", "d1.test", "d2.test")],
)
