"""A machine of one's own for a worker: mounts, network, accounts stay as they are.

Addresses: 127.0.0.0/8, ::1, 192.0.2.1-40, 198.51.100.1-5 and 2001:db8::1-9 are local; 192.0.2.98, 192.0.2.99 and
2001:db8::99 swallow what is sent to them; 203.0.113.0/24 and 2001:db8:dead::/48 are unreachable.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from compat.sidebyside import certificates
from postfix_smtp.admin.executables import PROGRAMS, library_directories, script
from postfix_smtp.config.installation import CONSTANTS_FILE, constants_octets

ROOT = Path(__file__).resolve().parents[2]
SBIN = Path("/usr/lib/postfix/sbin")
#: Postfix's own programs, and ours.
THEIRS = Path("/run/sidebyside/theirs")
OURS = Path("/run/sidebyside/ours")
SCRATCH = Path("/tmp/sidebyside-files")
HOST = "mail.lab.test"
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_MNT_DETACH = 2
_LIBC = ctypes.CDLL(None, use_errno=True)


def command(module: str, arguments: Sequence[str] = ()) -> list[str]:
    """How to run ``python -m module`` in namespaces of its own."""
    spaces = ["--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--mount-proc", "--kill-child"]
    return ["unshare", *spaces, sys.executable, "-m", module, *arguments]


def mount(source: str | os.PathLike[str] | None, target: str | os.PathLike[str], kind: str = "") -> None:
    """Mount a tmpfs (`kind`), or bind `source` to `target`.

    Raises:
        OSError: the kernel does not want to.
    """
    if kind:
        _mount(kind, target, kind, 0, "mode=755")
    else:
        _mount(source, target, None, _MS_BIND | _MS_REC, None)


def _mount(
    source: str | os.PathLike[str] | None,
    target: str | os.PathLike[str],
    kind: str | None,
    flags: int,
    data: str | None,
) -> None:
    def octets(text: str | os.PathLike[str] | None) -> bytes | None:
        return None if text is None else os.fsencode(text)

    if _LIBC.mount(octets(source), octets(target), octets(kind), flags, octets(data)):
        raise OSError(ctypes.get_errno(), f"cannot mount {target}")


def unmount(target: str | os.PathLike[str]) -> None:
    """Unmount as soon as nobody uses it any more."""
    _LIBC.umount2(os.fsencode(target), _MNT_DETACH)


def run(*command: str, text: str | None = None) -> str:
    """Run a command; its output.

    Raises:
        RuntimeError: it failed.
    """
    done = subprocess.run(
        command, input=text or "", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}")
    return done.stdout


def enter() -> None:
    """Make the namespaces' own /etc, /dev, /run, programs and network. The caller is in new namespaces already."""
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE, None)
    SCRATCH.mkdir(exist_ok=True)
    mount(None, SCRATCH, "tmpfs")
    run("cp", "-a", "/etc", f"{SCRATCH}/etc")
    _devices(SCRATCH / "dev")
    # hosts and resolv.conf may be mounts of their own: make them plain files
    for name in ("hosts", "resolv.conf", "mailname", "nsswitch.conf"):
        unmount(f"/etc/{name}")
    mount(SCRATCH / "etc", "/etc")
    mount(SCRATCH / "dev", "/dev")
    databases = ("passwd", "group", "networks", "protocols", "services")
    Path("/etc/resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1 trust-ad\n")
    Path("/etc/nsswitch.conf").write_text(
        "hosts: files dns\n" + "".join(f"{database}: files\n" for database in databases)
    )
    Path("/etc/mailname").write_text("lab.test\n")
    mount(None, "/run", "tmpfs")
    _programs()
    _network()
    run("hostname", HOST)
    certificates.make()


def _devices(directory: Path) -> None:
    directory.mkdir()
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        (directory / name).touch()
        _mount(f"/dev/{name}", directory / name, None, _MS_BIND, None)
    for name in ("shm", "pts"):
        if os.path.isdir(f"/dev/{name}"):
            (directory / name).mkdir()
            _mount(f"/dev/{name}", directory / name, None, _MS_BIND, None)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        (directory / name).symlink_to(f"/proc/self/fd{target}")


def _programs() -> None:
    """Links in the daemon directory, which a scenario can change; and our executables, as they are installed."""
    THEIRS.mkdir(parents=True)
    mount(SBIN, THEIRS)
    mount(None, SBIN, "tmpfs")
    for name in os.listdir(THEIRS):
        (SBIN / name).symlink_to(THEIRS / name)
    OURS.mkdir()
    for name in PROGRAMS:
        (OURS / name).write_text(script(sys.executable, library_directories()))
        (OURS / name).chmod(0o755)
    # the program looks beside the name that it was started by
    for place in (OURS, SBIN):
        (place / CONSTANTS_FILE).write_bytes(constants_octets("/usr/sbin/postconf"))
    # an interpreter below a home directory cannot be read without root, although imports may happen later
    _open_way(Path(sys.executable).resolve(), Path(sys.base_prefix).resolve(), ROOT)


def _open_way(*paths: Path) -> None:
    """Let everybody pass through the directories above `paths`: show them in a tree of their own if they are closed."""
    for path in paths:
        for place in reversed(path.parents):
            if not place.stat().st_mode & 0o001:
                _mirror(place)


def _mirror(place: Path) -> None:
    """Put a directory that all may pass in the place of one that only root may, with the same contents."""
    aside = SCRATCH / f"aside-{place.name}"
    aside.mkdir()
    mount(place, aside)
    mount(None, place, "tmpfs")
    for entry in os.scandir(aside):
        target = place / entry.name
        if entry.is_symlink():
            target.symlink_to(os.readlink(entry.path))
        elif entry.is_dir():
            target.mkdir()
            mount(entry.path, target)
        else:
            target.touch()
            mount(entry.path, target)


def _network() -> None:
    lines = ["link set lo up", "link add link0 type veth peer name link1", "link set link0 up", "link set link1 up"]
    lines += [f"addr add 192.0.2.{number}/24 dev link0" for number in range(1, 41)]
    lines += [f"addr add 198.51.100.{number}/24 dev link0" for number in range(1, 6)]
    lines += [
        "neigh add 192.0.2.99 lladdr 02:00:00:00:00:99 dev link0 nud permanent",
        "neigh add 192.0.2.98 lladdr 02:00:00:00:00:98 dev link0 nud permanent",
        "route add unreachable 203.0.113.0/24",
    ]
    run("ip", "-batch", "-", text="\n".join(lines) + "\n")
    lines = [f"addr add 2001:db8::{number}/64 dev link0 nodad" for number in range(1, 10)]
    lines += [
        "neigh add 2001:db8::99 lladdr 02:00:00:00:00:99 dev link0 nud permanent",
        "route add unreachable 2001:db8:dead::/48",
    ]
    run("ip", "-6", "-batch", "-", text="\n".join(lines) + "\n")


def remove(path: Path) -> None:
    """Remove a file, a directory or nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
