"""``postfix-smtp check``: would the services start?"""

import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from postfix_smtp.admin.executables import DIRECTORY, PROGRAMS, is_ours, library_directories, script, writable_by_others
from postfix_smtp.config.configuration import Configuration
from postfix_smtp.config.installation import CONSTANTS_FILE, Installation, ask, is_current
from postfix_smtp.config.master_cf import Service, services
from postfix_smtp.daemon.main import TRANSPORTS
from postfix_smtp.daemon.options import options, positive
from postfix_smtp.errors import FatalError, PanicError, TableError
from postfix_smtp.text import to_text

_DEPENDENCIES = {"dns": "dnspython", "OpenSSL": "pyOpenSSL", "daemon": "python-daemon", "setproctitle": "setproctitle"}
_LABELS = {logging.WARNING: "warning: ", logging.ERROR: "error: ", logging.CRITICAL: "fatal: "}


class Report:
    """Lines for the operator, and whether one of them is bad news.

    Args:
        write: takes one line.
    """

    def __init__(self, write: Callable[[str], None] = print) -> None:
        self._write = write
        self.failed = False

    def info(self, line: str) -> None:
        """All is well."""
        self._write(line)

    def warning(self, line: str) -> None:
        """It works, but."""
        self._write(f"warning: {line}")

    def error(self, line: str) -> None:
        """It does not work."""
        self.failed = True
        self._write(f"error: {line}")


def check(report: Report, config_directory: Path, daemon_directory: Path, postconf: str) -> None:
    """Look at everything that a start depends on.

    Args:
        report: is told what is found.
        config_directory: of main.cf and master.cf.
        daemon_directory: where the executables are.
        postconf: path of the command that tells the constants of the installed Postfix.
    """
    _check_packages(report)
    _check_executables(report, daemon_directory)
    installation = Installation.of(ask(postconf))
    report.info(f"Postfix {installation.constants['mail_version']}, {config_directory}")
    path = config_directory / "master.cf"
    try:
        found = list(services(to_text(path.read_bytes()), str(path), installation.version))
    except OSError as trouble:
        report.error(f"open {path}: {trouble.strerror}")
        return
    except FatalError as trouble:
        report.error(str(trouble))
        return
    ours = [service for service in found if is_our_command(service.command)]
    if not ours:
        report.warning(f"no service in {path} runs {DIRECTORY}/smtp or {DIRECTORY}/lmtp")
    for service in ours:
        _check_service(report, service, config_directory, installation)


def is_our_command(command: str) -> bool:
    """Whether the command field of master.cf names one of our executables."""
    return os.path.normpath(command) in {f"{DIRECTORY}/{program}" for program in PROGRAMS}


def _check_packages(report: Report) -> None:
    for module, package in _DEPENDENCIES.items():
        if importlib.util.find_spec(module) is None:
            report.error(f"the Python package {package} is not installed")


def _check_executables(report: Report, daemon_directory: Path) -> None:
    target = daemon_directory / DIRECTORY
    expected = script(sys.executable, library_directories())
    for program in PROGRAMS:
        path = target / program
        if not is_ours(path):
            report.error(f"{path} is not there: run postfix-smtp install")
            return
        if path.read_text(encoding="utf-8") != expected:
            report.warning(f"{path} was made for another interpreter or other packages: run postfix-smtp install")
    constants = target / CONSTANTS_FILE
    if not is_ours(constants) or not is_current(to_text(constants.read_bytes())):
        report.warning(f"{constants} is out of date, so each start asks postconf: run postfix-smtp install")
    for place in writable_by_others([str(target), sys.executable, *library_directories()]):
        report.warning(f"{place} is run as root, but somebody else can write to it")


def _check_service(report: Report, service: Service, config_directory: Path, installation: Installation) -> None:
    """Go through the start as far as the configuration is concerned."""
    title = f"{service.name}/{service.type}"
    with _log_to(report, title):
        try:
            configuration = _start(service, config_directory, installation)
        except (FatalError, PanicError, TableError) as failure:
            report.error(f"{title}: fatal: {failure}")
            return
    limit = configuration.number("smtp_process_delivery_limit")
    stated = service.processes
    processes = configuration.number("default_process_limit") if stated is None else stated
    if processes == 1 or (stated and not configuration.is_set("smtp_process_delivery_limit")):
        limit = 1
    report.info(
        f"{title}: {service.command}, {processes or 'any number of'} processes at most, "
        f"{limit} deliveries at once in each"
    )


def _start(service: Service, config_directory: Path, installation: Installation) -> Configuration:
    program = os.path.basename(service.command)
    configuration = Configuration.load(str(config_directory), program, installation=installation)
    words: list[str] = []
    name, transport = program, service.type
    # The arguments of master.cf come last, as on the command line that master(8) makes.
    for letter, value in options(service.argv()[1:], words):
        match letter:
            case "r":
                positive(value, "retirement time")
            case "s":
                positive(value, "socket_count")
            case "t":
                transport = value
            case "n":
                name = value
            case "o":
                configuration.override(value)
            case "i":
                configuration.override(f"max_idle={value}")
            case "m":
                configuration.override(f"max_use={value}")
    configuration.set_service(name)
    configuration.evaluate_global()
    configuration.evaluate_program()
    if transport.lower() not in TRANSPORTS:
        raise FatalError(f"unsupported transport type: {transport}")
    directory = configuration.text("queue_directory")
    try:
        os.chdir(directory)
    except OSError as failure:
        raise FatalError(f'chdir("{directory}"): {failure.strerror}') from None
    from postfix_smtp.delivery.program import DeliveryProgram

    agent = DeliveryProgram()
    agent.prepare(configuration, words)
    agent.enter()
    return configuration


@contextmanager
def _log_to(report: Report, title: str) -> Iterator[None]:
    """Show what a start would log."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            label = _LABELS.get(record.levelno, "")
            line = f"{title}: {label}{record.getMessage()}"
            if record.levelno >= logging.WARNING:
                report.warning(line.replace("warning: ", "", 1))
            else:
                report.info(line)

    logger = logging.getLogger("postfix_smtp")
    handler = Handler()
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.propagate = propagate
        logger.removeHandler(handler)
