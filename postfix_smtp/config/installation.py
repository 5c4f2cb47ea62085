"""What is built into the installed Postfix: its version, and defaults that every packager sets (config chapter 8.1).

Asking ``postconf -d`` costs about 10 ms and one process, so ``postfix-smtp install`` keeps the answer beside the
executables, together with what identifies the postconf file it came from. Modification times alone would not do:
package managers give an upgraded file the time of its build, which may lie before the installation of this program.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from postfix_smtp.errors import FatalError
from postfix_smtp.text import to_octets, to_text

CONSTANTS_FILE = "constants"
CONSTANTS_VARIABLE = "POSTFIX_SMTP_CONSTANTS"
POSTCONF_PLACES = ("/usr/sbin/postconf", "/usr/local/sbin/postconf", "/usr/local/bin/postconf", "/usr/bin/postconf")

_UPSTREAM = {
    "mail_version": "3.7.11",
    "mail_release_date": "20240304",
    "config_directory": "/etc/postfix",
    "command_directory": "/usr/sbin",
    "daemon_directory": "/usr/libexec/postfix",
    "data_directory": "/var/lib/postfix",
    "meta_directory": "/etc/postfix",
    "queue_directory": "/var/spool/postfix",
    "shlib_directory": "/usr/lib/postfix",
    "mail_owner": "postfix",
    "setgid_group": "postdrop",
}
# The key exchange groups depend on the OpenSSL that Postfix was built with, too (3.11).
_ASKED = (
    *_UPSTREAM,
    "default_database_type",
    "default_cache_db_type",
    "openssl_path",
    "tls_eecdh_auto_curves",
    "tls_ffdhe_auto_groups",
    *(f"{program}_address_preference" for program in ("smtp", "lmtp")),
    *(f"{program}_connection_cache_on_demand" for program in ("smtp", "lmtp")),
)
_DEBIAN_DAEMON_DIRECTORY = "/usr/lib/postfix/sbin"
_STAMP = "# postconf "


@dataclass(frozen=True, slots=True)
class Installation:
    """Constants of the Postfix that this process works for.

    Attributes:
        constants: by parameter name; names that this Postfix does not know are absent.
        version: (3, 7, 11).
    """

    constants: Mapping[str, str]
    version: tuple[int, ...]

    @classmethod
    def of(cls, constants: Mapping[str, str]) -> "Installation":
        """Upstream's constants, and `constants` instead where given."""
        merged = {**_UPSTREAM, **constants}
        return cls(merged, version_tuple(merged["mail_version"]))

    @property
    def myorigin_may_name_a_file(self) -> bool:
        """Debian's builds read the origin from the file that ``myorigin = /path`` names; known by their directories."""
        return self.constants["daemon_directory"] == _DEBIAN_DAEMON_DIRECTORY

    @classmethod
    def find(cls, executable_directory: str | None = None) -> "Installation":
        """The installed Postfix: from the constants file if there is one that is up to date, else from postconf.

        Args:
            executable_directory: where the running program lies; its constants file lies there too.
        """
        if path := os.environ.get(CONSTANTS_VARIABLE):
            if constants := _from_file(path):
                return cls.of(constants)
        elif executable_directory and (constants := _from_file(os.path.join(executable_directory, CONSTANTS_FILE))):
            return cls.of(constants)
        postconf = find_postconf()
        return cls.of(ask(postconf) if postconf else {})


def version_tuple(text: str) -> tuple[int, ...]:
    """``3.7.11`` as (3, 7, 11); of ``3.11-20250801`` only the release counts."""
    numbers = []
    for part in text.split("-")[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def find_postconf(places: Iterable[str] = POSTCONF_PLACES) -> str | None:
    """The path of postconf(1), if Postfix is installed in a usual place. (There is no PATH under master(8).)"""
    return next((path for path in places if os.access(path, os.X_OK)), None)


def ask(postconf: str) -> dict[str, str]:
    """The built-in constants according to postconf.

    Raises:
        FatalError: postconf does not work.
    """
    # Not subprocess: its import costs more than the rest of the start.
    reading, writing = os.pipe()
    actions = [
        (os.POSIX_SPAWN_DUP2, writing, 1),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    try:
        pid = os.posix_spawn(postconf, [postconf, "-d", *_ASKED], {}, file_actions=actions)
    except OSError as trouble:
        os.close(reading)
        raise FatalError(f"cannot run {postconf}: {trouble.strerror}") from None
    finally:
        os.close(writing)
    with open(reading, "rb") as output:
        text = to_text(output.read())
    os.waitpid(pid, 0)
    constants = _settings(text)
    if "mail_version" not in constants:
        raise FatalError(f"{postconf} -d does not tell the version of Postfix")
    return constants


def constants_text(postconf: str, constants: Mapping[str, str]) -> str:
    """The contents of a constants file, for :meth:`Installation.find`."""
    lines = [_STAMP + _identity(postconf)]
    lines += [f"{name} = {value}" for name, value in constants.items()]
    return "\n".join(lines) + "\n"


def is_current(text: str) -> bool:
    """Whether a constants file still describes the postconf that it names."""
    stamp = text.partition("\n")[0]
    if not stamp.startswith(_STAMP):
        return True
    stamp = stamp[len(_STAMP) :]
    try:
        return stamp == _identity(stamp.split(" ")[-1])
    except OSError:
        return False


def _identity(path: str) -> str:
    status = os.stat(path)
    return f"{status.st_dev}:{status.st_ino} {status.st_size} {status.st_mtime_ns} {path}"


def _from_file(path: str) -> dict[str, str] | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        text = to_text(file.read())
    return _settings(text) if is_current(text) else None


def _settings(text: str) -> dict[str, str]:
    settings: dict[str, str] = {}
    name = ""
    for line in text.split("\n"):
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t") and name:
            settings[name] += " " + line.strip()
            continue
        name, equals, value = line.partition(" =")
        if equals:
            settings[name] = value.strip()
    return settings


def constants_octets(postconf: str) -> bytes:
    """A new constants file for `postconf`, to be written."""
    return to_octets(constants_text(postconf, ask(postconf)))
