"""Scenarios: notice."""

from compat.sidebyside.scenario import FAST, add

add(
    "notice/rcpt-5xx",
    srv={"on": {"RCPT": "550 5.1.1 no"}},
    main={
        **FAST,
        "notify_classes": "bounce, 2bounce, delay, policy, protocol, resource, software",
        "smtp_send_xforward_command": "yes",
    },
    cost=2,
)

add(
    "notice/data-503",
    srv={"on": {"DATA": "503 5.5.1 sequence"}},
    main={
        **FAST,
        "notify_classes": "bounce, 2bounce, delay, policy, protocol, resource, software",
        "smtp_send_xforward_command": "yes",
    },
    cost=2,
)

add(
    "notice/rcpt-501",
    srv={"on": {"RCPT": "501 5.5.4 syntax"}},
    main={
        **FAST,
        "notify_classes": "bounce, 2bounce, delay, policy, protocol, resource, software",
        "smtp_send_xforward_command": "yes",
    },
    cost=2,
)

add(
    "notice/greeting-4xx",
    srv={"greet": "421 4.7.0 policy"},
    main={
        **FAST,
        "notify_classes": "bounce, 2bounce, delay, policy, protocol, resource, software",
        "smtp_send_xforward_command": "yes",
    },
    cost=2,
)

add(
    "notice/ok",
    srv={},
    main={
        **FAST,
        "notify_classes": "bounce, 2bounce, delay, policy, protocol, resource, software",
        "smtp_send_xforward_command": "yes",
    },
    cost=2,
)

add(
    "notice/dot-5xx",
    srv={"on": {"DOT": "554 5.7.1 spam"}},
    main={
        **FAST,
        "notify_classes": "bounce, 2bounce, delay, policy, protocol, resource, software",
        "smtp_send_xforward_command": "yes",
    },
    cost=2,
)

add(
    "notice/rcpt-502",
    srv={"on": {"RCPT": "502 5.5.1 not implemented"}},
    main={
        **FAST,
        "notify_classes": "bounce, 2bounce, delay, policy, protocol, resource, software",
        "smtp_send_xforward_command": "yes",
    },
    cost=2,
)

add(
    "notice/timeout",
    srv={"on": {"RCPT": ("hang",)}},
    main={
        **FAST,
        "notify_classes": "bounce, 2bounce, delay, policy, protocol, resource, software",
        "smtp_send_xforward_command": "yes",
    },
    cost=2,
)

add("notice/protocol-errors", main={"notify_classes": "protocol"}, srv={"on": {"MAIL": "500 5.5.1 what"}})

add(
    "notice/everything",
    main={"notify_classes": "resource, software, protocol, delay, bounce, 2bounce"},
    srv={"on": {"RCPT": "550 5.1.1 no"}},
)
