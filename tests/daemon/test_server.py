"""The process under the emulated master: acceptance checks of the process chapter, as far as they need no real one."""

import asyncio
import errno
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from compat.dummy_program import DummyProgram
from compat.master import ServiceLine
from compat.qmgr import Answer, request
from compat.world import World
from postfix_smtp.daemon.listener import Listener
from postfix_smtp.daemon.server import Server, ServerSettings
from postfix_smtp.daemon.status import StatusChannel
from postfix_smtp.ipc.request import DeliveryReply, DeliveryRequest

FACTORY = "compat.dummy_program:DummyProgram"
CAPACITY = {"smtp_process_delivery_limit": "4"}


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    settings = getattr(request, "param", {})
    with World(factory=FACTORY, main_cf={"max_idle": "30s", **settings}) as made:
        (made.queue / "hold").mkdir()
        yield made
        assert made.problems == []


class Held:
    """Requests that wait until they are released."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._futures: dict[str, Future[Answer]] = {}

    def start(self, *names: str) -> None:
        for name in names:
            work = self._world.queue_manager.adeliver("smtp", held(name))
            self._futures[name] = asyncio.run_coroutine_threadsafe(work, self._world.background.loop)

    def wait_started(self, *names: str) -> None:
        self._world.log.wait(lambda texts: all(f"{name}: hold" in texts for name in names))

    def release(self, *names: str) -> list[DeliveryReply | None]:
        for name in names:
            (self._world.queue / "hold" / name).touch()
        return [self._futures[name].result(20).reply for name in names]


def held(name: str) -> DeliveryRequest:
    return request(["a@b.example"], nexthop="hold", queue_id=name)


def ok() -> DeliveryRequest:
    return request(["a@b.example"], nexthop="ok")


def told(nexthop: str) -> DeliveryRequest:
    return request(["a@b.example"], nexthop=nexthop)


DONE = DeliveryReply(True)


def test_one_request_is_served_and_counted(world: World) -> None:
    master = world.start()
    assert world.deliver(ok()).reply == DONE
    world.wait(lambda: master.children[0].uses == 1)
    assert [status for _, status in master.statuses] == [0, 1]
    for _ in range(3):
        assert world.deliver(ok()).reply == DONE
    assert len(master.statuses) == 2  # only the first success is worth a pulse
    assert len(master.children) == 1


def test_process_limit_of_one_serves_like_the_stock_program(world: World) -> None:
    master = world.start(ServiceLine(limit=1))
    for _ in range(3):
        assert world.deliver(ok()).reply == DONE
    world.wait(lambda: master.children[0].uses == 3)
    assert [status for _, status in master.statuses] == [0, 1] * 3


@pytest.mark.parametrize("world", [CAPACITY], indirect=True)
def test_second_process_starts_only_when_the_first_is_full(world: World) -> None:
    master = world.start(ServiceLine(limit=2))
    requests = Held(world)
    names = [f"A{number}" for number in range(9)]
    requests.start(*names[:3])
    requests.wait_started(*names[:3])
    assert len(master.children) == 1
    assert master.statuses == []
    requests.start(names[3])
    requests.wait_started(names[3])
    world.wait(lambda: master.available == 0)
    assert len(master.children) == 1
    requests.start(*names[4:8])
    requests.wait_started(*names[:8])
    world.wait(lambda: master.available == 0 and len(master.children) == 2)
    requests.start(names[8])
    requests.release(names[0])
    requests.wait_started(names[8])  # the ninth waited until there was room
    assert requests.release(*names[1:]) == [DONE] * 8
    assert len(master.children) == 2


def test_saturated_process_that_never_calms_down_is_counted_after_its_first_success() -> None:
    saturate = (
        "from postfix_smtp.daemon.load import LoadMeter\n"
        "calls = []\n"
        "LoadMeter.is_saturated = lambda self: bool(calls.append(1) or len(calls) > 1)\n"
    )
    with World(factory=FACTORY, prepare=saturate) as world:
        (world.queue / "hold").mkdir()
        master = world.start()
        requests = Held(world)
        requests.start("A1")
        requests.wait_started("A1")
        assert world.deliver(ok()).reply == DONE
        world.wait(lambda: len(master.statuses) == 3)
        assert [status for _, status in master.statuses] == [0, 1, 0]
        assert master.children[0].uses == 1
        assert requests.release("A1") == [DONE]


@pytest.mark.parametrize("world", [{"max_idle": "1s"}], indirect=True)
def test_idle_process_ends_with_status_0(world: World) -> None:
    master = world.start()
    world.deliver(ok())
    world.wait(lambda: not master.running)
    assert master.children[0].status == 0
    assert master.log == []


@pytest.mark.parametrize("world", [{"max_use": "2"}], indirect=True)
def test_use_limit_ends_the_process_after_the_last_reply(world: World) -> None:
    master = world.start(ServiceLine(limit=1))
    for _ in range(3):
        assert world.deliver(ok()).reply == DONE
    world.wait(lambda: len(master.children) == 2)
    world.wait(lambda: master.children[0].status == 0)
    assert master.children[1].status is None


@pytest.mark.parametrize("world", [{"max_use": "1", "smtp_process_delivery_limit": "2"}], indirect=True)
def test_use_limit_counts_each_place_and_waits_for_requests_in_progress(world: World) -> None:
    master = world.start()
    requests = Held(world)
    requests.start("A1")
    requests.wait_started("A1")
    assert world.deliver(ok()).reply == DONE  # the second of two
    assert world.deliver(ok()).reply == DONE  # by another process
    assert len(master.children) == 2
    assert master.children[0].status is None
    assert requests.release("A1") == [DONE]
    world.wait(lambda: master.children[0].status == 0)


def test_reload_while_idle_ends_the_process_at_once(world: World) -> None:
    master = world.start()
    world.deliver(ok())
    world.background.loop.call_soon_threadsafe(master.reload)
    world.wait(lambda: not master.running)
    assert world.deliver(ok()).reply == DONE
    assert [child.status for child in master.children] == [0, None]


@pytest.mark.parametrize("threads", [False, True])
@pytest.mark.parametrize("world", [CAPACITY], indirect=True)
def test_reload_with_requests_in_progress(world: World, threads: bool) -> None:
    master = world.start()
    requests = Held(world)
    if threads:
        assert world.deliver(told("thread")).reply == DONE
        world.wait(lambda: master.children[0].uses == 1)
    requests.start("A1", "A2")
    requests.wait_started("A1", "A2")
    world.background.loop.call_soon_threadsafe(master.reload)
    world.wait(lambda: master.children[0].status == 0)  # split off: the registered process has ended
    assert world.deliver(ok()).reply == DONE
    assert len(master.children) == 2
    if threads:
        assert world.deliver(told("thread")).reply == DONE
    assert requests.release("A1", "A2") == [DONE, DONE]
    world.log.wait(lambda texts: "stop" in texts)


@pytest.mark.parametrize("world", [CAPACITY], indirect=True)
def test_reload_when_full_finishes_and_ends(world: World) -> None:
    master = world.start()
    requests = Held(world)
    names = ["A1", "A2", "A3", "A4"]
    requests.start(*names)
    requests.wait_started(*names)
    world.wait(lambda: master.available == 0)
    world.background.loop.call_soon_threadsafe(master.reload)
    assert world.deliver(ok()).reply == DONE  # by a new process
    assert len(master.children) == 2
    assert master.children[0].status is None
    assert requests.release(*names) == [DONE] * 4
    world.wait(lambda: master.children[0].status == 0)


def test_master_that_dies_leaves_time_to_finish(world: World) -> None:
    master = world.start(ServiceLine(limit=1))
    requests = Held(world)
    requests.start("A1")
    requests.wait_started("A1")
    world.background.loop.call_soon_threadsafe(master.lose_channel)
    assert requests.release("A1") == [DONE]
    world.wait(lambda: master.children[0].status == 0)


@pytest.mark.parametrize("served", [False, True])
def test_crash_throttles_only_before_the_first_success(world: World, served: bool) -> None:
    master = world.start()
    if served:
        assert world.deliver(ok()).reply == DONE
        world.wait(lambda: master.children[0].uses == 1)
    assert world.deliver(told("segv")).reply is None
    world.wait(lambda: not master.running)
    assert os.WTERMSIG(master.children[0].status or 0) == signal.SIGSEGV
    assert master.throttled is not served
    if served:
        assert world.deliver(ok()).reply == DONE


@pytest.mark.parametrize(("trouble", "line"), [("fatal", "fatal: told to"), ("panic", "panic: told to")])
def test_fatal_error_of_a_request_is_its_own(world: World, trouble: str, line: str) -> None:
    master = world.start()
    requests = Held(world)
    requests.start("A1")
    requests.wait_started("A1")
    assert world.deliver(told(trouble)).reply is None
    assert line in world.log.texts
    assert requests.release("A1") == [DONE]
    assert [child.status for child in master.children] == [None]


@pytest.mark.parametrize(("trouble", "status"), [("fatal", 1 << 8), ("panic", signal.SIGABRT)])
def test_fatal_error_of_the_only_request_ends_the_process_as_it_ends_the_stock_program(
    world: World, trouble: str, status: int
) -> None:
    master = world.start()
    assert world.deliver(ok()).reply == DONE
    world.wait(lambda: master.children[0].uses == 1)
    assert world.deliver(told(trouble)).reply is None
    world.wait(lambda: not master.running)
    assert (master.children[0].status or 0) & ~0x80 == status
    assert not master.throttled


def test_defect_defers_and_is_logged_line_by_line(world: World) -> None:
    world.start()
    assert world.deliver(told("defect")).reply == DeliveryReply(False)
    texts = world.log.texts
    assert "warning: Traceback (most recent call last):" in texts
    assert "warning: ZeroDivisionError: one" in texts
    assert "warning: two" in texts


@pytest.mark.parametrize("world", [{"daemon_timeout": "3s"}], indirect=True)
def test_request_that_takes_too_long_is_abandoned(world: World) -> None:
    master = world.start()
    assert world.deliver(told("hang"), timeout=10).reply is None
    assert "fatal: watchdog timeout" in world.log.texts
    assert [child.status for child in master.children] == [None]


@pytest.mark.parametrize("world", [{"daemon_timeout": "3s"}], indirect=True)
def test_loop_that_stands_still_ends_the_process(world: World) -> None:
    master = world.start()
    assert world.deliver(told("block"), timeout=10).reply is None
    world.wait(lambda: not master.running)
    assert os.waitstatus_to_exitcode(master.children[0].status or 0) == 1
    assert "fatal: watchdog timeout" in world.log.texts


def test_changed_table_ends_the_process_without_accepting(world: World) -> None:
    master = world.start()
    world.deliver(ok())
    changed = world.queue / "changed"
    changed.touch()
    # The next process would see the file too: it is removed when the first has ended
    requests = Held(world)
    requests.start("A1")
    world.log.wait(lambda texts: "table hash:/x(0,lock) has changed -- restarting" in texts)
    changed.unlink()
    requests.wait_started("A1")
    assert requests.release("A1") == [DONE]
    assert master.children[0].status == 0


def test_closed_connection_is_silent_and_not_a_success(world: World) -> None:
    master = world.start()

    async def visit() -> None:
        channel = await world.queue_manager.connect("smtp")
        channel.close()

    world.background.call(visit())
    assert world.deliver(ok()).reply == DONE
    assert [text for text in world.log.texts if text.startswith("warning")] == []
    assert len(master.children) == 1


def test_announcement_does_not_wait_for_a_turn_of_the_loop(tmp_path: Path) -> None:
    """Until the request has arrived, the death of the process suspends the whole transport (ipc chapter 4.8)."""

    async def scenario() -> bytes:
        endpoint = socket.socket(socket.AF_UNIX)
        endpoint.bind(str(tmp_path / "smtp"))
        endpoint.listen()
        listener = Listener(endpoint)
        master, ours = socket.socketpair()
        settings = ServerSettings("smtp", 4, 100, 60, 10, 60, "smtputf8")
        server = Server(DummyProgram(), settings, StatusChannel(ours.detach(), 1), [listener])
        running = asyncio.create_task(server.run())
        with master, endpoint, socket.socket(socket.AF_UNIX) as client:
            await asyncio.sleep(0.05)
            client.connect(str(tmp_path / "smtp"))
            server._client_waits(listener)
            announced = client.recv(100, socket.MSG_DONTWAIT)
            client.close()
            master.close()
            await running
        return announced

    assert asyncio.run(scenario()) == b"protocol\0delivery_request_protocol\0\0"


class FullListener(Listener):
    """Has no descriptor for a second client as long as `full` says so."""

    full = False

    def accept(self) -> socket.socket | None:
        if self.full:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


def test_without_descriptors_the_end_of_a_delivery_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Trying again and again would end the process, and with it what it delivers."""

    async def scenario() -> bytes:
        endpoint = socket.socket(socket.AF_UNIX)
        endpoint.bind(str(tmp_path / "smtp"))
        endpoint.listen()
        listener = FullListener(endpoint)
        master, ours = socket.socketpair()
        master.setblocking(False)
        settings = ServerSettings("smtp", 4, 100, 60, 10, 60, "smtputf8")
        server = Server(DummyProgram(), settings, StatusChannel(ours.detach(), 1), [listener])
        running = asyncio.create_task(server.run())
        loop = asyncio.get_running_loop()
        clients = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        with master, endpoint:
            for client in clients:
                client.setblocking(False)
            await loop.sock_connect(clients[0], str(tmp_path / "smtp"))
            await loop.sock_recv(clients[0], 100)
            listener.full = True
            await loop.sock_connect(clients[1], str(tmp_path / "smtp"))
            told = await loop.sock_recv(master, 100)
            listener.full = False
            clients[0].close()
            told += await loop.sock_recv(master, 100)
            await loop.sock_recv(clients[1], 100)
            clients[1].close()
            master.close()
            await running
        return told[8::12]

    assert asyncio.run(scenario()) == b"\0\1"  # TAKEN, AVAIL
    assert [text for text in caplog.messages if "accept" in text] == ["accept connection: Too many open files"]
    assert [record.levelname for record in caplog.records if "accept" in record.message] == ["WARNING"]


def test_wake_up_is_answered_and_warned_about(world: World) -> None:
    world.start()

    async def wake() -> bytes:
        channel = await world.queue_manager.connect("smtp")
        await channel.send(b"W\0")
        await channel.wait_input()
        octets = channel.socket.recv(1000)
        channel.close()
        return octets

    assert world.background.call(wake()).endswith(b"status\0004294967295\0\0")
    assert world.log.texts[-2:] == [
        "warning: unexpected attribute W from smtp socket (expecting: flags)",
        "warning: deliver_request_get: error receiving common attributes",
    ]


def test_sigterm_ends_the_process_at_once(world: World) -> None:
    master = world.start()
    requests = Held(world)
    requests.start("A1")
    requests.wait_started("A1")
    os.kill(master.children[0].pid, signal.SIGTERM)
    world.wait(lambda: not master.running)
    assert os.WTERMSIG(master.children[0].status or 0) == signal.SIGTERM


def test_title_is_the_command_line_of_master(world: World) -> None:
    master = world.start(ServiceLine(name="relay"))
    world.deliver(ok(), "relay")
    title = Path(f"/proc/{master.children[0].pid}/cmdline").read_bytes().rstrip(b"\0")
    assert title.split(b"\0") == [b"smtp -n relay -t unix"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_privileges_are_dropped_and_the_jail_is_entered(world: World) -> None:
    os.chmod(world.directory, 0o755)
    world.start(ServiceLine(chroot=True, unprivileged=True))
    assert world.deliver(ok()).reply == DONE
    entered = next(text for text in world.log.texts if text.startswith("enter"))
    assert "uid=0" not in entered
    assert entered.endswith("cwd=/")
    root = next(text for text in world.log.texts if text.startswith("root="))
    assert "private" in root
    assert "usr" not in root


FORBID_IMPORTS = """
import postfix_smtp.daemon.privileges as privileges
original = privileges.give_up_root
def give_up_root(directory, user):
    original(directory, user)
    class Forbidden:
        def find_spec(self, name, path=None, target=None):
            from postfix_smtp import log
            log.warning("import of " + name)
    sys.meta_path[:] = [Forbidden()]
privileges.give_up_root = give_up_root
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_nothing_is_imported_after_the_jail() -> None:
    with World(
        factory=FACTORY, main_cf={"max_idle": "1s", "syslog_name": "a/$service_name"}, prepare=FORBID_IMPORTS
    ) as world:
        os.chmod(world.directory, 0o755)
        master = world.start(ServiceLine(chroot=True, unprivileged=True))
        for nexthop in ("ok", "thread", "defer", "defect"):
            world.deliver(told(nexthop))
        assert [text for text in world.log.texts if "import of" in text] == []
        world.deliver(told("import"))
        assert "warning: import of this" in world.log.texts
        world.wait(lambda: not master.running)
        assert master.children[0].status == 0
        assert "warning: ZeroDivisionError: one" in world.log.texts
