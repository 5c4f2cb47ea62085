"""main.cf: the dictionary of unexpanded settings (config chapters 1 and 2)."""

import os
import time
from collections.abc import Callable

from postfix_smtp import log
from postfix_smtp.config.lines import logical_lines, split_assignment
from postfix_smtp.errors import FatalError
from postfix_smtp.text import to_text


def read(path: str, sleep: Callable[[float], None] = time.sleep) -> str:
    """The text of a configuration file that nobody is writing at the moment.

    A file changed less than about a second ago may not be complete: it is read again until it is older. (Postfix reads
    it at least once more and logs its warnings each time; here only the text that counts is parsed.)

    Raises:
        FatalError: the file cannot be read.
    """
    while True:
        began = int(time.time())
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as trouble:
            raise FatalError(f"open {path}: {trouble.strerror}") from None
        try:
            chunks = []
            while chunk := os.read(descriptor, 1 << 18):
                chunks.append(chunk)
            modified = int(os.fstat(descriptor).st_mtime)
        except OSError as trouble:
            raise FatalError(f"read {path}: {trouble.strerror}") from None
        finally:
            os.close(descriptor)
        if modified < began - 1 or modified > int(time.time()):
            return to_text(b"".join(chunks))
        sleep(0.3)


def parse(text: str, path: str, dictionary: dict[str, str], version: tuple[int, ...]) -> None:
    """Enter the settings of `text` in `dictionary`; a later one replaces an earlier one.

    Raises:
        FatalError: a line is not of the form ``name = value``.
    """
    for number, line in logical_lines(text, path, version):
        setting = split_assignment(line)
        if isinstance(setting, str):
            raise FatalError(f'{path}, line {number}: {setting}: "{line}"')
        name, value = setting
        earlier = dictionary.get(name)
        if earlier is not None and earlier != value:
            log.warning(f"{path}, line {number}: overriding earlier entry: {name}={earlier}")
        dictionary[name] = value
