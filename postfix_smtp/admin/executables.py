"""The executables in Postfix's daemon_directory: ``postfix-smtp/smtp`` and ``postfix-smtp/lmtp``.

Each is a short script with an absolute ``#!`` line, so that master.cf can name it, the kernel shows it as ``smtp``, and
no PATH is needed. The interpreter runs it as root before it drops privileges, therefore with ``-I``: neither the
environment, nor the working directory, nor somebody's home directory can put a module in its way. ``-S`` leaves out
the ``site`` module, which saves about 2 ms of some 28 at each start (CPython 3.11) and all that ``.pth`` files may do;
the directories of the packages, those of a virtual environment too, are written into the script instead.
"""

import compileall
import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

from postfix_smtp.config.installation import CONSTANTS_FILE, constants_octets

DIRECTORY = "postfix-smtp"
PROGRAMS = ("smtp", "lmtp")
MARK = "# Made by postfix-smtp install; postfix-smtp uninstall removes it."
# The kernel reads no more of a #! line in old versions.
_LONGEST_FIRST_LINE = 127


class InstallError(Exception):
    """Nothing was done, for the reason given."""


def library_directories() -> list[str]:
    """Where this interpreter finds this package and others, without the standard library."""
    standard = {os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    here = str(Path(__file__).resolve().parents[2])
    directories = [here]
    for entry in sys.path:
        path = os.path.abspath(entry) if entry else ""
        if not path or not os.path.isdir(path) or path in directories:
            continue
        inside = os.path.realpath(path)
        if inside in standard or (
            inside.startswith(tuple(f"{root}/" for root in standard)) and "-packages" not in path
        ):
            continue
        if _holds_packages(path):
            directories.append(path)
    return directories


def _holds_packages(path: str) -> bool:
    """Not the working directory or the directory of a script, which Python puts on its path."""
    return "-packages" in path or any(entry.endswith((".dist-info", ".egg-info")) for entry in os.listdir(path))


def script(interpreter: str, directories: Sequence[str]) -> str:
    """The text of an executable.

    Args:
        interpreter: absolute path of Python.
        directories: for ``sys.path``, after the standard library.

    Raises:
        InstallError: the kernel cannot take the interpreter's path.
    """
    first = f"#!{interpreter} -IS"
    if not os.path.isabs(interpreter) or any(letter.isspace() for letter in interpreter):
        raise InstallError(f"{interpreter} cannot be the interpreter of a script: not absolute, or white space in it")
    if len(os.fsencode(first)) > _LONGEST_FIRST_LINE:
        raise InstallError(f"the path of the interpreter is too long for a script: {interpreter}")
    return (
        f"{first}\n{MARK}\n"
        "import sys\n\n"
        f"sys.path += {list(directories)!r}\n\n"
        "from postfix_smtp.daemon.main import main\n\n"
        "main(sys.argv)\n"
    )


def is_ours(path: Path) -> bool:
    """Whether `path` is something that :func:`install` made."""
    if path.is_symlink() or not path.is_file():
        return False
    if path.name == CONSTANTS_FILE:
        return path.read_bytes().startswith(b"# postconf ")
    return MARK.encode() in path.read_bytes()[:1024]


def install(daemon_directory: Path, postconf: str, interpreter: str = sys.executable) -> list[Path]:
    """Write the executables and the constants file, replacing earlier ones.

    Args:
        daemon_directory: Postfix's.
        postconf: path of the command that tells the constants.
        interpreter: Python, with the packages that this process has.

    Returns:
        The files written.

    Raises:
        InstallError: a file of somebody else is in the way.
        OSError: a file cannot be written.
    """
    if not daemon_directory.is_dir():
        raise InstallError(f"no such directory: {daemon_directory}")
    target = daemon_directory / DIRECTORY
    contents = {name: script(interpreter, library_directories()).encode() for name in PROGRAMS}
    files = {target / name: (text, 0o755) for name, text in contents.items()}
    files[target / CONSTANTS_FILE] = (constants_octets(postconf), 0o644)
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise InstallError(f"{target} is not a directory")
    for path in files:
        if os.path.lexists(path) and not is_ours(path):
            raise InstallError(f"{path} was not made by postfix-smtp; it stays as it is")
    target.mkdir(exist_ok=True)
    target.chmod(0o755)
    for path, (octets, mode) in files.items():
        _write(path, octets, mode)
    # Otherwise the first start of each module compiles it, every time if the directory cannot be written.
    compileall.compile_dir(str(Path(__file__).resolve().parents[1]), quiet=2)
    return list(files)


def _write(path: Path, octets: bytes, mode: int) -> None:
    """Replace `path` in one step: a process may start at any time."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "xb") as file:
            file.write(octets)
            os.fchmod(file.fileno(), mode)
            if os.geteuid() == 0:
                os.fchown(file.fileno(), 0, 0)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def uninstall(daemon_directory: Path) -> list[Path]:
    """Remove what :func:`install` made.

    Returns:
        The files removed.
    """
    target = daemon_directory / DIRECTORY
    removed = []
    for name in (*PROGRAMS, CONSTANTS_FILE):
        if is_ours(target / name):
            (target / name).unlink()
            removed.append(target / name)
    if target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
        target.rmdir()
    return removed


def writable_by_others(paths: Sequence[str]) -> Iterator[str]:
    """Those of `paths`, and of the directories above them, that somebody other than root may change."""
    seen: set[Path] = set()
    for text in paths:
        path = Path(text).resolve()
        for place in (path, *path.parents):
            if place in seen:
                continue
            seen.add(place)
            try:
                status = place.stat()
            except OSError:
                continue
            sticky_directory = place.is_dir() and status.st_mode & 0o1000
            if status.st_uid != 0 or (status.st_mode & 0o022 and not sticky_directory):
                yield str(place)
