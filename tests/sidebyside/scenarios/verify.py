"""Scenarios: verify."""

from compat.sidebyside.scenario import add, message

add(
    "verify/probe-5xx",
    srv={"on": {"RCPT": "550 5.1.1 no"}},
    main={
        "smtpd_recipient_restrictions": "reject_unverified_recipient, permit_mynetworks",
        "address_verify_poll_count": "8",
        "address_verify_poll_delay": "1s",
        "address_verify_map": "",
        "address_verify_sender": "probe@origin.test",
    },
    messages=[{"to": ["user@dest.test"], "via": "smtp", "no_data": True, "show": True, "sender": "a@origin.test"}],
    steps=[("send", 0), ("idle",)],
    cost=2,
)

add(
    "verify/bv-4xx",
    srv={"on": {"RCPT": "450 4.2.0 no"}},
    messages=[{"to": ["user@dest.test"], "args": ["-bv"], "data": ""}],
    steps=[("send", 0), ("wait_log", "removed"), ("idle",)],
)

add(
    "verify/probe-mail-5xx",
    srv={"on": {"MAIL": "550 5.7.1 no"}},
    main={
        "smtpd_recipient_restrictions": "reject_unverified_recipient, permit_mynetworks",
        "address_verify_poll_count": "8",
        "address_verify_poll_delay": "1s",
        "address_verify_map": "",
        "address_verify_sender": "probe@origin.test",
    },
    messages=[{"to": ["user@dest.test"], "via": "smtp", "no_data": True, "show": True, "sender": "a@origin.test"}],
    steps=[("send", 0), ("idle",)],
    cost=2,
)

add(
    "verify/bv-close",
    srv={"on": {"RCPT": ("close",)}},
    messages=[{"to": ["user@dest.test"], "args": ["-bv"], "data": ""}],
    steps=[("send", 0), ("wait_log", "removed"), ("idle",)],
)

add(
    "verify/probe-close",
    srv={"on": {"RCPT": ("close",)}},
    main={
        "smtpd_recipient_restrictions": "reject_unverified_recipient, permit_mynetworks",
        "address_verify_poll_count": "8",
        "address_verify_poll_delay": "1s",
        "address_verify_map": "",
        "address_verify_sender": "probe@origin.test",
    },
    messages=[{"to": ["user@dest.test"], "via": "smtp", "no_data": True, "show": True, "sender": "a@origin.test"}],
    steps=[("send", 0), ("idle",)],
    cost=2,
)

add(
    "verify/bv-nopipe",
    srv={"kw": ["SIZE 1000"]},
    messages=[{"to": ["user@dest.test"], "args": ["-bv"], "data": ""}],
    steps=[("send", 0), ("wait_log", "removed"), ("idle",)],
)

add(
    "verify/bv-252",
    srv={"on": {"RCPT": "252 maybe"}},
    messages=[{"to": ["user@dest.test"], "args": ["-bv"], "data": ""}],
    steps=[("send", 0), ("wait_log", "removed"), ("idle",)],
)

add(
    "verify/bv-greeting",
    srv={"greet": "554 no"},
    messages=[{"to": ["user@dest.test"], "args": ["-bv"], "data": ""}],
    steps=[("send", 0), ("wait_log", "removed"), ("idle",)],
)

add(
    "verify/bv-two",
    messages=[{"to": ["one@dest.test", "two@dest.test"], "args": ["-bv"], "data": ""}],
    srv={"on": {"RCPT": {"two": "550 5.1.1 no"}}},
    steps=[("send", 0), ("wait_log", "removed"), ("idle",)],
)

add(
    "verify/rejected-then-known",
    messages=[message("user@dest.test", args=["-bv"], data="")],
    steps=[("send", 0), ("wait_log", "status=undeliverable"), ("idle",)],
    srv={"on": {"RCPT": "550 5.1.1 no"}},
)

add(
    "verify/target-data-connection-is-not-kept",
    main={"smtp_address_verify_target": "data", "smtp_connection_cache_destinations": "static:all"},
    messages=[{"args": ["-bv"], "to": ["user@dest.test"]}, {"to": ["user@dest.test"]}],
)
