"""Scenarios: queue."""

from compat.sidebyside.scenario import add, agents, message

add(
    "queue/control",
    steps=[
        ("server_off", "192.0.2.1:25"),
        ("send", 0),
        ("idle",),
        ("server_on", {"at": "192.0.2.1:25"}),
        ("flush",),
        ("idle", 20),
    ],
)

add(
    "queue/truncated-20-while-delivering",
    srv={"greet": (("sleep", 1.5), ("reply", "220 mx.test ESMTP"))},
    steps=[("send", 0), ("wait_conns", "192.0.2.1:25", 1), ("truncate", "active", 20), ("idle",)],
    cost=2,
)

add(
    "queue/truncated-60-while-delivering",
    srv={"greet": (("sleep", 1.5), ("reply", "220 mx.test ESMTP"))},
    steps=[("send", 0), ("wait_conns", "192.0.2.1:25", 1), ("truncate", "active", 60), ("idle",)],
    cost=2,
)

add(
    "queue/truncated-before",
    steps=[
        ("server_off", "192.0.2.1:25"),
        ("send", 0),
        ("idle",),
        ("truncate", "deferred", 20),
        ("server_on", {"at": "192.0.2.1:25"}),
        ("flush",),
        ("idle", 20),
    ],
)

add(
    "queue/bad-length",
    steps=[
        ("server_off", "192.0.2.1:25"),
        ("send", 0),
        ("idle",),
        ("patch", "deferred", b"N\x05Hello", b"N\x7fHello"),
        ("server_on", {"at": "192.0.2.1:25"}),
        ("flush",),
        ("idle", 20),
    ],
)

add(
    "queue/mode-world-writable",
    steps=[
        ("server_off", "192.0.2.1:25"),
        ("send", 0),
        ("idle",),
        ("chmod", "deferred", 511),
        ("server_on", {"at": "192.0.2.1:25"}),
        ("flush",),
        ("idle", 20),
    ],
)

# Delivered-To that tells a loop, or does not
for number, header in enumerate(
    [
        b"Delivered-To: user@dest.test",
        b"Delivered-To : user@dest.test",
        b"Delivered-To: user@dest.test\0x",
        b"DELIVERED-TO:\t USER@dest.TEST",
        b"Delivered-To: user@dest.test ",
    ]
):
    add(
        f"queue/delivered-to-{number}",
        messages=[message("user@dest.test", via="queue", lines=[header, b"", b"x"])],
        agents=agents("smtp flags=D"),
    )
