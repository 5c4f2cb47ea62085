"""One real Postfix at its usual places, inside the namespaces of a worker."""

import asyncio
import contextlib
import glob
import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from compat.sidebyside import quiescence
from compat.sidebyside.namespaces import HOST, OURS, SBIN, SCRATCH, THEIRS, mount, remove, run, unmount
from compat.sidebyside.observations import Observations
from compat.sidebyside.scenario import agents

SPOOL = Path("/var/spool/postfix")
CONFIG = Path("/etc/postfix")
STATE = Path("/var/lib/postfix")
MAIL = Path("/run/sidebyside/mail")
SOCKETS = Path("/run/sidebyside/sockets")
#: Whose delivery agents are used.
Agent = Literal["postfix", "ours"]

MAIN = {
    "compatibility_level": "3.6",
    "myhostname": HOST,
    "mydomain": "lab.test",
    "myorigin": "lab.test",
    "mydestination": "",
    "inet_interfaces": "127.0.0.1, [::1]",
    "inet_protocols": "all",
    "mynetworks": "127.0.0.0/8 [::1]/128",
    "enable_long_queue_ids": "yes",
    "in_flow_delay": "0",
    "alias_maps": "",
    "alias_database": "",
    "local_recipient_maps": "",
    "local_transport": "error:no local delivery",
    "biff": "no",
    "virtual_mailbox_domains": "origin.test, lab.test",
    "virtual_mailbox_base": str(MAIL),
    "virtual_mailbox_maps": "static:box/",
    "virtual_uid_maps": "static:7777",
    "virtual_gid_maps": "static:7777",
    "virtual_minimum_uid": "100",
    "smtp_address_preference": "ipv4",
    "default_database_type": "texthash",
    "smtpd_client_connection_count_limit": "0",
    "smtpd_recipient_restrictions": "permit_mynetworks, reject",
    "smtpd_relay_restrictions": "permit_mynetworks, reject",
    "smtpd_authorized_xforward_hosts": "127.0.0.0/8",
    "smtpd_tls_security_level": "none",
    "smtpd_banner": "lab",
    "smtp_randomize_addresses": "no",
    "authorized_submit_users": "static:all",
    "append_dot_mydomain": "no",
    "smtpd_peername_lookup": "no",
    "smtpd_forbid_bare_newline": "no",
    "smtpd_forbid_unauth_pipelining": "no",
    "meta_directory": str(CONFIG),
    "shlib_directory": "/usr/lib/postfix",
    "html_directory": "no",
    "readme_directory": "no",
    "manpage_directory": "/usr/share/man",
}
_MASTER = """\
127.0.0.1:2500 inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsproxy unix - - n - 0 tlsproxy
postlog unix-dgram n - n - 1 postlogd
"""
_DIGITS = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxy"
_QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "saved", "trace")
_BUSY = ("maildrop", "incoming", "active")
_JAIL_FILES = ("resolv.conf", "hosts", "services", "nsswitch.conf", "localtime")


class Instance:
    """Configure, start, feed, stop, examine.

    Args:
        agent: whose smtp and lmtp are used.
    """

    def __init__(self, observations: Observations, agent: Agent) -> None:
        self.observations = observations
        self.agent = agent
        self.master: subprocess.Popen[bytes] | None = None
        self.enqueued: list[str] = []
        self._mounted = False

    # Set-up

    def prepare(self, scenario: Mapping[str, Any]) -> None:
        """Make an empty queue and write the configuration."""
        for target in (SPOOL, STATE, MAIL, CONFIG):
            target.mkdir(parents=True, exist_ok=True)
            mount(None, target, "tmpfs")
        self._mounted = True
        for name in ("dynamicmaps.cf", "dynamicmaps.cf.d", "postfix-files", "postfix-files.d"):
            source = SCRATCH / "etc/postfix" / name
            if source.is_dir():
                shutil.copytree(source, CONFIG / name)
            elif source.exists():
                shutil.copy(source, CONFIG / name)
        self._make_queue()
        if scenario.get("chroot"):
            self._make_jail()
        for name in ("smtp", "lmtp"):
            self.use(name, (THEIRS if self.agent == "postfix" else OURS) / name)
        self.configure(scenario)

    @staticmethod
    def use(name: str, target: Path) -> None:
        """Let a name in the daemon directory lead to another program."""
        path = SBIN / name
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    @staticmethod
    def _make_queue() -> None:
        owner, group = pwd.getpwnam("postfix").pw_uid, grp.getgrnam("postdrop").gr_gid
        MAIL.chmod(0o777)
        os.chown(STATE, owner, -1)
        STATE.chmod(0o700)
        for name in (*_QUEUES, "private"):
            (SPOOL / name).mkdir(mode=0o700)
            os.chown(SPOOL / name, owner, -1)
        (SPOOL / "pid").mkdir(mode=0o755)
        for name, mode in (("maildrop", 0o730), ("public", 0o710)):
            (SPOOL / name).mkdir()
            (SPOOL / name).chmod(mode)
            os.chown(SPOOL / name, owner, group)
        for number in range(60):  # inode numbers, hence queue ids, get one length
            path = SPOOL / "pid" / f".{number}"
            path.touch()
            path.unlink()

    @staticmethod
    def _make_jail() -> None:
        for name in _JAIL_FILES:
            if os.path.exists(f"/etc/{name}"):
                (SPOOL / "etc").mkdir(exist_ok=True)
                shutil.copy(f"/etc/{name}", SPOOL / "etc" / name)
        libraries = glob.glob("/lib/*-linux-gnu/libnss_*.so.2") + glob.glob("/lib/*-linux-gnu/libresolv.so.2")
        for library in libraries:
            target = Path(f"{SPOOL}{library}")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)

    def configure(self, scenario: Mapping[str, Any]) -> None:
        """Write all configuration files."""
        Path("/etc/hosts").write_text(f"127.0.0.1 localhost {HOST}\n::1 localhost\n" + scenario.get("hosts", ""))
        for name, content in scenario.get("files", {}).items():
            path = CONFIG / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.write_main_cf(scenario)
        lines = scenario.get("agents", agents())
        (CONFIG / "master.cf").write_text(_MASTER + lines + scenario.get("master", ""))
        age()
        for table in scenario.get("postmap", []):
            run("postmap", table)

    def write_main_cf(self, scenario: Mapping[str, Any], changes: Mapping[str, str | None] | None = None) -> None:
        """Write main.cf, with changed settings if any."""
        settings = {**MAIN, **scenario.get("main", {}), **(changes or {})}
        if self.agent == "ours":
            settings.update(scenario.get("ours", {}))
        text = "".join(f"{name} = {value}\n" for name, value in settings.items() if value is not None)
        (CONFIG / "main.cf").write_text(text + scenario.get("main_raw", ""))
        age()

    # Life

    async def start(self, *, logs_to_file: bool = False) -> None:
        """Start master(8) and wait until it says so; a log file is not followed from the first line."""
        mark = len(self.observations.logs)
        self.spawn()
        with contextlib.suppress(*([TimeoutError] if logs_to_file else [])):
            await self.observations.wait_log(
                lambda tag, text: (tag.endswith("/master") and text.startswith("daemon started")) or "fatal" in text,
                20,
                mark,
            )

    def spawn(self) -> None:
        """Start master(8)."""
        self.master = subprocess.Popen(
            [SBIN / "master"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )

    async def stop(self) -> None:
        """End everything that runs in this pid namespace besides us."""
        if self.master is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.master.pid, number)
            for _ in range(200):
                if self.master.poll() is not None:
                    break
                await asyncio.sleep(0.01)
            if self.master.poll() is not None:
                break
        self.master = None
        deadline = time.monotonic() + 3
        while left := [pid for pid, (state, _) in quiescence.processes().items() if state != "Z"]:
            if time.monotonic() > deadline:
                for pid in left:  # nobody else's processes are visible here
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.01)

    def clean(self) -> None:
        """Throw queue and configuration away."""
        if self._mounted:
            for target in (CONFIG, MAIL, STATE, SPOOL):
                unmount(target)
            self._mounted = False
        remove(SOCKETS)

    # Looking

    @staticmethod
    def queue_files(*queues: str) -> list[Path]:
        """The files in these queues."""
        return [Path(where, name) for queue in queues for where, _, names in os.walk(SPOOL / queue) for name in names]

    @staticmethod
    def is_busy() -> bool:
        """Whether there is mail that was not tried yet."""
        return any(entry.is_file(follow_symlinks=False) for queue in _BUSY for entry in os.scandir(SPOOL / queue))

    async def idle(self, timeout: float = 30.0) -> None:
        """Wait until all mail was tried (or the agent cannot start) and nobody is doing anything.

        Raises:
            TimeoutError: the mail system did not come to rest.
        """
        observations = self.observations
        deadline = time.monotonic() + timeout
        nap = 0.002

        def done() -> bool:
            return not observations.pending and (observations.throttled or not self.is_busy())

        while time.monotonic() < deadline:
            if done() and await observations.is_quiet() and done():
                return
            await asyncio.sleep(nap)
            nap = min(nap * 1.3, 0.03)
        files = ", ".join(str(path.relative_to(SPOOL)) for path in self.queue_files(*_BUSY))
        running = ", ".join(line for state, line in quiescence.processes().values() if state not in "SZ")
        raise TimeoutError(
            f"the mail system did not come to rest: queue {files}; servers busy {observations.pending}; {running}"
        )

    def enqueue(self, octets: bytes) -> None:
        """Put a queue file where the queue manager looks for new mail, and tell it."""
        queue_id = f"4VbBBB{_digits(len(self.enqueued), 4)}zB{_digits(len(self.enqueued), 3)}"
        self.enqueued.append(queue_id)
        path = SPOOL / "pid" / queue_id
        path.write_bytes(octets)
        os.chown(path, pwd.getpwnam("postfix").pw_uid, -1)
        path.chmod(0o700)
        then = time.time() - 10  # a file "from the future" would have to wait
        os.utime(path, (then, then))
        path.rename(SPOOL / "incoming" / queue_id)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(os.fspath(SPOOL / "public/qmgr"))
            connection.send(b"I")
        self.observations.bump()

    async def command(self, *command: str, data: bytes = b"") -> tuple[int, str]:
        """Run a command of Postfix; exit status and output."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd="/",
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        output, _ = await process.communicate(data)
        self.observations.bump()
        assert process.returncode is not None
        return process.returncode, output.decode(errors="replace")


def _digits(number: int, count: int) -> str:
    """A number as queue ids have them, all of one length."""
    digits = ""
    for _ in range(count):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits


def age() -> None:
    """Make all files of the configuration old: one that changed within the last second is read again until it is."""
    then = time.time() - 100
    for where, _, names in os.walk(CONFIG):
        for name in names:
            path = Path(where, name)
            if not name.endswith((".db", ".lmdb", ".cdb")) and path.stat().st_mtime > then + 50:
                os.utime(path, (then, then))
