"""Scenarios: process."""

from compat.sidebyside.scenario import add, agents, message

add(
    "process/max-use-one",
    main={"max_use": "1"},
    messages=[{"to": ["user@dest.test"]}, {"to": ["user@dest.test"]}, {"to": ["user@dest.test"]}],
)

add(
    "process/max-idle",
    main={"max_idle": "1s"},
    steps=[("send", 0), ("idle",), ("wait_agents_gone",), ("count_agents", "after"), ("send", 0), ("idle",)],
    cost=2,
)

add(
    "process/settings-without-reload",
    steps=[("send", 0), ("idle",), ("main", {"smtp_helo_name": "new.test"}), ("send", 0), ("idle",)],
)

add(
    "process/agent-term",
    srv={"on": {"RCPT": [("hang",), "250 ok"]}},
    steps=[("send", 0), ("wait_script", "server hangs"), ("kill_agents", "TERM"), ("wait_agents_gone",), ("quiet",)],
)

add(
    "process/agent-kill",
    srv={"on": {"RCPT": [("hang",), "250 ok"]}},
    steps=[("send", 0), ("wait_script", "server hangs"), ("kill_agents", "KILL"), ("wait_agents_gone",), ("quiet",)],
)

add("process/watchdog-option", agents=agents("smtp -o daemon_timeout=100s"))

add(
    "process/reload-while-delivering",
    srv={"on": {"DOT": [(("sleep", 1.0), ("reply", "250 2.0.0 slow")), "250 2.0.0 Ok"]}},
    messages=[message("one@dest.test"), message("two@dest.test")],
    # the new queue manager leaves alone for a minute what is still locked: not to wait for that
    steps=[
        ("send", 0),
        ("wait_script", "Hello"),
        ("reload",),
        ("wait_log", "status=sent"),
        ("quiet",),
        ("touch_queue", "incoming", 10),
        ("flush",),
        ("send", 1),
        ("idle",),
    ],
    concurrent=True,
    cost=2,
)

add(
    "process/kill-then-again",
    srv={"on": {"RCPT": [("hang",), "250 2.1.5 Ok"]}},
    steps=[
        ("send", 0),
        ("wait_script", "server hangs"),
        ("kill_agents", "KILL"),
        ("wait_agents_gone",),
        ("quiet",),
        ("silent", "postfix", "reload"),
        ("quiet",),
    ],
)

add("process/verbose", agents=agents("smtp -v -v"), drop_log="^(?!<M1>: to=)")

add(
    "process/verbose-by-peer-address",
    main={"debug_peer_list": "192.0.2.0/24", "debug_peer_level": "3"},
    drop_log="^(?!<M1>: to=)",
)

add("process/chroot-no-mx", chroot=True, agents=agents(jail="y"), dns={"dest.test": [("A", "192.0.2.1")]})

add(
    "process/chroot-nxdomain",
    chroot=True,
    agents=agents(jail="y"),
    to=["user@nowhere.test"],
)

add(
    "process/log-file",
    main={"maillog_file": "/var/log/side.log"},
    srv={"on": {"RCPT": {"bad": "550 5.1.1 no"}}},
    to=["user@dest.test", "bad@dest.test"],
)

add("process/syslog-name-of-service", agents=agents("smtp -o syslog_name=side/$service_name"))

SLOWLY = {"on": {"DOT": (("sleep", 1.0), ("reply", "250 2.0.0 slow"))}}
FOUR = [{"to": [f"user{number}@dest.test"], "via": "smtp"} for number in range(4)]
UNCACHED = {"smtp_connection_cache_on_demand": "no"}

add(
    "process/two-at-a-time",
    srv=SLOWLY,
    agents=agents(limit="2"),
    main=UNCACHED,
    messages=FOUR,
    steps=[("sendquick", 0, 1, 2, 3), ("idle",)],
    concurrent=True,
    cost=3,
)

add(
    "process/two-at-a-time-for-a-destination",
    srv=SLOWLY,
    main={**UNCACHED, "smtp_destination_concurrency_limit": "2"},
    messages=FOUR,
    steps=[("sendquick", 0, 1, 2, 3), ("idle",)],
    concurrent=True,
    cost=3,
)

add(
    "process/remains-root-in-the-jail",
    chroot=True,
    agents="smtp unix - n y - - smtp\nrelay unix - - n - - smtp\nlmtp unix - - n - - lmtp\n",
)

add(
    "process/stop-while-delivering",
    srv={"on": {"RCPT": [("hang",), "250 ok"]}},
    steps=[("send", 0), ("wait_script", "server hangs"), ("silent", "postfix", "stop"), ("quiet",)],
    drop_other="waiting for the Postfix mail system to terminate",  # told if it takes a second
    cost=3,
)

add(
    "process/limits-by-options",
    agents=agents("smtp -i 1s -m 1"),
    steps=[("send", 0), ("idle",), ("wait_agents_gone",), ("send", 0), ("idle",)],
    cost=2,
)
