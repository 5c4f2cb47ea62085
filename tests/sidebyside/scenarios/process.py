"""Scenarios: process."""

from compat.sidebyside.scenario import add, agents

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
