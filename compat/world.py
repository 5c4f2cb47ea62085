"""A queue directory with everything around a delivery agent, made for one test or demo and gone after it.

No root is needed. The checks on ``mail_owner`` and its like are met with accounts that every system has; without root
the agent is started without ``-u`` and ``-c``, so it stays the current user. Log lines travel through the socket of
postlogd(8), because that one can be anywhere, and syslog's cannot.
"""

import contextlib
import grp
import os
import pwd
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from compat.background import Background
from compat.master import MasterService, ServiceLine
from compat.qmgr import Answer, QueueManager, request, with_offsets
from compat.queue_file import QueueMessage, QueueRecipient, content_records, write_message
from compat.service import Recorder, Service, bind
from compat.services import (
    AgentService,
    BounceService,
    CacheService,
    CleanupService,
    FlushService,
    ProxyMapService,
    RewriteService,
    TlsManagerService,
    VerifyService,
)
from postfix_smtp.ipc.request import DeliveryRequest, Recipient

ROOT = Path(__file__).resolve().parent.parent
_TIMEOUT = 20.0

_LAUNCHER = """\
import sys
sys.path.insert(0, {root!r})
from postfix_smtp.daemon.main import main
{prepare}main(sys.argv{factory})
"""

BASE = {
    "compatibility_level": "3.6",
    "myhostname": "client.example",
    "mydomain": "example",
    "mydestination": "",
    "inet_interfaces": "127.0.0.1",
    "inet_protocols": "ipv4",
    "mynetworks": "127.0.0.0/8",
    "smtp_tls_security_level": "none",
    "lmtp_tls_security_level": "none",
    "fast_flush_domains": "",
    "relayhost": "",
    "default_database_type": "texthash",
    "maillog_file": "/var/log/mail.log",
}


def accounts() -> dict[str, str]:
    """Settings of accounts that exist here and satisfy Postfix's checks, whether Postfix is installed or not."""
    users = [
        user
        for user in pwd.getpwall()
        if user.pw_uid and user.pw_gid and pwd.getpwuid(user.pw_uid).pw_name == user.pw_name
    ]
    users.sort(key=lambda user: (user.pw_name != "postfix", user.pw_uid != os.getuid()))
    owner = users[0]
    other = next(
        user
        for user in sorted(users, key=lambda user: user.pw_name != "nobody")
        if user.pw_uid != owner.pw_uid and user.pw_gid != owner.pw_gid
    )
    groups = [
        group
        for group in grp.getgrall()
        if group.gr_gid not in (0, owner.pw_gid, other.pw_gid) and grp.getgrgid(group.gr_gid).gr_name == group.gr_name
    ]
    groups.sort(key=lambda group: group.gr_name != "postdrop")
    return {"mail_owner": owner.pw_name, "default_privs": other.pw_name, "setgid_group": groups[0].gr_name}


class LogSocket:
    """postlogd(8) in small: log lines arrive here.

    Attributes:
        path: of the socket.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: list[str] = []
        self._changed = threading.Condition(threading.RLock())
        self._socket: socket.socket | None = None
        self._background: Background | None = None

    def start(self, background: Background) -> None:
        """Listen; in the loop."""
        self._background = background
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self._socket = bind(self.path, socket.SOCK_DGRAM)
        background.loop.add_reader(self._socket.fileno(), self._read)

    def _read(self) -> None:
        with self._changed, contextlib.suppress(BlockingIOError):
            while self._socket is not None:
                self._lines.append(self._socket.recv(4096).decode("utf-8", "surrogateescape"))
                self._changed.notify_all()

    def stop(self) -> None:
        """Do not listen any more."""
        self._read()
        with self._changed:
            if self._socket is not None and self._background is not None:
                self._background.loop.remove_reader(self._socket.fileno())
                self._socket.close()
                self._socket = None

    @property
    def lines(self) -> list[str]:
        """All that was logged up to now: complete datagrams, without a line end."""
        self._read()
        return list(self._lines)

    @property
    def texts(self) -> list[str]:
        """The lines without time, host and tag; labels stay."""
        return [line.split("]: ", 1)[-1] for line in self.lines]

    def wait(self, predicate: Callable[[list[str]], object], timeout: float = _TIMEOUT) -> list[str]:
        """Wait until `predicate` is true of the texts.

        Raises:
            TimeoutError: it never was.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while not predicate(self.texts):
                rest = deadline - time.monotonic()
                if rest <= 0 or not self._changed.wait(rest):
                    raise TimeoutError(f"log has only: {self.texts}")
        return self.texts


class World:
    """Queue directory, configuration, emulated daemons, and the agent under the emulated master. A context manager.

    Args:
        directory: where to build it; by default a temporary directory, which is removed at the end.
        main_cf: settings on top of :data:`BASE`.
        version: of the Postfix that is pretended to be installed.
        factory: ``MODULE:FUNCTION`` that makes another program than the delivery agent.
        prepare: Python statements for the launcher, to be run before the start.

    Attributes:
        queue: queue directory; config: configuration directory.
        log: what the agent logs.
        recorder: what the services were told.
        bounce, defer, trace, verify, flush, cache, tls_manager, rewrite, cleanup, proxymap, proxywrite: the services.
        queue_manager: sends requests.
    """

    def __init__(
        self,
        directory: Path | str | None = None,
        *,
        main_cf: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        version: str = "3.7.11",
        factory: str | None = None,
        prepare: str = "",
    ) -> None:
        self._temporary = directory is None
        self.directory = Path(directory or tempfile.mkdtemp(prefix="postfix-smtp-"))
        self.queue = self.directory / "spool"
        self.config = self.directory / "etc"
        self.version = tuple(int(part) for part in version.split("."))
        self.recorder = Recorder()
        self.background = Background()
        self.log = LogSocket(self.queue / "public" / "postlog")
        options_name = "sendopts" if self.version >= (3, 10) else "smtputf8"
        queue, recorder = self.queue, self.recorder
        self.bounce = BounceService(queue, "bounce", recorder, options_name)
        self.defer = BounceService(queue, "defer", recorder, options_name)
        self.trace = BounceService(queue, "trace", recorder, options_name)
        self.verify = VerifyService(queue, "verify", recorder)
        self.flush = FlushService(queue, "flush", recorder)
        self.cache = CacheService(queue, "scache", recorder)
        self.tls_manager = TlsManagerService(queue, "tlsmgr", recorder)
        self.rewrite = RewriteService(queue, "rewrite", recorder)
        self.cleanup = CleanupService(queue, "cleanup", recorder)
        self.proxymap = ProxyMapService(queue, "proxymap", recorder, self.version)
        self.proxywrite = ProxyMapService(queue, "proxywrite", recorder, self.version)
        self.services: list[Service] = [
            self.bounce,
            self.defer,
            self.trace,
            self.verify,
            self.flush,
            self.cache,
            self.tls_manager,
            self.rewrite,
            self.cleanup,
            self.proxymap,
            self.proxywrite,
        ]
        self.masters: dict[str, MasterService] = {}
        self.queue_manager = QueueManager(queue, self.background, options_name)
        self._main_cf = {**BASE, **accounts(), "queue_directory": str(queue), **(main_cf or {})}
        self._version_text = version
        self._files = dict(files or {})
        self._factory = factory
        self._prepare = prepare
        self._lines: list[ServiceLine] = []
        self._serial = 0

    # Life

    def __enter__(self) -> Self:
        for folder in ("active", "private", "public", "pid", "defer", "bounce"):
            (self.queue / folder).mkdir(parents=True, exist_ok=True)
        self.config.mkdir(exist_ok=True)
        self._write_launchers()
        self.write_configuration()
        self.background.__enter__()
        self.background.call(self._start())
        return self

    async def _start(self) -> None:
        self.log.start(self.background)
        for service in self.services:
            service.start(self.background)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.background.call(self._stop())
        self.background.__exit__(kind, value, trace)
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    async def _stop(self) -> None:
        for master in self.masters.values():
            await master.stop()
        for service in self.services:
            service.stop()
        self.log.stop()

    # Configuration

    def write_configuration(self, **changes: str) -> None:
        """Write main.cf and master.cf, with changed settings if any."""
        self._main_cf.update(changes)
        path = self.config / "main.cf"
        path.write_text("".join(f"{name} = {value}\n" for name, value in self._main_cf.items()))
        (self.config / "master.cf").write_text("".join(line.text() for line in self._lines))
        for name, content in self._files.items():
            (self.config / name).write_text(content)
        # A file that changed within the last second is read again until it has settled
        past = time.time() - 60
        for entry in self.config.iterdir():
            os.utime(entry, (past, past))
        constants = {
            "mail_version": self._version_text,
            "queue_directory": str(self.queue),
            "config_directory": str(self.config),
            "daemon_directory": str(self.directory / "libexec"),
            "default_database_type": "texthash",
        }
        (self.directory / "libexec" / "constants").write_text(
            "".join(f"{name} = {value}\n" for name, value in constants.items())
        )

    def _write_launchers(self) -> None:
        folder = self.directory / "libexec"
        folder.mkdir(parents=True, exist_ok=True)
        prepare, factory = self._prepare, ""
        if self._factory is not None:
            module, _, function = self._factory.partition(":")
            prepare += f"from {module} import {function}\n"
            factory = f", {function}"
        text = _LAUNCHER.format(root=str(ROOT), prepare=prepare, factory=factory)
        for program in ("smtp", "lmtp"):
            (folder / program).write_text(text)

    @property
    def environment(self) -> dict[str, str]:
        """What master(8) leaves of the environment."""
        return {
            "MAIL_CONFIG": str(self.config),
            "MAIL_LOGTAG": "postfix",
            "LANG": "C",
            "POSTLOG_SERVICE": str(self.log.path),
            "POSTLOG_HOSTNAME": "client.example",
        }

    @property
    def owner(self) -> tuple[int, int]:
        """User and group id of ``mail_owner``."""
        account = pwd.getpwnam(self._main_cf["mail_owner"])
        return account.pw_uid, account.pw_gid

    # Agents

    def start(self, line: ServiceLine | None = None, throttle_time: float = 60.0) -> MasterService:
        """Let the emulated master serve a line of master.cf. No process starts before there is a client."""
        line = line or ServiceLine()
        self._lines.append(line)
        self.write_configuration()
        master = MasterService(
            self.background,
            self.queue,
            line.name,
            self.command(line.program),
            line.arguments(),
            self.environment,
            limit=100 if line.limit is None else line.limit,
            throttle_time=throttle_time,
        )
        self.masters[line.name] = master
        self.background.loop.call_soon_threadsafe(master.start)
        return master

    def command(self, program: str = "smtp") -> list[str]:
        """How a process is started, without its arguments."""
        return [sys.executable, str(self.directory / "libexec" / program)]

    def wait(self, predicate: Callable[[], object], transport: str = "smtp", timeout: float = _TIMEOUT) -> None:
        """Wait until `predicate` is true; it is looked at whenever master's accounts of `transport` change."""
        self.background.call(self.masters[transport].wait(predicate, timeout), timeout + 1)

    def agent(self, name: str) -> AgentService:
        """An emulated delivery agent behind transport `name`, for recipients that are passed on."""
        service = AgentService(self.queue, name, self.recorder, "sendopts" if self.version >= (3, 10) else "smtputf8")
        self.services.append(service)
        self.background.loop.call_soon_threadsafe(service.start, self.background)
        return service

    # Messages

    def message(
        self,
        recipients: Sequence[Recipient | str],
        content: bytes = b"From: a\nTo: b\nSubject: test\n\nhello\n",
        *,
        queue_id: str | None = None,
        sender: str = "sender@sender.example",
        encoding: str = "7bit",
        **settings: object,
    ) -> DeliveryRequest:
        """Put a message into the queue; the request that delivers it. `settings` are those of :func:`request`."""
        if queue_id is None:
            self._serial += 1
            queue_id = f"{0x1A2B3C00000 + self._serial:X}"
        delivery = request(
            recipients,
            queue_id=queue_id,
            sender=sender,
            encoding=encoding,
            **settings,  # type: ignore[arg-type]
        )
        queued = write_message(
            self.queue / "active" / queue_id,
            QueueMessage(
                sender=sender.encode("utf-8", "surrogateescape"),
                recipients=[
                    QueueRecipient(
                        recipient.address.encode("utf-8", "surrogateescape"),
                        recipient.original.encode("utf-8", "surrogateescape"),
                        recipient.dsn_original.encode("utf-8", "surrogateescape"),
                        int(recipient.notify),
                    )
                    for recipient in delivery.recipients
                ],
                records=content_records(content),
                encoding=encoding.encode(),
                arrival=delivery.times.arrival,
            ),
        )
        return with_offsets(delivery, queued.recipient_offsets, queued.data_offset, queued.size)

    def deliver(self, delivery: DeliveryRequest, transport: str = "smtp", timeout: float = 60.0) -> Answer:
        """Send a request to the agent and wait for its answer."""
        return self.queue_manager.deliver(transport, delivery, timeout)

    @property
    def problems(self) -> list[str]:
        """What the emulated daemons found wrong."""
        return self.recorder.problems + self.queue_manager.problems
