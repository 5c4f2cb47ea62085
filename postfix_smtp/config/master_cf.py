"""master.cf (config chapter 11): the entries, and the command line that master(8) makes of one.

The program itself only looks for its own entry; the rest serves the operator's command and an emulated master(8).
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from postfix_smtp.config.lines import BLANK, WHITE, logical_lines
from postfix_smtp.errors import FatalError
from postfix_smtp.text import to_text

TYPES = frozenset(("inet", "unix", "unix-dgram", "fifo", "pass"))


@dataclass(frozen=True, slots=True)
class Service:
    """One entry.

    Attributes:
        line: number of its first line.
        chroot: None: the default, which depends on the compatibility level.
        wakeup: seconds, 0: never.
        wakeup_always: False: only if the service has been used (``60?``).
        processes: the limit, 0: none; None: ``default_process_limit``.
        command: as written; the program is ``$daemon_directory/command``.
        arguments: the words after it, braces taken off.
    """

    line: int
    name: str
    type: str
    private: bool
    unprivileged: bool
    chroot: bool | None
    wakeup: int
    wakeup_always: bool
    processes: int | None
    command: str
    arguments: tuple[str, ...]

    def argv(
        self,
        *,
        chroot_default: bool = False,
        default_process_limit: int = 100,
        verbose: bool = False,
        attached: bool = False,
        stress: str | None = None,
        sockets: int = 1,
    ) -> list[str]:
        """The argument vector with which master(8) starts a process of this service.

        Args:
            chroot_default: what ``-`` means: true below compatibility level 1.
            verbose: master runs with ``-v``.
            attached: master runs with ``-d``.
            stress: text of ``-o stress=``, for services that the network reaches and that may have several processes.
            sockets: number of listening sockets.
        """
        processes = default_process_limit if self.processes is None else self.processes
        argv = [self.command]
        if processes == 1:
            argv.append("-l")
        elif processes == 0:
            argv.append("-z")
        if os.path.basename(self.command) != self.name:
            argv += ["-n", self.name]
        argv += ["-t", self.type]
        if attached:
            argv.append("-d")
        if verbose:
            argv.append("-v")
        if self.unprivileged:
            argv.append("-u")
        if chroot_default if self.chroot is None else self.chroot:
            argv.append("-c")
        if stress is not None:
            argv += ["-o", f"stress={stress}"]
        if sockets > 1:
            argv += ["-s", str(sockets)]
        return [*argv, *self.arguments]


def services(text: str, path: str, version: tuple[int, ...]) -> Iterator[Service]:
    """The entries of a master.cf, in their order.

    Args:
        text: the whole file.
        path: for messages.
        version: the Postfix release whose warnings are given.

    Raises:
        FatalError: an entry has an error.
    """
    for number, line in logical_lines(text, path, version):
        yield _Fields(line, f"{path}: line {number}").service(number)


def own_process_limit(directory: str, name: str, transport: str, version: tuple[int, ...] = (3, 7)) -> int | None:
    """The process limit that master.cf states for a service.

    Args:
        directory: of master.cf.
        name: service name as written in master.cf.
        transport: its type.

    Returns:
        The number (0: no limit); None if it says ``-``, if there is no such entry, or no readable master.cf: the
        program can be started without master(8).
    """
    path = f"{directory}/master.cf"
    try:
        with open(path, "rb") as file:
            text = to_text(file.read())
    except OSError:
        return None
    limit = None
    # Only this entry is looked into: what is wrong with others is master's affair.
    for number, line in logical_lines(text, path, version):
        words = line.split(None, 2)
        if words[:2] == [name, transport]:
            limit = _Fields(line, f"{path}: line {number}").service(number).processes
    return limit


class _Fields:
    """Takes the fields off one logical line."""

    def __init__(self, line: str, where: str) -> None:
        self._rest = line
        self._where = where

    def service(self, number: int) -> Service:
        name = self._field("service name")
        kind = self._field("transport type")
        if kind == "-":
            raise self._error('field "transport type" has no default value')
        if kind not in TYPES:
            raise self._error(f"bad transport type: {kind}")
        private = self._flag("private", True)
        if kind == "inet" and private:
            raise self._error("inet service cannot be private")
        unprivileged = self._flag("unprivileged", True)
        chroot = self._flag("chroot", None)
        wakeup, wakeup_always = self._wakeup()
        processes = self._processes()
        command = self._field("command")
        if command == "-":
            raise self._error('field "command" has no default value')
        return Service(
            line=number,
            name=name,
            type=kind,
            private=bool(private),
            unprivileged=bool(unprivileged),
            chroot=chroot,
            wakeup=wakeup,
            wakeup_always=wakeup_always,
            processes=processes,
            command=command,
            arguments=tuple(self._arguments()),
        )

    def _error(self, text: str) -> FatalError:
        return FatalError(f"{self._where}: {text}")

    def _field(self, title: str) -> str:
        rest = self._rest.lstrip(BLANK)
        end = 0
        while end < len(rest) and rest[end] not in BLANK:
            end += 1
        if not end:
            raise self._error(f'missing "{title}" field')
        self._rest = rest[end:]
        return rest[:end]

    def _flag(self, title: str, default: bool | None) -> bool | None:
        value = self._field(title)
        if value not in ("y", "n", "-"):
            raise self._error(f'field "{title}": bad value: "{value}"')
        return default if value == "-" else value == "y"

    def _wakeup(self) -> tuple[int, bool]:
        value = self._field("wakeup_time")
        if value == "-":
            return 0, True
        digits = value.removesuffix("?")
        if not _is_number(digits):
            raise self._error(f'field "wakeup_time": bad value: "{value}"')
        return int(digits), digits == value

    def _processes(self) -> int | None:
        value = self._field("max_proc")
        if value == "-":
            return None
        if not _is_number(value):
            raise self._error(f'field "max_proc": bad value: "{value}"')
        return int(value)

    def _arguments(self) -> Iterable[str]:
        """The rest of the line as words: separators inside balanced braces do not count, braces around a word go."""
        rest = self._rest
        position, end = 0, len(rest)
        while True:
            while position < end and rest[position] in BLANK:
                position += 1
            if position == end:
                return
            start, depth = position, 0
            while position < end and (depth > 0 or rest[position] not in BLANK):
                depth += {"{": 1, "}": -1}.get(rest[position], 0)
                position += 1
            word = rest[start:position]
            yield self._without_braces(word) if word[0] == "{" else word

    def _without_braces(self, word: str) -> str:
        depth = 0
        for place, letter in enumerate(word):
            depth += {"{": 1, "}": -1}.get(letter, 0)
            if depth == 0:
                if word[place + 1 :].strip(WHITE):
                    raise self._error(f"syntax error after '}}' in \"{word}\"")
                return word[1:place].strip(WHITE)
        raise self._error(f"missing '}}' in \"{word}\"")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
