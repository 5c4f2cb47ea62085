"""The start of a service process, step by step (process chapter 3), and its end."""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, NoReturn

from postfix_smtp import log
from postfix_smtp.daemon import limits
from postfix_smtp.daemon.light import asyncio
from postfix_smtp.daemon.logging import (
    FACILITIES,
    LogHandler,
    Postlog,
    Syslog,
    die,
    die_panicking,
    install,
    provisional,
)
from postfix_smtp.daemon.options import options, positive
from postfix_smtp.daemon.program import Program
from postfix_smtp.errors import FatalError, PanicError, TableError
from postfix_smtp.printable import is_strict
from postfix_smtp.text import to_octets

PROGRAMS: Final = ("smtp", "lmtp")
STATUS_DESCRIPTOR: Final = 5
FLOW_DESCRIPTORS: Final = (3, 4)
TRANSPORTS: Final = ("unix", "inet", "pass")


def main(argv: list[str], make_program: Callable[[], Program] | None = None) -> NoReturn:
    """Run as a service process of master(8). Never returns: the process ends here.

    Args:
        argv: path of the executable, whose last component is the process name; then the arguments.
        make_program: gives the delivery agent, by default the one of this package.
    """
    handler = LogHandler()
    try:
        _Start(handler, argv, make_program or _delivery_program).run()
    except FatalError as failure:
        die(str(failure))
    except TableError as failure:
        die(str(failure))
    except PanicError as failure:
        die_panicking(str(failure))
    except Exception:
        for line in traceback.format_exc().splitlines():
            log.warning(line)
        die("unexpected error - program terminated")
    os._exit(0)


def _delivery_program() -> Program:
    from postfix_smtp.delivery.program import DeliveryProgram

    return DeliveryProgram()


@dataclass(slots=True)
class _CommandLine:
    """What the options say that is no parameter."""

    service: str = ""
    transport: str | None = None
    sockets: int = 1
    chroot: bool = False
    attached: bool = False
    debug: bool = False
    single: bool = False
    unlimited: bool = False
    stdio: bool = False
    unprivileged: bool = False
    words: list[str] = field(default_factory=list)


class _Start:
    """The steps in their order; an error in an earlier one hides those in later ones."""

    def __init__(self, handler: LogHandler, argv: Sequence[str], make_program: Callable[[], Program]) -> None:
        self._handler = handler
        self._arguments = argv[1:]
        self._program_name = os.path.basename(argv[0])
        self._make_program = make_program
        self._line = _CommandLine()
        self._configuration: Any = None

    def run(self) -> None:
        """The whole life of the process."""
        self._look_at_environment()
        limits.set_signals()
        install(self._handler)
        provisional(self._handler, self._program_name)
        if "MAIL_VERBOSE" in os.environ:
            log.info("daemon started")
        limits.raise_descriptor_limit()
        self._load_configuration()
        self._final_logging()
        self._check_terminal()
        configuration = self._configuration
        configuration.evaluate_program()
        self._check_transport()
        generation = self._generation()
        if self._line.debug:
            self._run_debugger()
        directory = configuration.text("queue_directory")
        try:
            os.chdir(directory)
        except OSError as failure:
            raise FatalError(f'chdir("{directory}"): {failure.strerror}') from None
        self._set_title()
        self._serve(generation, directory)

    def _look_at_environment(self) -> None:
        if "MAIL_VERBOSE" in os.environ:
            log.verbosity.set(1)
        if "MAIL_DEBUG" in os.environ:
            self._line.debug = True

    def _load_configuration(self) -> None:
        from postfix_smtp.config.configuration import Configuration

        directory = os.environ.get("MAIL_CONFIG")
        self._configuration = configuration = Configuration.load(directory, self._program_name)
        self._parse_options()
        self._line.service = self._line.service or self._program_name
        configuration.set_service(self._line.service)
        configuration.evaluate_global(self._allow_utf8)
        os.environ["MAIL_LOGTAG"] = configuration.text("syslog_name")

    def _allow_utf8(self, wanted: bool) -> None:
        self._handler.utf8 = wanted
        self._handler.strict = is_strict(self._configuration.version)

    def _parse_options(self) -> None:
        line = self._line
        configuration = self._configuration
        for letter, value in options(self._arguments, line.words):
            match letter:
                case "c":
                    line.chroot = True
                case "d":
                    line.attached = True
                case "D":
                    line.debug = True
                case "i":
                    configuration.override(f"max_idle={value}")
                case "l":
                    line.single = True
                case "m":
                    configuration.override(f"max_use={value}")
                case "n":
                    line.service = value
                case "o":
                    configuration.override(value)
                case "r":
                    positive(value, "retirement time")
                case "s":
                    line.sockets = positive(value, "socket_count")
                case "S":
                    line.stdio = True
                case "t":
                    line.transport = value
                case "u":
                    line.unprivileged = True
                case "v":
                    log.verbosity.set(log.verbosity.get() + 1)
                case "V":
                    self._handler.stderr = True
                case "z":
                    line.unlimited = True

    def _final_logging(self) -> None:
        """Tag and destination can change now (step 10)."""
        configuration = self._configuration
        handler = self._handler
        tag = f"{configuration.text('syslog_name')}/{self._program_name}"
        if not configuration.text("maillog_file"):
            os.environ.pop("POSTLOG_SERVICE", None)
            os.environ.pop("POSTLOG_HOSTNAME", None)
            handler.use(tag, Syslog(tag, FACILITIES[configuration.text("syslog_facility")]))
            return
        hostname = configuration.text("myhostname")
        path = f"{configuration.text('queue_directory')}/public/{configuration.text('postlog_service_name')}"
        os.environ["POSTLOG_SERVICE"] = path
        os.environ["POSTLOG_HOSTNAME"] = hostname
        handler.use(tag, Postlog(tag, hostname, path))

    def _check_terminal(self) -> None:
        if self._line.stdio or self._line.attached or not os.isatty(0):
            return
        text = "fatal: do not run this command by hand"
        os.write(2, to_octets(f"{self._program_name}: {text}\n"))
        raise FatalError("do not run this command by hand")

    def _check_transport(self) -> None:
        line = self._line
        if line.stdio:
            return
        if line.transport is None:
            raise FatalError("no transport type specified")
        if line.transport.lower() not in TRANSPORTS:
            raise FatalError(f"unsupported transport type: {line.transport}")

    def _generation(self) -> int:
        from postfix_smtp.daemon.status import generation

        return generation(os.environ.get("GENERATION"))

    def _run_debugger(self) -> None:
        # Evaluated only now, so that it may name what is known by now, the process ID for one
        command = self._configuration.expand(self._configuration.raw("debugger_command") or "")
        if not command:
            raise FatalError("no debugger_command variable set up")
        log.info(f"running: {command}")
        os.system(command)

    def _set_title(self) -> None:
        """What ps(1) shows is what master(8) started, not an interpreter."""
        try:
            import setproctitle
        except ImportError:
            return
        setproctitle.setproctitle(" ".join([self._program_name, *self._arguments]))
        setproctitle.setthreadtitle(self._program_name)

    def _serve(self, generation: int, directory: str) -> None:
        from postfix_smtp.daemon import server
        from postfix_smtp.daemon.capacity import choose_capacity
        from postfix_smtp.daemon.listener import listeners
        from postfix_smtp.daemon.privileges import give_up_root
        from postfix_smtp.daemon.status import StatusChannel
        from postfix_smtp.daemon.watchdog import Watchdog

        line = self._line
        configuration = self._configuration
        transport = (line.transport or "").lower()
        capacity = choose_capacity(configuration, line.service, transport, one_at_a_time=line.single or line.stdio)
        settings = server.ServerSettings(
            service=line.service,
            capacity=capacity,
            max_use=configuration.number("max_use") * capacity,
            max_idle=configuration.seconds("max_idle"),
            ipc_timeout=configuration.seconds("ipc_timeout"),
            deadline=configuration.seconds("daemon_timeout"),
            options_name="sendopts" if configuration.version >= (3, 10) else "smtputf8",
        )
        self._check_name()
        program = self._make_program()
        program.prepare(configuration, line.words)
        user = configuration.text("mail_owner") if line.unprivileged else None
        give_up_root(directory if line.chroot else None, user)
        program.enter()
        if line.stdio:
            asyncio.run(_run(server.serve_once(program, settings)))
            return
        limits.warn_of_few_descriptors()
        _close_on_exec(line.sockets)
        channel = StatusChannel(STATUS_DESCRIPTOR, generation)
        sockets = listeners(transport, line.sockets)
        watchdog = Watchdog(configuration.seconds("daemon_timeout"))
        asyncio.run(_run(server.Server(program, settings, channel, sockets, watchdog).run()))

    def _check_name(self) -> None:
        if self._program_name not in PROGRAMS:
            raise FatalError(f'unexpected process name "{self._program_name}" - specify "smtp" or "lmtp"')


def _close_on_exec(sockets: int) -> None:
    from postfix_smtp.daemon.listener import FIRST_DESCRIPTOR

    for number in FLOW_DESCRIPTORS:
        # Of no use here, so they need not be there
        with contextlib.suppress(OSError):
            os.set_inheritable(number, False)
    for number in chain((STATUS_DESCRIPTOR,), range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + sockets)):
        try:
            os.set_inheritable(number, False)
        except OSError as failure:
            raise FatalError(f"descriptor {number}: {failure.strerror}") from None


async def _run(work: Any) -> None:
    asyncio.get_running_loop().set_exception_handler(_report_accident)
    await work
    sys.stdout.flush()
    # Nothing is left to be said, and unwinding the loop would only take time
    os._exit(0)


def _report_accident(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Something failed outside of any delivery."""
    failure = context.get("exception")
    if isinstance(failure, FatalError):
        die(str(failure))
    if isinstance(failure, PanicError):
        die_panicking(str(failure))
    log.warning(str(context.get("message")))
    if isinstance(failure, BaseException):
        for line in "".join(traceback.format_exception(failure)).splitlines():
            log.warning(line)
