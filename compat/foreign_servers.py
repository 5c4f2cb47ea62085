"""Mail servers of other makes, with other TLS libraries or other uses of them: Exim (GnuTLS), Sendmail, OpenSMTPD.

Each runs in a mount namespace of its own, in which the accounts that it insists on exist and the places where it wants
to write are its own; the network is the machine's. Needs root and the packages of :mod:`compat.debian_packages`.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from compat.debian_packages import unpacked
from compat.ports import ReservedPort

_TIMEOUT = 20.0
_FIRST_ACCOUNT = 60101  #: numbers that no account of the machine should have

#: With its first process all others end.
_NAMESPACES = ("unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child")
#: Runs in new mount and host name namespaces: $1 the server's directory, $2 the unpacked package; the rest is the
#: command. /mnt becomes the server's directory.
_PROLOGUE = """\
set -e
for name in passwd group hosts; do mount --bind "$1/$name" "/etc/$name"; done
hostname mx.example.com
mount --bind "$2" "$1/tree"
mount --bind "$1" /mnt
mount --bind "$1/tree" /mnt/tree
shift 2
LD_LIBRARY_PATH=$(echo /mnt/tree/usr/lib/*-linux-gnu):$(echo /mnt/tree/lib/*-linux-gnu)
export LD_LIBRARY_PATH
"""

_EXIM = """\
primary_hostname = mx.example.com
spool_directory = /mnt/spool
log_file_path = /mnt/spool/%slog
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
tls_advertise_hosts = *
tls_certificate = /mnt/cert.pem
tls_privatekey = /mnt/key.pem
tls_verify_certificates = /mnt/ca.pem
tls_try_verify_hosts = *
tls_resumption_hosts = *
tls_require_ciphers = NORMAL{priority}
chunking_advertise_hosts = *
pipelining_advertise_hosts = *
queue_only = true
host_lookup =
rfc1413_hosts =
keep_environment =
message_size_limit = 100M
acl_smtp_rcpt = accept
acl_smtp_data = accept
log_selector = +tls_peerdn +tls_sni +tls_resumption +pipelining +smtp_connection
"""

_SENDMAIL = """\
V10/Berkeley
Djmx.example.com
DnMAILER-DAEMON
O QueueDirectory=/mnt/spool
O PidFile=/mnt/spool/pid
O DaemonPortOptions=Name=MTA, Port={port}, Addr=127.0.0.1
O DeliveryMode=queueonly
O SmtpGreetingMessage=$j Sendmail; $b
O OperatorChars=.:%@!^/[]+
O TempFileMode=0600
O ServerCertFile=/mnt/cert.pem
O ServerKeyFile=/mnt/key.pem
O CACertFile=/mnt/ca.pem
O CACertPath=/mnt
O ServerSSLOptions={options}
O Timeout.ident=0
O RefuseLA=1000
O QueueLA=1000
HReceived: by $j version=${{tls_version}} cipher=${{cipher}} verify=${{verify}} id $i; $b
S3
R$* < $+ > $*\t$2
S4
S0
R$+\t$#local $: $1
S2
S1
Mlocal,\tP=/bin/true, F=lsDFMq, S=1, R=2, T=DNS/RFC822/SMTP, A=true $u
Mprog,\tP=/bin/true, F=lsDFMoqeu9, S=1, R=2, T=DNS/RFC822/X-Unix, A=true
"""

_OPENSMTPD = """\
pki "mx.example.com" cert "/mnt/cert.pem"
pki "mx.example.com" key "/mnt/key.pem"
listen on 127.0.0.1 port {port} tls pki "mx.example.com" hostname "mx.example.com"
action "keep" maildir "/mnt/spool" virtual {{ "@" = "keeper" }}
match from any for any action "keep"
"""


class ForeignServer:
    """One server. A context manager.

    Args:
        certificate, key, authorities: PEM files.
        tls13: TLS 1.3 is allowed.

    Attributes:
        port: of 127.0.0.1.
        directory: is /mnt for the server.
    """

    package: ClassVar[str]
    accounts: ClassVar[tuple[str, ...]]
    configuration: ClassVar[str]
    preparation: ClassVar[str] = ""  #: further commands for the namespace
    command: ClassVar[str]

    def __init__(self, certificate: Path, key: Path, authorities: Path, *, tls13: bool = True) -> None:
        self._tree = unpacked(self.package)
        self._tls13 = tls13
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.package}-"))
        self.directory.chmod(0o755)
        self._reserved = ReservedPort()
        self.port = self._reserved.number
        for name, source in (("cert", certificate), ("key", key), ("ca", authorities)):
            shutil.copy(source, self.directory / f"{name}.pem")
        for name in ("tree", "spool"):
            (self.directory / name).mkdir()
        (self.directory / "spool").chmod(0o700)
        (self.directory / "configuration").write_text(self._configuration())
        (self.directory / "hosts").write_text("127.0.0.1 mx.example.com localhost\n")
        self._write_accounts()
        self._process: subprocess.Popen[bytes] | None = None

    def _configuration(self) -> str:
        return self.configuration.format(port=self.port)

    def _write_accounts(self) -> None:
        passwd, group = Path("/etc/passwd").read_text(), Path("/etc/group").read_text()
        for number, name in enumerate(self.accounts, _FIRST_ACCOUNT):
            passwd += f"{name}:x:{number}:{number}::/nonexistent:/bin/false\n"
            group += f"{name}:x:{number}:\n"
        (self.directory / "passwd").write_text(passwd)
        (self.directory / "group").write_text(group)
        for name in ("key.pem", "spool"):
            os.chown(self.directory / name, *self._owner())
        (self.directory / "key.pem").chmod(0o600)

    def _owner(self) -> tuple[int, int]:
        """Of the key and of what is received."""
        return 0, 0

    def __enter__(self) -> Self:
        script = f"{_PROLOGUE}{self.preparation}exec {self.command}\n"
        with open(self.directory / "output", "wb") as output:
            self._process = subprocess.Popen(
                [*_NAMESPACES, "sh", "-c", script, "sh", str(self.directory), str(self._tree)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + _TIMEOUT
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                    connection.settimeout(_TIMEOUT)
                    connection.recv(1)
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.__exit__(None, None, None)
                    raise RuntimeError(f"{self.package} does not start: {self.log}") from None
                time.sleep(0.02)
            else:
                return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._output = self.log
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reserved.release()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def nexthop(self) -> str:
        """This server as a destination."""
        return f"[127.0.0.1]:{self.port}"

    @property
    def log(self) -> str:
        """What it wrote to its log and to its output."""
        files = [self.directory / "output", self.directory / "spool/mainlog"]
        return "".join(path.read_text(errors="replace") for path in files if path.exists())

    def bodies(self) -> list[bytes]:
        """The bodies of the messages received, in any order; line ends are LF."""
        raise NotImplementedError

    def traces(self) -> list[str]:
        """What it noted of the connection of each message, in any order."""
        raise NotImplementedError

    def wait(self, count: int) -> list[bytes]:
        """The bodies, as soon as so many messages have arrived in their place.

        Raises:
            TimeoutError: they did not.
        """
        deadline = time.monotonic() + _TIMEOUT
        while len(found := self.bodies()) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(found)} messages of {count}: {self.log}")
            time.sleep(0.02)
        return found


class Exim(ForeignServer):
    """Exim as Debian builds it, with GnuTLS."""

    package = "exim4-daemon-light"
    accounts = ("Debian-exim",)
    configuration = _EXIM
    command = "/mnt/tree/usr/sbin/exim4 -C /mnt/configuration -bdf"

    def _configuration(self) -> str:
        return self.configuration.format(port=self.port, priority="" if self._tls13 else ":-VERS-TLS1.3")

    def _owner(self) -> tuple[int, int]:
        return _FIRST_ACCOUNT, _FIRST_ACCOUNT

    def bodies(self) -> list[bytes]:
        """Without the first line of each file, its name."""
        return [path.read_bytes().partition(b"\n")[2] for path in self.directory.glob("spool/input/*-D")]

    def traces(self) -> list[str]:
        """The lines of its log about messages that arrived."""
        return [line for line in self.log.splitlines() if " <= " in line]


class Sendmail(ForeignServer):
    """Sendmail, with OpenSSL. Always asks for a client certificate."""

    package = "sendmail-bin"
    accounts = ("smmta", "smmsp")
    configuration = _SENDMAIL
    command = "/mnt/tree/usr/libexec/sendmail/sendmail -C /mnt/configuration -bD -X /mnt/output"

    def _configuration(self) -> str:
        # It sends one certificate, and those that its library finds among the authorities.
        with open(self.directory / "ca.pem", "a", encoding="ascii") as file:
            file.write((self.directory / "cert.pem").read_text())
        return self.configuration.format(port=self.port, options="" if self._tls13 else "+SSL_OP_NO_TLSv1_3")

    def bodies(self) -> list[bytes]:
        """The data files of its queue."""
        return [path.read_bytes() for path in self.directory.glob("spool/df*")]

    def traces(self) -> list[str]:
        """Its Received fields."""
        files = [path.read_text(errors="replace") for path in self.directory.glob("spool/qf*")]
        return [line for text in files for line in text.splitlines() if "Received:" in line]


class OpenSmtpd(ForeignServer):
    """OpenSMTPD. That of Debian 12 announces STARTTLS, but each handshake fails: it does not get on with OpenSSL 3."""

    package = "opensmtpd"
    accounts = ("keeper", "opensmtpd", "opensmtpq")
    configuration = _OPENSMTPD
    preparation = """\
for place in /var/spool /var/lib /run /usr/libexec; do mount -t tmpfs -o mode=755 none "$place"; done
mkdir -m 711 /run/opensmtpd /var/lib/opensmtpd /var/lib/opensmtpd/empty
mkdir /usr/libexec/opensmtpd
mount --bind /mnt/tree/usr/libexec/opensmtpd /usr/libexec/opensmtpd
chown root: /mnt/key.pem
"""
    command = "/mnt/tree/usr/sbin/smtpd -d -f /mnt/configuration"

    def _owner(self) -> tuple[int, int]:
        return _FIRST_ACCOUNT, _FIRST_ACCOUNT

    def _messages(self) -> list[bytes]:
        return [path.read_bytes() for path in self.directory.glob("spool/new/*")]

    def bodies(self) -> list[bytes]:
        """What follows the first empty line."""
        return [octets.partition(b"\n\n")[2] for octets in self._messages()]

    def traces(self) -> list[str]:
        """The header up to the first field that is not its own."""
        return [octets.partition(b"\nFrom: ")[0].decode(errors="replace") for octets in self._messages()]
