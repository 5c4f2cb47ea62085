"""Programs of Debian packages that cannot be installed because they conflict with Postfix: unpacked beside it.

A package is fetched with apt-get(8), together with the libraries that are not installed here, and unpacked into a
cache directory. Nothing of the machine changes.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

_PATIENCE = 120


class Unavailable(Exception):
    """A package cannot be had here."""


def unpacked(package: str) -> Path:
    """The tree of a package and of the libraries it needs.

    Raises:
        Unavailable: it cannot be fetched.
    """
    if missing := [name for name in ("apt-get", "dpkg-deb", "dpkg-query") if shutil.which(name) is None]:
        raise Unavailable(f"{package} cannot be fetched without {missing[0]}")
    place = _cache() / package
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
            tree = Path(scratch) / "tree"
            _fetch(package, Path(scratch), tree)
            tree.chmod(0o755)
            try:
                tree.rename(place)
            except OSError:
                # another process was faster
                if not place.exists():
                    raise
    return place


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "postfix-smtp" / "packages"


def _fetch(package: str, scratch: Path, tree: Path) -> None:
    wanted, seen = [package], {package}
    while wanted:
        name = wanted.pop()
        archive = _download(name, scratch)
        _run(["dpkg-deb", "-x", str(archive), str(tree)])
        for library in _libraries(_run(["dpkg-deb", "-f", str(archive), "Depends"])):
            if library not in seen and not _is_installed(library):
                wanted.append(library)
                seen.add(library)


def _libraries(depends: str) -> list[str]:
    """Names of libraries in a Depends field, the first alternative of each."""
    names = (re.match(r"[a-z0-9.+-]+", term.strip()) for term in depends.split(","))
    return [found[0] for found in names if found and found[0].startswith("lib")]


def _is_installed(name: str) -> bool:
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}\n", name], capture_output=True, text=True, check=False
    )
    return "installed" in done.stdout.split()


def _download(name: str, directory: Path) -> Path:
    # apt's own unprivileged user cannot write here
    command = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", name]
    try:
        _run(command, directory)
    except Unavailable:
        if os.geteuid() != 0:
            raise
        _run(["apt-get", "-qq", "update"])
        _run(command, directory)
    return next(directory.glob(f"{name}_*.deb"))


def _run(command: Sequence[str], directory: Path | None = None) -> str:
    try:
        done = subprocess.run(
            command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{' '.join(command)}: {error}") from error
    if done.returncode:
        raise Unavailable(f"{' '.join(command)}: {done.stdout}")
    return done.stdout
