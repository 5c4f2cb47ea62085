"""What a scenario says, and shorthands for writing one.

Keywords of a scenario, all optional:

========================  ============================================================================================
``main``, ``main_raw``    main.cf settings over the base in :mod:`~compat.sidebyside.instance` (None removes one);
                          text appended
``agents``, ``master``    master.cf lines for smtp, relay and lmtp; extra lines
``files``, ``postmap``    {name: content} below /etc/postfix; tables to build there
``hosts``                 lines for /etc/hosts
``dns``, ``secure``       zone over :data:`ZONE`; suffixes answered with the AD bit
``bare_dns``              the zone is `dns` alone
``srv``                   keywords of the one server at 192.0.2.1:25, see :mod:`~compat.sidebyside.server`
``servers``               keywords of all servers
``to``                    recipients of the one message
``messages``              all messages, see :mod:`~compat.sidebyside.injection`
``tables``                see :mod:`~compat.sidebyside.table_servers`
``steps``                 default: for each message ``("send", number), ("idle",)``; a step is a method ``do_*`` of
                          :class:`~compat.sidebyside.run.Run`
``concurrent``            deliveries overlap: their order is not compared
``anonymous``             messages are alike: it is not compared which is which
``delays``                compare delay values, in units of so many seconds
``drop_log``              log lines of the agent that are not compared (regular expression)
``drop_other``            the same for other programs
``agent_tags``            further programs whose log is compared as the agent's
``chroot``                put what a jail needs into the queue directory
``timeout``, ``cost``     in seconds; which come first when there are many
``min``, ``max``          versions of Postfix; ``max="3.8"`` includes 3.8.12
``ours``                  main.cf settings for this program alone: what differs on purpose
``differs``               {section: rows that only one side has, with ``-`` (Postfix) or ``+`` (ours) in front}: the
                          difference that must be there
========================  ============================================================================================
"""

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

from compat.sidebyside.injection import CONTENT

Scenario = dict[str, Any]
MX1 = "192.0.2.1:25"
ZONE = {
    "dest.test": [("MX", 10, "mx1.dest.test.")],
    "mx1.dest.test": [("A", "192.0.2.1")],
    "mx2.dest.test": [("A", "192.0.2.2")],
    "mx3.dest.test": [("A", "192.0.2.3")],
    "origin.test": [("A", "127.0.0.1")],
}
CLOSE = ("close",)
RST = ("rst",)
HANG = ("hang",)
STALL = ("stall",)
#: The usual header of a message, without the empty line.
HEADER = CONTENT.partition("\n\n")[0] + "\n"
#: Every time limit of a conversation is a second.
FAST = {
    f"{program}_{stage}_timeout": "1s"
    for program in ("smtp", "lmtp")
    for stage in (
        "connect",
        "helo" if program == "smtp" else "lhlo",
        "mail",
        "rcpt",
        "data_init",
        "data_xfer",
        "data_done",
        "quit",
        "rset",
        "xforward",
        "starttls",
    )
}


class Registry:
    """Scenarios by name: ``AREA/WHAT``."""

    def __init__(self) -> None:
        self.scenarios: dict[str, Scenario] = {}

    def add(self, name: str, **keywords: Any) -> None:
        """Add a scenario, completed.

        Raises:
            ValueError: there is one of that name.
        """
        if name in self.scenarios:
            raise ValueError(f"two scenarios named {name}")
        scenario = dict(keywords)
        zone = {} if scenario.get("bare_dns") else dict(ZONE)
        zone.update(scenario.get("dns", {}))
        scenario["dns"] = {owner: records for owner, records in zone.items() if records is not None}
        if "servers" not in scenario:
            scenario["servers"] = [server(**scenario.pop("srv", {}))]
        if "messages" not in scenario:
            scenario["messages"] = [message(*scenario.pop("to", ["user@dest.test"]))]
        steps = scenario.get("steps") or [("send",)] * len(scenario["messages"])
        sends = sum(step[0].startswith("send") for step in steps)
        if (sends > 1 or scenario.get("concurrent")) and not name.startswith("cache/"):
            # on-demand caching depends on whether two deliveries come within a second: only where it is the subject
            scenario["main"] = {"smtp_connection_cache_on_demand": "no", **scenario.get("main", {})}
        self.scenarios[name] = scenario


_REGISTRY = Registry()
add = _REGISTRY.add


def server(at: str = MX1, **keywords: Any) -> dict[str, Any]:
    """Keywords of a server."""
    return {"at": at, **keywords}


def message(*recipients: str, **keywords: Any) -> dict[str, Any]:
    """Keywords of a message."""
    return {"to": list(recipients) or ["user@dest.test"], **keywords}


def agents(smtp: str = "smtp", lmtp: str = "lmtp", jail: str = "n", limit: str = "-") -> str:
    """The agents' lines of master.cf, with these commands."""
    return (
        f"smtp unix - - {jail} - {limit} {smtp}\nrelay unix - - {jail} - {limit} smtp\n"
        f"lmtp unix - - {jail} - {limit} {lmtp}\n"
    )


def load(directory: Path) -> dict[str, Scenario]:
    """All scenarios that the modules below `directory` add, in the order of their file names."""
    for path in sorted(directory.glob("*.py")):
        name = f"sidebyside_scenarios_{re.sub(r'[^a-z0-9]', '_', path.stem)}"
        if name in sys.modules or path.name.startswith("_"):
            continue
        specification = importlib.util.spec_from_file_location(name, path)
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        sys.modules[name] = module
        specification.loader.exec_module(module)
    return _REGISTRY.scenarios


def numbers(version: str) -> list[int]:
    """``3.7.11-2`` as [3, 7, 11]."""
    return [int(found[0]) for part in version.split("-")[0].split(".") if (found := re.match(r"\d+", part))]


def fits(scenario: Scenario, version: str) -> bool:
    """Whether a scenario is meant for a version of Postfix."""
    mine = numbers(version)
    lowest, highest = scenario.get("min"), scenario.get("max")
    if lowest and mine < numbers(lowest):
        return False
    return not (highest and mine[: len(numbers(highest))] > numbers(highest))
