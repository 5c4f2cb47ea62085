"""One scenario with one agent: its steps, and what was observed."""

import asyncio
import contextlib
import os
import re
import signal
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compat.sidebyside import normal_form, queue_records, quiescence
from compat.sidebyside.injection import inject
from compat.sidebyside.instance import CONFIG, MAIL, SPOOL, Agent, Instance, age
from compat.sidebyside.name_server import NameServer, Zone
from compat.sidebyside.observations import Observations
from compat.sidebyside.scenario import Scenario
from compat.sidebyside.server import Server
from compat.sidebyside.table_servers import TableServers

_TIMEOUT = 60.0
_STEP_TIMEOUT = 30.0
_ALL_QUEUES = ("incoming", "active", "deferred", "hold", "corrupt", "maildrop")
_LOG_FILE_LINE = re.compile(rb"\w{3} [ \d]\d \d\d:\d\d:\d\d (\S+) ([^\s\[:]+)\[(\d+)\]: (.*)")
Sections = dict[str, list[str]]


@dataclass(slots=True)
class Result:
    """How a run went.

    Attributes:
        error: the scenario could not be played.
        sections: lines by what they are about; only sections with lines.
        seconds: time taken.
    """

    error: str | None = None
    sections: Sections = field(default_factory=dict)
    seconds: float = 0.0


class Run:
    """Plays a scenario; to be used once."""

    def __init__(self, scenario: Scenario, agent: Agent, observations: Observations, names: NameServer) -> None:
        self._scenario = scenario
        self._observations = observations
        self._name_server = names
        self._instance = Instance(observations, agent)
        self._servers: dict[str, Server] = {}
        self._tables = TableServers(observations)
        self._notes: list[str] = []
        log_file = scenario.get("main", {}).get("maillog_file")
        self._log_file = Path(log_file) if log_file else None
        self._log_position = 0
        self._follower: asyncio.Task[None] | None = None

    async def go(self) -> Result:
        """Play and clean up."""
        result = Result()
        started = time.monotonic()
        try:
            await asyncio.wait_for(self._play(), self._scenario.get("timeout", _TIMEOUT))
        except TimeoutError as failure:
            result.error = str(failure) or "the scenario took too long"
        except Exception as failure:
            result.error = f"{failure!r}\n{traceback.format_exc()}"
        try:
            self._read_log_file()
            self._observations.ended = True
            result.sections = self._collect()
        except Exception as failure:
            result.error = f"{result.error or ''} collecting: {failure!r}\n{traceback.format_exc()}"
        try:
            if self._follower is not None:
                self._follower.cancel()
            for server in self._servers.values():
                await server.stop()
            self._tables.stop()
            await self._instance.stop()
        finally:
            self._instance.clean()
        result.seconds = time.monotonic() - started
        return result

    async def _play(self) -> None:
        scenario = self._scenario
        self._name_server.load(scenario.get("dns", {}), scenario.get("secure", ()))
        self._instance.prepare(scenario)
        for keywords in scenario.get("servers", []):
            await self.do_server_on(keywords)
        await self._tables.start(scenario.get("tables", []))
        if self._log_file is not None:
            self._log_file.unlink(missing_ok=True)
            self._follower = asyncio.get_running_loop().create_task(self._follow_log_file())
        await self._instance.start(logs_to_file=self._log_file is not None)
        steps = scenario.get("steps")
        if steps is None:
            steps = [step for number in range(len(scenario["messages"])) for step in (("send", number), ("idle",))]
        for name, *arguments in steps:
            await getattr(self, f"do_{name}")(*arguments)

    # Steps: mail

    async def do_send(self, number: int = 0) -> None:
        """Submit one message."""
        await inject(self._instance, self._scenario["messages"][number], self._notes)

    async def do_sendall(self) -> None:
        """Submit all messages."""
        for message in self._scenario["messages"]:
            await inject(self._instance, message, self._notes)

    async def do_sendquick(self, *numbers: int) -> None:
        """Submit one after the other, without waiting for delivery."""
        for number in numbers:
            await self.do_send(number)

    async def do_flush(self) -> None:
        """Try deferred mail now."""
        await self._instance.command("postqueue", "-f")

    # Steps: waiting

    async def do_idle(self, timeout: float = 45.0) -> None:
        """Wait until all mail was tried and everybody sleeps."""
        await self._instance.idle(timeout)

    async def do_quiet(self) -> None:
        """Wait until everybody sleeps."""
        await self._observations.quiet()

    async def do_sleep(self, seconds: float) -> None:
        """Let time pass: only where time is the subject."""
        await asyncio.sleep(seconds)

    async def do_wait_log(self, pattern: str, timeout: float = _STEP_TIMEOUT) -> None:
        """Wait for a log line (``TAG: TEXT``)."""
        await self._observations.wait_log(lambda tag, text: re.search(pattern, f"{tag}: {text}"), timeout)

    async def do_wait_script(self, pattern: str, timeout: float = _STEP_TIMEOUT) -> None:
        """Wait until the transcript of some server has an entry that matches."""

        def found() -> bool:
            return any(
                re.search(pattern, data if isinstance(data, str) else data.decode("latin1"))
                for script in self._observations.transcripts.values()
                for _, data in script
            )

        await self._until(found, f"no {pattern} in any transcript", timeout)

    async def do_wait_conns(self, at: str, number: int, timeout: float = _STEP_TIMEOUT) -> None:
        """Wait until a server had so many connections."""
        await self._until(lambda: self._servers[at].count >= number, f"{at} has too few connections", timeout)

    async def do_wait_closed(self, at: str, timeout: float = _STEP_TIMEOUT) -> None:
        """Wait until the agent has closed all its connections to a server."""
        await self._until(lambda: not self._servers[at].tasks, f"{at} still has connections", timeout)

    async def do_wait_agents_gone(self, timeout: float = _STEP_TIMEOUT) -> None:
        """Wait until no process of the agent is left."""
        await self._until(lambda: not self._agents(), "agents are still there", timeout)

    @staticmethod
    async def _until(condition: Any, failure: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(failure)
            await asyncio.sleep(0.005)

    # Steps: surroundings

    async def do_cmd(self, *command: str) -> None:
        """Run a command; its status and output count."""
        code, output = await self._instance.command(*command)
        self._notes.append(f"{' '.join(command)}: {code} {output.strip()}")

    async def do_silent(self, *command: str) -> None:
        """Run a command; only its effects count."""
        await self._instance.command(*command)

    async def do_reload(self) -> None:
        """``postfix reload``, and wait until everybody has settled."""
        mark = len(self._observations.logs)
        self._signal_master(signal.SIGHUP)
        await self._observations.wait_log(
            lambda tag, text: tag.endswith("/master") and text.startswith("reload"), 20, mark
        )
        await self._observations.quiet()

    async def do_main(self, changes: Mapping[str, str | None]) -> None:
        """Change main.cf."""
        self._instance.write_main_cf(self._scenario, changes)

    async def do_file(self, name: str, content: str | bytes) -> None:
        """Write a file below /etc/postfix."""
        (CONFIG / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        age()

    async def do_set_dns(self, zone: Zone) -> None:
        """Answer from another zone."""
        self._name_server.load(zone, self._scenario.get("secure", ()))

    async def do_server_off(self, at: str) -> None:
        """Stop a server."""
        await self._servers.pop(at).stop()

    async def do_server_on(self, keywords: Mapping[str, Any]) -> None:
        """Start a server."""
        server = Server(self._observations, keywords)
        server.start()
        self._servers[server.at] = server

    # Steps: processes

    @staticmethod
    def _agents() -> list[int]:
        return [
            pid
            for pid, (state, command) in quiescence.processes().items()
            if state != "Z" and " -t " in command and re.search(r"(^|[/ ])(smtp|lmtp)( |$)", command)
        ]

    async def do_kill_agents(self, name: str) -> None:
        """Send a signal (``KILL``, ``TERM``) to all processes of the agent."""
        for pid in self._agents():
            os.kill(pid, signal.Signals[f"SIG{name}"])

    async def do_count_agents(self, label: str) -> None:
        """Note whether there is any process of the agent."""
        await self._observations.quiet()
        self._notes.append(f"agents {label}: {'some' if self._agents() else 'none'}")

    async def do_kill_master(self, name: str) -> None:
        """Send a signal to master(8)."""
        self._notes.append(f"master gets {name}")
        self._signal_master(signal.Signals[f"SIG{name}"])

    def _signal_master(self, number: signal.Signals) -> None:
        assert self._instance.master is not None
        os.kill(self._instance.master.pid, number)

    # Steps: damage

    async def do_patch(self, queue: str, find: bytes, replace: bytes) -> None:
        """Overwrite something in all files of a queue."""
        for path in self._instance.queue_files(queue):
            queue_records.patch(os.fspath(path), find, replace)

    async def do_truncate(self, queue: str, octets: int) -> None:
        """Cut the end off all files of a queue."""
        for path in self._instance.queue_files(queue):
            queue_records.truncate(os.fspath(path), octets)

    async def do_touch_queue(self, queue: str, seconds: float) -> None:
        """Make the files of a queue look older."""
        for path in self._instance.queue_files(queue):
            os.utime(path, (time.time() - seconds,) * 2)

    async def do_chmod(self, queue: str, mode: int) -> None:
        """Change the mode of all files of a queue."""
        for path in self._instance.queue_files(queue):
            path.chmod(mode)

    # Observations

    def _collect(self) -> Sections:
        scenario, observations = self._scenario, self._observations
        self._note_open_connections()
        names = normal_form.Names(observations.logs, self._instance.enqueued)
        if scenario.get("anonymous"):
            names.forget_numbers()

        def masked(rows: Sequence[str]) -> list[str]:
            return [normal_form.text(row, names) for row in rows]

        programs = {"smtp", "lmtp", *scenario.get("agent_tags", ())}
        mine, others = normal_form.log_lines(observations.logs, names, programs, scenario)
        sections = {"log of the agent": mine, "log of others": others, **self._wire(names)}
        sections["queue"] = self._queue(names)
        for kind in ("defer", "bounce", "trace"):
            sections[kind] = self._records(kind, names)
        sections["mailbox"] = self._mailbox(names)
        sections["DNS"] = sorted(f"{name} {rtype}" for name, rtype in observations.questions)
        sections["lookups"] = sorted(set(masked(observations.lookups)))
        sections["TLS reports"] = masked([row for rows in observations.reports for row in rows])
        sections["notes"] = masked(self._notes)
        return {title: rows for title, rows in sections.items() if rows}

    def _note_open_connections(self) -> None:
        for server in self._servers.values():
            for session in server.sessions:
                connection = session.connection
                if connection.socket.fileno() >= 0 and not connection.eof:
                    if connection.group:
                        connection.script.append(("C", connection.group))
                    connection.script.append(("*", "open at the end"))

    def _wire(self, names: normal_form.Names) -> Sections:
        observations = self._observations
        connections = [normal_form.text(row, names) for row in observations.connections]
        scripts = {
            f"wire {key}": normal_form.transcript(script, names)
            for key, script in sorted(observations.transcripts.items())
        }
        if self._scenario.get("concurrent"):
            connections = sorted(re.sub(r" #\d+", "", row) for row in connections)
            grouped: dict[str, list[list[str]]] = {}
            for key, rows in scripts.items():
                grouped.setdefault(key.partition("#")[0], []).append(rows)
            scripts = {
                f"{key}#{number:02d}": rows
                for key, group in grouped.items()
                for number, rows in enumerate(sorted(group), 1)
            }
        return {"connections": connections, **scripts}

    def _queue(self, names: normal_form.Names) -> list[str]:
        found = []
        for path in self._instance.queue_files(*_ALL_QUEUES):
            where = path.relative_to(SPOOL).parts[0]
            rows = [normal_form.text(row, names) for row in queue_records.envelope(path.read_bytes())]
            found.append([f"{where}/{names.by_id.get(path.name, '?')}", *(f"  {row}" for row in rows)])
        return [row for rows in sorted(found) for row in rows]

    def _records(self, kind: str, names: normal_form.Names) -> list[str]:
        found = []
        for path in self._instance.queue_files(kind):
            text = path.read_text("utf-8", "backslashreplace")
            rows = self._with_offsets([normal_form.text(row, names) for row in text.split("\n")[:-1]], path.name)
            found.append([f"{kind}/{names.by_id.get(path.name, '?')}", *(f"  {row}" for row in rows)])
        return [row for rows in sorted(found) for row in rows]

    def _with_offsets(self, rows: list[str], queue_id: str) -> list[str]:
        """``offset=NUMBER``: show the queue file's record that it points to."""
        known = {
            str(at): f"<{kind} {data.decode(errors='backslashreplace')}>"
            for path in self._instance.queue_files(*_ALL_QUEUES)
            if path.name == queue_id
            for at, kind, data in queue_records.records(path.read_bytes())
        }

        def shown(found: re.Match[str]) -> str:
            return "offset=" + known.get(found[1], f"<no record {found[1] if known else ''}>")

        return [re.sub(r"^offset=(\d+)$", shown, row) for row in rows]

    @staticmethod
    def _mailbox(names: normal_form.Names) -> list[str]:
        boxes = [
            [normal_form.text(row, names) for row in normal_form.lines(path.read_bytes().replace(b"\n", b"\r\n"))]
            for path in MAIL.rglob("*")
            if path.is_file()
        ]
        boxes.sort(key="\n".join)
        return [row for rows in boxes for row in ["--- a message ---", *rows]]

    # The log file, where there is no syslog

    async def _follow_log_file(self) -> None:
        while True:
            self._read_log_file()
            await asyncio.sleep(0.005)

    def _read_log_file(self) -> None:
        if self._log_file is None:
            return
        with contextlib.suppress(FileNotFoundError), open(self._log_file, "rb") as file:
            file.seek(self._log_position)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._log_position += len(line)
                found = _LOG_FILE_LINE.match(line)
                if found:
                    host, tag, pid, text = found.groups()
                    self._observations.log(
                        f"file host={host.decode()}", tag.decode(), int(pid), text.decode("utf-8", "backslashreplace")
                    )
                else:
                    self._observations.log("file", "UNPARSED", 0, repr(line))
