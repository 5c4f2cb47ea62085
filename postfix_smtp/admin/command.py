"""The command line of ``postfix-smtp``, see postfix-smtp(1)."""

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import postfix_smtp
from postfix_smtp.admin import oauth
from postfix_smtp.admin.executables import DIRECTORY, InstallError, install, uninstall
from postfix_smtp.admin.places import Places
from postfix_smtp.config.master_cf import services
from postfix_smtp.errors import FatalError
from postfix_smtp.text import to_text

_DESCRIPTION = "Install, check or remove the delivery agents smtp and lmtp beside those of the installed Postfix."
_INTERRUPTED = 130
_INSTALLED = """\
Use them in {master_cf} by their names below daemon_directory, for instance:

    smtp      unix  -       -       n       -       -       {directory}/smtp
    lmtp      unix  -       -       n       -       -       {directory}/lmtp

then run "postfix-smtp check" and "postfix reload"."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status: 0 well, 1 trouble, 2 wrong usage."""
    arguments = _parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What comes from files need not be text in the encoding of the terminal
            stream.reconfigure(errors="backslashreplace")
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except EOFError:
        print("postfix-smtp: no more input", file=sys.stderr)
    except (InstallError, FatalError) as trouble:
        print(f"postfix-smtp: {trouble}", file=sys.stderr)
    except OSError as trouble:
        where = f" {trouble.filename}" if trouble.filename else ""
        print(f"postfix-smtp:{where}: {trouble.strerror}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="postfix-smtp", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"postfix-smtp {postfix_smtp.__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config-directory", metavar="DIR", help="where main.cf and master.cf are")
    common.add_argument("--daemon-directory", metavar="DIR", help="Postfix's daemon_directory")
    common.add_argument("--postconf", metavar="FILE", help="path of postconf(1)")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    command = commands.add_parser("install", parents=[common], help="put the executables below daemon_directory")
    command.set_defaults(run=_install)
    command = commands.add_parser("uninstall", parents=[common], help="remove the executables")
    command.add_argument("--force", action="store_true", help="even if master.cf uses them")
    command.set_defaults(run=_uninstall)
    command = commands.add_parser("check", parents=[common], help="tell whether the services would start")
    command.set_defaults(run=_check)
    command = commands.add_parser("oauth", help="OAuth2 accounts: log in, show their state, try them")
    oauth.add_commands(command, common)
    return parser


def _install(arguments: argparse.Namespace) -> int:
    places = Places(arguments)
    for path in install(places.daemon_directory, places.postconf):
        print(path)
    print(_INSTALLED.format(master_cf=places.config_directory / "master.cf", directory=DIRECTORY))
    return 0


def _uninstall(arguments: argparse.Namespace) -> int:
    places = Places(arguments)
    if not arguments.force and (users := _users(places.config_directory / "master.cf")):
        raise InstallError(f"still used by the services {', '.join(users)}; see option --force")
    for path in uninstall(places.daemon_directory):
        print(f"removed {path}")
    return 0


def _users(master_cf: Path) -> list[str]:
    """The services that run our executables."""
    from postfix_smtp.admin.check import is_our_command

    try:
        text = to_text(master_cf.read_bytes())
    except FileNotFoundError:
        return []
    found = services(text, str(master_cf), (3, 7))
    return [f"{service.name}/{service.type}" for service in found if is_our_command(service.command)]


def _check(arguments: argparse.Namespace) -> int:
    from postfix_smtp.admin.check import Report, check

    places = Places(arguments)
    report = Report()
    check(report, places.config_directory, places.daemon_directory, places.postconf)
    return int(report.failed)


if __name__ == "__main__":
    sys.exit(main())
