"""Real database servers for the tests of tables: MariaDB, PostgreSQL, OpenLDAP.

Each runs as an unprivileged user in a directory of its own, listens on loopback and there only, and is ended with the
context.
"""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from compat.ports import ReservedPort

_USER = "nobody"
_PATIENCE = 30.0
_PATHS = ["/usr/sbin", "/usr/bin", *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]


def program(name: str) -> str | None:
    """Where an installed program is."""
    return shutil.which(name, path=":".join(_PATHS))


def installed(*names: str) -> bool:
    """Whether all these programs are there."""
    return all(program(name) for name in names)


def _command(name: str, *arguments: str) -> list[str]:
    path = program(name)
    assert path is not None
    return [path, *arguments]


def _run(command: Sequence[str], given: str = "") -> None:
    done = subprocess.run(command, input=given.encode(), capture_output=True, user=_user(), cwd="/", timeout=120)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stdout.decode()}{done.stderr.decode()}")


def _user() -> str | None:
    return _USER if os.getuid() == 0 else None


@contextlib.contextmanager
def _running(
    command: Sequence[str], directory: Path, port: int, ready: Callable[[], bool] = lambda: True
) -> Iterator[None]:
    """A server, as soon as it accepts connections and is `ready` for queries."""
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, user=_user(), cwd="/")
    try:
        deadline = time.monotonic() + _PATIENCE
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                if ready():
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((directory / "log").read_text(errors="replace"))
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(_PATIENCE)


def _own(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    if os.getuid() == 0:
        user = pwd.getpwnam(_USER)
        os.chown(directory, user.pw_uid, user.pw_gid)
        for parent in directory.parents:
            if parent == parent.parent or parent == Path("/tmp"):
                break
            parent.chmod(parent.stat().st_mode | 0o011)


@contextlib.contextmanager
def mariadb(directory: Path, script: str) -> Iterator[int]:
    """A MariaDB server with the database ``mail`` made by `script`; user ``postfix``, password ``secret``. Its port."""
    _own(directory)
    data = directory / "data"
    reserved = ReservedPort()
    port = reserved.number
    _run(
        _command("mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal")
    )
    start = directory / "start.sql"
    start.write_text(
        "SET NAMES utf8mb4;\nCREATE DATABASE mail CHARACTER SET utf8mb4;\nUSE mail;\n"
        f"{script}\nCREATE USER postfix@localhost IDENTIFIED BY 'secret';\n"
        "CREATE USER postfix@'127.0.0.1' IDENTIFIED BY 'secret';\n"
        "GRANT ALL ON mail.* TO postfix@localhost;\nGRANT ALL ON mail.* TO postfix@'127.0.0.1';\n"
    )
    command = _command(
        "mariadbd",
        *("--no-defaults", f"--datadir={data}", f"--socket={directory}/socket", f"--port={port}"),
        *("--bind-address=127.0.0.1", f"--pid-file={directory}/pid", f"--init-file={start}", "--skip-name-resolve"),
        *("--innodb-buffer-pool-size=8M", "--skip-log-bin"),
    )
    with reserved, _running(command, directory, port):
        yield port


@contextlib.contextmanager
def postgresql(directory: Path, script: str) -> Iterator[int]:
    """A PostgreSQL server with the database ``mail`` made by `script`; user ``postfix``. Its port."""
    _own(directory)
    data = directory / "data"
    reserved = ReservedPort()
    port = reserved.number
    _run(_command("initdb", "-D", str(data), "-U", "postfix", "--auth=trust", "-E", "UTF8", "--locale=C"))
    single = _command("postgres", "--single", "-j", "-D", str(data))
    _run([*single, "postgres"], "CREATE DATABASE mail;\n\n")
    _run([*single, "mail"], script.replace(";\n", ";\n\n"))
    command = _command("postgres", "-D", str(data), "-p", str(port), "-k", str(directory), "-h", "127.0.0.1")
    # It accepts connections while it still refuses all queries
    status = data / "postmaster.pid"
    with reserved, _running(command, directory, port, lambda: "ready" in status.read_text().split()):
        yield port


@contextlib.contextmanager
def openldap(directory: Path, ldif: str) -> Iterator[int]:
    """An OpenLDAP server for ``dc=example`` filled from `ldif`; its port. ``cn=admin,dc=example`` has ``secret``."""
    _own(directory)
    data = directory / "data"
    reserved = ReservedPort()
    port = reserved.number
    _own(data)
    configuration = directory / "slapd.conf"
    configuration.write_text(
        "".join(f"include /etc/ldap/schema/{name}.schema\n" for name in ("core", "cosine", "inetorgperson"))
        + "modulepath /usr/lib/ldap\nmoduleload back_mdb\n"
        + f"pidfile {directory}/pid\nallow bind_v2\n"
        + "database mdb\nmaxsize 10485760\nsuffix dc=example\nrootdn cn=admin,dc=example\nrootpw secret\n"
        + f"directory {data}\naccess to * by * read\n"
    )
    (directory / "ldif").write_text(ldif)
    _run(_command("slapadd", "-f", str(configuration), "-l", str(directory / "ldif")))
    command = _command("slapd", "-f", str(configuration), "-h", f"ldap://127.0.0.1:{port}/", "-d", "0")
    with reserved, _running(command, directory, port):
        yield port
