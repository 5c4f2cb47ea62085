"""Types that Postfix itself would have to load from a plugin: it may not be there (tables chapter 1)."""

import os
import stat

from postfix_smtp import log
from postfix_smtp.config.access import Parameters
from postfix_smtp.text import to_text

_HINT_SINCE = (3, 8)
_NOT_ROOTS = "file is owned or writable by non-root users"
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Plugins:
    """What ``dynamicmaps.cf`` and the files of ``dynamicmaps.cf.d`` say."""

    def __init__(self, parameters: Parameters) -> None:
        self._version = parameters.version
        directory = parameters.text("meta_directory")
        self._library = parameters.text("shlib_directory")
        path = f"{directory}/dynamicmaps.cf"
        self.used = os.path.exists(path)
        self._files: dict[str, str] = {}
        if self.used:
            self._read(path)
            more = f"{path}.d"
            for name in sorted(os.listdir(more)) if os.path.isdir(more) else ():
                self._read(f"{more}/{name}")

    def refused(self, kind: str, *, known: bool) -> bool:
        """Whether Postfix could not open a table of this type; warns why.

        Args:
            known: this program knows the type.
        """
        file = self._files.get(kind)
        if file is None:
            if not known and self.used and self._version >= _HINT_SINCE:
                log.warning(f"unsupported dictionary type: {kind}. Is the postfix-{kind} package installed?")
            return not known
        problem = _problem(file)
        if problem:
            log.warning(f"unsupported dictionary type: {kind} ({file}: {problem})")
        return bool(problem) or not known

    def _read(self, path: str) -> None:
        problem = _problem(path)
        if problem:
            if problem == _NOT_ROOTS:
                log.warning(f"{path}: {problem} -- skipping this file")
            return
        with open(path, "rb") as source:
            lines = to_text(source.read()).split("\n")
        for line in lines:
            words = line.split()
            if len(words) > 1 and not line.startswith("#"):
                self._files[words[0]] = words[1] if words[1].startswith("/") else f"{self._library}/{words[1]}"


def _problem(path: str) -> str:
    """Why a file must not be used; empty if it may."""
    try:
        status = os.stat(path)
    except OSError as error:
        return str(error.strerror)
    return _NOT_ROOTS if status.st_uid or status.st_mode & _OTHERS_MAY_WRITE else ""
