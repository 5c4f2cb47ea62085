"""Plays the captured delivery scenarios against this program and prints what happened, in the form of the vectors.

Run in a private network by :mod:`compat.namespace`::

    python -m compat.delivery_vectors GROUP VERSION

Prints a JSON object: scenario name -> result in the form of ``expected``.
"""

import contextlib
import json
import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from compat import namespace
from compat.dns_server import DnsServer
from compat.master import ServiceLine
from compat.service import Call
from compat.smtp_server import Connection, SmtpServer
from compat.world import World
from postfix_smtp.ipc.request import Notify, Recipient

VECTORS = Path(__file__).resolve().parent.parent / "tests/vectors/delivery"
QUEUE_ID = "1A2B3C4D5E"
RESOLV_CONF = "nameserver 127.0.0.53\noptions timeout:1 attempts:1\n"
NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"
HOSTS = "127.0.0.1 localhost\n"
IPV4 = ("10.9.0.1", "10.9.0.2")
IPV6 = tuple(f"fd09::{n}" for n in range(1, 10))
DEFAULT_CONTENT = ["From: sender@sender.example", "To: user@dest.example", "Subject: test", "", "Hello"]
_DELAYS = re.compile(r"delay=[0-9.]+, delays=[0-9./]+")
_STATUS = re.compile(
    r"\S+: to=<(?P<recipient>.*?)>(?:, orig_to=<(?P<orig_to>.*?)>)?, relay=(?P<relay>\S+)"
    r"(?:, conn_use=(?P<conn_use>\d+))?, delay=\S+, delays=\S+ (?:tls=\S+ )?dsn=(?P<dsn>\S+), "
    r"status=(?P<status>\S+) \((?P<text>.*)\)$"
)


class Player:
    """Plays one scenario."""

    def __init__(self, scenario: dict[str, Any], version: str) -> None:
        self._scenario = scenario
        self._mode = scenario["mode"]
        self._notices: list[dict[str, Any]] = []
        # Every question is to be seen by the name server
        main_cf = {"smtp_dns_cache_size": "0", "lmtp_dns_cache_size": "0"}
        main_cf |= {"smtp_randomize_addresses": "no", "lmtp_randomize_addresses": "no"}
        main_cf |= {"smtp_address_preference": "any", **scenario.get("main_cf", {})}
        self._world = World(main_cf=main_cf, files=scenario.get("files", {}), version=version)
        config = str(self._world.config)
        self._world._main_cf = {name: value.replace("$CONF", config) for name, value in self._world._main_cf.items()}

    def play(self) -> dict[str, Any]:
        """The result of the scenario."""
        scenario, world = self._scenario, self._world
        namespace.replace_file("/etc/hosts", HOSTS + "".join(f"{line}\n" for line in scenario.get("etc_hosts", [])))
        with contextlib.ExitStack() as stack:
            stack.enter_context(world)
            dns = stack.enter_context(DnsServer(scenario["dns"], ("127.0.0.53", 53)))
            servers = {
                server["listen"]: stack.enter_context(
                    SmtpServer(server["sessions"], server["listen"].replace("$SPOOL", str(world.queue)))
                )
                for server in scenario["servers"]
            }
            for address in scenario.get("blackholes", []):
                stack.enter_context(black_hole(address))
            for name in scenario.get("fail_services", []):
                getattr(world, name).fail = True
            if transport := scenario.get("main_cf", {}).get("best_mx_transport"):
                world.agent(transport.partition(":")[0])
            world.start(ServiceLine(self._mode, self._mode, words=scenario.get("argv", [])))
            requests = [self._request(request) for request in scenario["requests"]]
            # Connections that are kept end with the process
            while world.masters:
                world.background.call(world.masters.popitem()[1].stop())
            for server in servers.values():
                server.wait(timeout=5)
            return {
                "requests": requests,
                "commands": {
                    name: [self._connection(each) for each in server.connections] for name, server in servers.items()
                },
                "dns_queries": list(dns.queries),
                "notices": self._notices,
                "problems": world.problems + [text for server in servers.values() for text in server.problems],
            }

    def _request(self, wanted: dict[str, Any]) -> dict[str, Any]:
        world = self._world
        if pause := wanted.get("pause"):
            time.sleep(pause)
        recipients = [
            Recipient(
                each.get("orig_to", each["address"]),
                each["address"],
                -1,
                each.get("orcpt", ""),
                Notify(each.get("notify", 0)),
            )
            for each in wanted["recipients"]
        ]
        delivery = world.message(
            recipients,
            content(wanted),
            queue_id=QUEUE_ID,
            nexthop=wanted["nexthop"].replace("$SPOOL", str(world.queue)),
            flags=wanted.get("flags", 3),
            sender=wanted.get("sender", "sender@sender.example"),
            encoding=wanted.get("encoding", "7bit"),
            options=wanted.get("smtputf8", 0),
            age=wanted.get("age", 0.5),
        )
        if size := wanted.get("data_size"):
            delivery = replace(delivery, size=size)
        path = world.queue / "active" / QUEUE_ID
        spoil(path, wanted.get("queue_file_defect", ""))
        log_before, calls_before = len(world.log.texts), len(world.recorder.calls)
        answer = world.deliver(delivery, self._mode)
        result: dict[str, Any] = {"log": [self._masked(text) for text in world.log.texts[log_before:]]}
        result["recipients"] = [
            {
                name: int(value) if name == "conn_use" else value
                for name, value in match.groupdict().items()
                if value is not None
            }
            for text in result["log"]
            if (match := _STATUS.match(text))
        ]
        calls = world.recorder.calls[calls_before:]
        result["services"] = [
            {
                "service": self._passed_to(call.service),
                **{name: value for name, value in call.as_dict().items() if not isinstance(value, bytes)},
            }
            for call in calls
            if call.service != "cleanup"
        ]
        self._notices += [notice(call) for call in calls if call.service == "cleanup"]
        result["marked_done"] = []
        if path.exists():
            octets = path.read_bytes()
            result["marked_done"] = [
                each.address for each in delivery.recipients if octets[each.offset : each.offset + 1] == b"D"
            ]
            mode = path.stat().st_mode & 0o777
            if mode != 0o700:
                result["queue_file_mode"] = f"{mode:04o}"
            path.chmod(0o700)
            path.unlink()
        result["reply"] = None
        if answer.reply is not None:
            host = answer.reply.host_status
            dsn = {} if host is None else {
                "status": host.status, "diag_type": host.diag_type, "diag_text": host.diag_text,
                "mta_type": host.mta_type, "mta_mname": host.mta_name, "reason": host.reason,
            }  # fmt: skip
            result["reply"] = {
                "status": 0 if answer.reply.all_final else -1,
                "dsn": {name: value for name, value in dsn.items() if value},
            }
        return result

    def _passed_to(self, service: str) -> str:
        transport = self._scenario.get("main_cf", {}).get("best_mx_transport", "").partition(":")[0]
        return "pass" if service == transport else service

    def _masked(self, text: str) -> str:
        text = text.replace(str(self._world.queue), "$SPOOL").replace(str(self._world.config), "$CONF")
        return _DELAYS.sub("delay={D}, delays={D}/{D}/{D}/{D}", text)

    def _connection(self, connection: Connection) -> list[str]:
        return list(connection.commands)


def notice(call: Call) -> dict[str, Any]:
    """A message to the postmaster, dates and queue id masked."""
    records = []
    for kind, text in call["records"]:
        line = text.decode("utf-8", "surrogateescape")
        if kind == "T":
            line = "{time}"
        line = re.sub(r"^(\tid )[0-9A-F]+; .*", r"\g<1>9F9F9F9F9F; {date}", line)
        records.append([kind, re.sub(r"^(Date: ).*", r"\1{date}", line)])
    return {"flags": {"flags": str(call["flags"])}, "records": records}


def content(wanted: dict[str, Any]) -> bytes:
    """The message of a request; sizes count each line plus 2."""
    lines: list[str] = []
    for line in wanted.get(
        "content", ["From: sender@sender.example", "To: user@dest.example", "Subject: test", "", "Hello"]
    ):
        if isinstance(line, dict):
            text = line["line"]
            if match := re.fullmatch(r"(.)\*(\d+)", text):
                text = match[1] * int(match[2])
            lines += [text] * line.get("times", 1)
        else:
            lines.append(line)
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def spoil(path: Path, defect: str) -> None:
    """Damage a queue file as a scenario wants it."""
    match defect:
        case "missing":
            path.unlink()
        case "mode":
            path.chmod(0o600)
        case "badrec" | "trunc":
            octets = path.read_bytes()
            end = octets.rindex(b"X\0")
            path.write_bytes(octets[:end] + (b"Q\0" + octets[end + 2 :] if defect == "badrec" else b""))


@contextlib.contextmanager
def black_hole(address: str) -> Iterator[None]:
    """A listening socket whose backlog is full: connecting to it gets no answer."""
    host, _, port = address.rpartition(":")
    sockets = [socket.create_server((host, int(port)), backlog=0)]
    try:
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect((host, int(port)))
            sockets.append(client)
        time.sleep(0.1)
        yield
    finally:
        for each in sockets:
            each.close()


def main() -> None:
    """Play one group."""
    group, version, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    namespace.enter(IPV4, IPV6, {"/etc/resolv.conf": RESOLV_CONF, "/etc/nsswitch.conf": NSSWITCH, "/etc/hosts": HOSTS})
    results = {}
    for scenario in json.loads((VECTORS / f"{group}.json").read_text())["scenarios"]:
        if names and scenario["name"] not in names:
            continue
        try:
            results[scenario["name"]] = Player(scenario, version).play()
        except Exception as error:
            results[scenario["name"]] = {"error": repr(error)}
    json.dump(results, sys.stdout)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
