"""A private network: a namespace with its own loopback addresses, resolver configuration and privileged ports.

``run`` starts a module of this project in new network and mount namespaces. Root is not needed where the kernel lets
ordinary users make namespaces. Inside, ``enter`` brings the loopback interface up and puts files of the scenario in
the place of those below /etc.
"""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCGIFINDEX = 0x8914, 0x8916, 0x8933
_IFF_UP_RUNNING = 0x1 | 0x40
_OUTSIDE = "POSTFIX_SMTP_NAMESPACES_OUTSIDE"  #: in the environment: the namespaces of who called :func:`run`


def command(module: str, arguments: Sequence[str] = ()) -> list[str]:
    """How to run ``python -m module`` in namespaces of its own."""
    maps = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *maps, "--net", "--mount", "--kill-child", "--fork", sys.executable, "-m", module, *arguments]


def available() -> bool:
    """Whether namespaces can be made here."""
    probe = [*command("this")[:-3], "true"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def run(module: str, arguments: Sequence[str] = (), timeout: float = 600) -> str:
    """Run a module and return its standard output.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    done = subprocess.run(
        command(module, arguments),
        cwd=ROOT,
        env={**os.environ, _OUTSIDE: _namespaces()},
        stdout=subprocess.PIPE,
        text=True,
        timeout=timeout,
        check=True,
    )
    return done.stdout


def _namespaces() -> str:
    """Which network and mounts this process sees."""
    return " ".join(os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "mnt"))


def enter(ipv4: Sequence[str], ipv6: Sequence[str], files: Mapping[str, str]) -> None:
    """Set up the namespaces this process is in.

    Args:
        ipv4, ipv6: addresses for the loopback interface, beside its own.
        files: content by path below /etc; only files that exist can be replaced.

    Raises:
        RuntimeError: it was not started by :func:`run`, or the namespaces are those of the machine.
    """
    outside = os.environ.get(_OUTSIDE, "").split()
    if not outside or set(outside) & set(_namespaces().split()):
        raise RuntimeError("not in namespaces of its own: this would change the machine")
    _mount(None, "/", _MS_REC | _MS_PRIVATE)
    # What is mounted stays, with no name left outside
    with tempfile.TemporaryDirectory(prefix="namespace-") as scratch:
        for number, (path, content) in enumerate(files.items()):
            replacement = Path(scratch, str(number))
            replacement.write_text(content)
            if os.path.islink(path):
                path = os.path.realpath(path)
            if os.path.exists(path):
                _mount(str(replacement), path, _MS_BIND)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP_RUNNING))
        index = struct.unpack("16si", fcntl.ioctl(control, _SIOCGIFINDEX, struct.pack("16si", b"lo", 0)))[1]
        for number, address in enumerate(ipv4, 1):
            name = f"lo:{number}".encode()
            packed = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(control, _SIOCSIFADDR, struct.pack("16s16s", name, packed))
    if ipv6:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as control:
            for address in ipv6:
                packed = struct.pack("16sIi", socket.inet_pton(socket.AF_INET6, address), 128, index)
                fcntl.ioctl(control, _SIOCSIFADDR, packed)


def replace_file(path: str, content: str) -> None:
    """Change a file that :func:`enter` has put in place."""
    Path(path).write_text(content)


def _mount(source: str | None, target: str, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source and source.encode(), target.encode(), None, flags, None):
        error = ctypes.get_errno()
        raise OSError(error, f"mount {target}: {os.strerror(error)}")
