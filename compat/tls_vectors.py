"""Plays the captured TLS scenarios against this program and prints what happened, in the form of the vectors.

The program runs inside this process, one start for each scenario, so that all of them take seconds. Run in a private
network by :mod:`compat.namespace`::

    python -m compat.tls_vectors GROUP SERIES [CASE...]

Prints a JSON object: case -> log lines and datagram.
"""

import asyncio
import contextlib
import json
import logging
import os
import re
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compat import namespace
from compat.dns_server import DnsServer
from compat.tls_server import TlsSmtpServer
from compat.world import World
from postfix_smtp import log
from postfix_smtp.config.configuration import Configuration
from postfix_smtp.config.installation import Installation
from postfix_smtp.delivery.program import DeliveryProgram
from postfix_smtp.errors import FatalError

VECTORS = Path(__file__).resolve().parent.parent / "tests/vectors/tls"
PKI = VECTORS / "pki"
RELEASES = {"3.7": "3.7.11", "3.10": "3.10.13", "3.11": "3.11.6"}
RESOLV_CONF = "nameserver 127.0.0.53\noptions timeout:1 attempts:1\n"
NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"
HOSTS = "127.0.0.1 localhost mx.example.com\n"
_DELAYS = re.compile(r"delay=[0-9.]+, delays=[0-9./]+")


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        label = {logging.WARNING: "warning: ", logging.ERROR: "error: ", logging.CRITICAL: "fatal: "}
        self.lines.append(label.get(record.levelno, "") + record.getMessage())


class Player:
    """Plays the cases of one file."""

    def __init__(self, group: dict[str, Any], series: str) -> None:
        self._group = group
        self._series = series
        self._version = RELEASES[series]

    def play(self, case: dict[str, Any]) -> dict[str, Any]:
        """One case."""
        number = case["id"].rpartition("-")[2]
        program = case.get("program", "smtp")
        if case["nexthop"].startswith(("unix:", "inet:")):
            program = "lmtp"
        collector = _Collector()
        log.logger.addHandler(collector)
        log.logger.setLevel(logging.INFO)
        datagrams: list[str] = []
        before = os.getcwd()
        with contextlib.ExitStack() as stack:
            stack.callback(log.logger.removeHandler, collector)
            world = World(version=self._version)
            marks = {
                "@PKI@": str(PKI),
                "@LMTP@": f"{world.queue}/private/lmtpsock",
                "@TLSRPT@": "private/tlsrpt",
                "@NOSUCH@": "private/nosuch",
            }
            settings = {
                "myhostname": "client.lab.test",
                "smtp_tls_security_level": "may",
                "smtp_host_lookup": "dns,native",
                "lmtp_host_lookup": "dns,native",
                **self._group["config"],
                **case.get("config", {}),
            }
            world._main_cf.update({name: _marked(value, marks) for name, value in settings.items()})
            stack.enter_context(world)
            # Sessions are cached when main.cf says so.
            world.tls_manager.cachable = "smtp_tls_session_cache_database" in settings
            stack.callback(os.chdir, before)
            os.chdir(world.queue)
            receiver = stack.enter_context(_datagrams(world.queue / "private/tlsrpt"))
            nexthop = _marked(case["nexthop"], marks)
            self._servers(stack, case, marks)
            configuration = Configuration.load(
                str(world.config), program, installation=Installation.of(self._constants(world))
            )
            try:
                configuration.set_service(f"t{number}")
                configuration.evaluate_global()
                configuration.evaluate_program()
                self._deliver(world, configuration, case, number, nexthop)
            except FatalError as error:
                collector.lines.append(f"fatal: {error}")
            with contextlib.suppress(BlockingIOError):
                datagrams.append(receiver.recv(65536).decode())
        lines = [_masked(line, marks) for line in collector.lines]
        return {
            "log": [line for line in lines if not line.startswith(("SSL_connect:", "SSL3 alert"))],
            "datagram": datagrams[0] if datagrams else None,
        }

    def _constants(self, world: World) -> dict[str, str]:
        return {
            "mail_version": self._version,
            "queue_directory": str(world.queue),
            "config_directory": str(world.config),
            "default_database_type": "texthash",
        }

    def _servers(self, stack: contextlib.ExitStack, case: dict[str, Any], marks: dict[str, str]) -> None:
        port = case["nexthop"].rpartition(":")[2]
        for server in self._group["servers"]:
            if str(server["port"]) == port:
                stack.enter_context(TlsSmtpServer(server, PKI))
        if "@LMTP@" in case["nexthop"]:
            own = {"cert": "mx-ec.chain.pem", "key": "leaf-ec.key.pem"}
            stack.enter_context(TlsSmtpServer(own, PKI, path=marks["@LMTP@"], lmtp=True))
        zone = self._group.get("dns") or {}
        records = [f"{name} {rtype} {data}" for name, rtype, _, data in zone.get("records", [])]
        for item in zone.get("servfail", []):
            name, _, rtype = item.rpartition("/")
            records.append(f"{name} {rtype} !SERVFAIL")
        records.append("mx.example.com A 127.0.0.1")
        stack.enter_context(DnsServer(dict.fromkeys(records), ("127.0.0.53", 53), zone.get("secure", ())))

    def _deliver(
        self, world: World, configuration: Configuration, case: dict[str, Any], number: str, nexthop: str
    ) -> None:
        program = DeliveryProgram()
        program.prepare(configuration, [])
        program.enter()
        content = case.get("header", "") + "From: a@b.test\nTo: c@d.test\nSubject: test\n\nhello\n"
        options = 0
        if "requiretls=yes" in str(case.get("sendmail_options", "")):
            options |= 32
        if "TLS-Required: no" in content:
            options |= 16

        async def run() -> None:
            await program.start()
            for message in range(case.get("messages", 1)):
                recipients = [f"u{message}@d{number}.test"]
                # A queue manager tries again when the message has become older.
                for age in (0.0, 10.0) if "queue_run_delay" in self._group["config"] else (0.5,):
                    delivery = world.message(recipients, content.encode(), nexthop=nexthop, options=options, age=age)
                    reply = await program.deliver(delivery)
                    if reply.all_final:
                        break
            await asyncio.sleep(0)
            await program.stop()

        asyncio.run(run())


def _marked(text: str, marks: dict[str, str]) -> str:
    for mark, value in marks.items():
        text = text.replace(mark, value)
    return text


def _masked(line: str, marks: dict[str, str]) -> str:
    for mark, value in marks.items():
        line = line.replace(value, mark)
    line = _DELAYS.sub("delay=@, delays=@", line)
    line = re.sub(r":\.\./(?:ssl|crypto)/unknown:0:", ":@FILE@:@LINE@:", line)
    return re.sub(r"^1A2B3C[0-9A-F]+: ", "QID: ", line)


@contextlib.contextmanager
def _datagrams(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as receiver:
        receiver.bind(str(path.relative_to(Path.cwd())))
        yield receiver


def main() -> None:
    """Play one group."""
    group, series, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    namespace.enter((), (), {"/etc/resolv.conf": RESOLV_CONF, "/etc/nsswitch.conf": NSSWITCH, "/etc/hosts": HOSTS})
    vectors = json.loads((VECTORS / f"scenarios-{group}.json").read_text())
    player = Player(vectors, series)
    results: dict[str, Any] = {}
    for case in vectors["cases"]:
        wanted = any(series in expect["versions"] for expect in case["expect"])
        if not wanted or (names and case["id"] not in names):
            continue
        started = time.monotonic()
        try:
            results[case["id"]] = player.play(case)
        except Exception:
            results[case["id"]] = {"error": traceback.format_exc()}
        results[case["id"]]["seconds"] = time.monotonic() - started
    json.dump(results, sys.stdout)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
