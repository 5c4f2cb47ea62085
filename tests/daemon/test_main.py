"""The start of a process, and what ends it early: process chapters 2, 3 and 13."""

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from compat.master import ServiceLine
from compat.qmgr import request
from compat.world import World
from postfix_smtp.ipc.delivery import encode_reply, encode_request
from postfix_smtp.ipc.request import DeliveryReply

FACTORY = "compat.dummy_program:DummyProgram"
NO_SLEEP = "import time\ntime.sleep = lambda _: None\n"


@pytest.fixture
def world() -> Iterator[World]:
    with World(factory=FACTORY, prepare=NO_SLEEP) as made:
        yield made


def run(
    world: World,
    *arguments: str,
    program: str = "smtp",
    environment: Mapping[str, str] | None = None,
    octets: bytes = b"",
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*world.command(program), *arguments],
        env={**world.environment, **(environment or {})},
        input=octets,
        capture_output=True,
        timeout=30,
        cwd="/",
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-x"], "invalid option: x"),
        ([], "no transport type specified"),
        (["-t", "foo"], "unsupported transport type: foo"),
        (["-t", ""], "unsupported transport type: "),
        (["-t", "unix", "-o", "foo"], "invalid \"-o foo\" option value: missing '=' after attribute name"),
        (["-t", "unix", "-s", "0"], "invalid socket_count: 0"),
        (["-t", "unix", "-r", "x"], "invalid retirement time: x"),
        (["-t", "unix", "-o", "maillog_file=/tmp/x"], None),
        (["-t", "unix", "-D"], "no debugger_command variable set up"),
        (["-S", "word"], "unknown attribute name: word"),
    ],
)
def test_bad_command_line_is_fatal(world: World, arguments: list[str], text: str | None) -> None:
    text = text or "maillog_file value '/tmp/x' does not match any prefix in maillog_file_prefixes"
    assert run(world, *arguments).returncode == 1
    assert world.log.texts[-1] == f"fatal: {text}"


def test_fatal_error_takes_a_second() -> None:
    with World(factory=FACTORY) as world:
        start = time.monotonic()
        assert run(world, "-x").returncode == 1
        assert time.monotonic() - start >= 1


def test_debugger_command_is_told_the_process(world: World) -> None:
    command = "echo $process_name $process_id $smtp_helo_timeout; exit 3"
    words = run(world, "-S", "-D", "-o", f"debugger_command={command}").stdout.partition(b"\n")[0].split()
    assert words[0] == b"smtp"
    assert words[2] == b"300s"
    assert f"running: echo smtp {words[1].decode()} 300s; exit 3" in world.log.texts


def test_debugger_command_does_not_matter_without_its_option(world: World) -> None:
    assert run(world, "-S", "-o", "debugger_command=${").returncode == 0


def test_bad_generation_is_fatal(world: World) -> None:
    assert run(world, "-t", "unix", environment={"GENERATION": "9x"}).returncode == 1
    assert world.log.texts[-1] == "fatal: bad generation: 9x"


def test_other_process_names_are_refused(world: World) -> None:
    folder = world.directory / "libexec"
    (folder / "foo").write_bytes((folder / "smtp").read_bytes())
    assert run(world, "-t", "unix", program="foo").returncode == 1
    assert world.log.texts[-1] == 'fatal: unexpected process name "foo" - specify "smtp" or "lmtp"'


def test_queue_directory_that_is_missing(world: World) -> None:
    missing = str(world.directory / "missing")
    (world.directory / "public").mkdir()
    assert run(world, "-t", "unix", "-o", f"queue_directory={missing}", "-V").returncode == 1
    assert run(world, "-t", "unix", "-o", f"queue_directory={missing}", "-V").stderr.endswith(
        f'fatal: chdir("{missing}"): No such file or directory\n'.encode()
    )


def test_main_cf_that_is_missing(world: World) -> None:
    assert run(world, "-t", "unix", environment={"MAIL_CONFIG": "/nonexistent"}).returncode == 1
    assert world.log.lines[-1].endswith("fatal: open /nonexistent/main.cf: No such file or directory")
    assert run(world, "-t", "unix", environment={"MAIL_CONFIG": ""}).returncode == 1
    assert world.log.lines[-1].endswith("fatal: open /main.cf: No such file or directory")


def test_option_v_capital_logs_to_stderr_as_well(world: World) -> None:
    result = run(world, "-V", "-t", "foo")
    assert result.stderr == b"postfix/smtp: fatal: unsupported transport type: foo\n"


def test_terminal_is_refused(world: World) -> None:
    ours, theirs = os.openpty()
    result = subprocess.run(
        [*world.command(), "-t", "unix"],
        env=world.environment,
        stdin=theirs,
        capture_output=True,
        timeout=30,
        check=False,
    )
    os.close(ours)
    os.close(theirs)
    assert result.returncode == 1
    assert result.stderr == b"smtp: fatal: do not run this command by hand\n"
    assert world.log.texts[-1] == "fatal: do not run this command by hand"


def test_tag_is_of_the_environment_until_main_cf_is_read(world: World) -> None:
    run(world, "-x", environment={"MAIL_LOGTAG": "tagged"})
    run(world, "-n", "tr", "-t", "foo", "-o", "syslog_name=pfx/$service_name")
    assert [line.split()[4].partition("[")[0] for line in world.log.lines[-2:]] == ["tagged/smtp", "pfx/tr/smtp"]


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("respectful_logging=é", "bad boolean configuration: respectful_logging = ??"),
        ("inet_protocols=é", 'unknown inet_protocols value "é" in "é"'),
    ],
)
def test_log_lines_keep_utf8_as_soon_as_main_cf_allows_it(world: World, option: str, text: str) -> None:
    assert run(world, "-t", "unix", "-o", "smtputf8_enable=yes", "-o", option).returncode == 1
    assert world.log.texts[-1] == f"fatal: {text}"


@pytest.mark.parametrize("separate", [False, True])
def test_one_request_on_standard_input(world: World, separate: bool) -> None:
    delivery = request(["a@b.example"], nexthop="ok")
    octets = encode_request(delivery, "smtputf8")
    if separate:
        output = run(world, "-S", octets=octets).stdout
    else:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            process = subprocess.Popen(
                [*world.command(), "-S"], env=world.environment, stdin=theirs.fileno(), stdout=theirs.fileno()
            )
            theirs.close()
            ours.sendall(octets)
            output = b""
            while not output.endswith(b"status\x000\0\0"):
                output += ours.recv(1000)
            ours.shutdown(socket.SHUT_WR)
            assert process.wait(20) == 0
    assert output == b"protocol\0delivery_request_protocol\0\0" + encode_reply(DeliveryReply(True))


def test_standard_input_has_no_name(world: World) -> None:
    run(world, "-S", octets=b"flags\x003\0other\0\0\0")
    assert "warning: unexpected attribute other from unknown_stream (expecting: queue_name)" in world.log.texts


def test_verbose_start(world: World) -> None:
    run(world, "-S", environment={"MAIL_VERBOSE": "", "GENERATION": "204"})
    assert world.log.texts[0] == "daemon started"
    assert "process generation: 204 (204)" in world.log.texts
    assert world.log.texts.count("send attr protocol = delivery_request_protocol") == 1


@pytest.mark.parametrize("count", ["4", "99999999999"])
def test_sockets_that_are_not_there(world: World, count: str) -> None:
    """However many are announced, the first one that is missing ends the start."""
    assert run(world, "-t", "unix", "-s", count).returncode == 1
    assert re.fullmatch(r"fatal: descriptor \d: Bad file descriptor", world.log.texts[-1])


def test_few_descriptors_are_warned_about(world: World) -> None:
    for limit, lines in ((255, 1), (256, 0)):
        limited = ["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", *world.command("smtp"), "-t", "unix"]
        before = len(world.log.texts)
        subprocess.run(limited, env=world.environment, stdin=subprocess.DEVNULL, timeout=30, check=False, cwd="/")
        warning = f"warning: could allocate space for only {limit} open files"
        assert world.log.texts[before:].count(warning) == lines


@pytest.mark.parametrize("transport", ["inet", "pass"])
def test_other_transport_types(transport: str) -> None:
    """The process serves a TCP socket, or takes over a connection that is handed to it."""
    with World(factory=FACTORY) as world:
        ours, theirs = socket.socketpair()
        inside = {5: theirs}
        listener = socket.create_server(("127.0.0.1", 0)) if transport == "inet" else socket.socket(socket.AF_UNIX)
        if transport == "pass":
            listener.bind(str(world.queue / "private" / "passed"))
            listener.listen(5)
        inside[6] = listener
        pipe = os.pipe()
        places = {3: pipe[0], 4: pipe[1], **{place: end.fileno() for place, end in inside.items()}}
        parked = {place: os.dup(number) for place, number in places.items()}
        high = {place: _park(number) for place, number in parked.items()}
        actions = [(os.POSIX_SPAWN_DUP2, number, place) for place, number in high.items()]
        command = [*world.command(), "-t", transport]
        pid = os.posix_spawn(command[0], command, world.environment | {"GENERATION": "1"}, file_actions=actions)
        for number in (*high.values(), *pipe):
            os.close(number)
        client = _client(listener, transport)
        with client:
            client.sendall(encode_request(request(["a@b.example"], nexthop="ok"), "smtputf8"))
            octets = b""
            while not octets.endswith(b"status\x000\0\0"):
                octets += client.recv(1000)
        ours.close()
        _, status = os.waitpid(pid, 0)
        assert status == 0
        theirs.close()
        listener.close()


def _park(number: int) -> int:
    import fcntl

    high = fcntl.fcntl(number, fcntl.F_DUPFD, 100)
    os.close(number)
    return high


def _client(listener: socket.socket, transport: str) -> socket.socket:
    if transport == "inet":
        return socket.create_connection(listener.getsockname())
    ours, theirs = socket.socketpair()
    with theirs, socket.socket(socket.AF_UNIX) as handing:
        handing.connect(listener.getsockname())
        socket.send_fds(handing, [b"\0"], [theirs.fileno()])
        handing.sendall(b"client_name\0localhost\0\0")
        handing.recv(1)  # closed when it was taken
    return ours


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_signals_and_limits_of_the_process(world: World) -> None:
    master = world.start(ServiceLine())
    world.deliver(request(["a@b.example"], nexthop="ok"))
    pid = master.children[0].pid
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    ignored = int(status["SigIgn"], 16)
    caught = int(status["SigCgt"], 16)
    inherited = int(re.findall(r"SigIgn:\t(\w+)", Path("/proc/self/status").read_text())[0], 16)  # as by nohup(1)
    assert (ignored | inherited) & 0x7FFFFFFF == (1 << 12 | 1 << 24 | inherited) & 0x7FFFFFFF  # SIGPIPE, SIGXFSZ
    assert ignored & (1 << 12 | 1 << 24) == 1 << 12 | 1 << 24
    assert caught == 1 << 13  # SIGALRM
    limits = Path(f"/proc/{pid}/limits").read_text()
    soft, hard = next(line.split()[3:5] for line in limits.splitlines() if line.startswith("Max open files"))
    assert soft == hard
