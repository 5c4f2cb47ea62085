"""A Dovecot of one's own: a submission server that authenticates clients and passes mail on. Needs root."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from compat.ports import ReservedPort

_CONFIGURATION = """\
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/log
auth_verbose = yes
auth_failure_delay = 0
shutdown_clients = yes
protocols = submission
listen = 127.0.0.1
ssl = {ssl}
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5 digest-md5 scram-sha-1 scram-sha-256 xoauth2 oauthbearer
auth_realms = example.com
mail_location = maildir:{directory}/mail
first_valid_uid = 1
hostname = dovecot.example
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {directory}/oauth2.conf
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {directory}/passwd
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={directory}/home
}}
service submission-login {{
  inet_listener submission {{
    port = {port}
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""
_OAUTH = """\
introspection_mode = post
introspection_url = {url}
username_attribute = username
active_attribute = active
active_value = true
"""
_TIMEOUT = 20


def available() -> bool:
    """Whether there is a Dovecot with a submission server, and the right to start it."""
    return os.geteuid() == 0 and shutil.which("dovecot") is not None and Path("/usr/lib/dovecot/submission").exists()


class Dovecot:
    """The server, as a context manager.

    Args:
        users: passwords by name.
        relay: port of the server that takes the mail.
        introspection: URL that tells about access tokens.
        certificate: file with certificate and key, for STARTTLS.
    """

    def __init__(self, users: dict[str, str], relay: int, introspection: str, certificate: str = "") -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self.directory.chmod(0o755)
        self._reserved = ReservedPort()
        self.port = self._reserved.number
        for folder in ("mail", "home"):
            (self.directory / folder).mkdir()
            shutil.chown(self.directory / folder, "mail", "mail")
        ssl = f"yes\nssl_cert = <{certificate}\nssl_key = <{certificate}" if certificate else "no"
        text = _CONFIGURATION.format(directory=self.directory, port=self.port, relay=relay, ssl=ssl)
        (self.directory / "dovecot.conf").write_text(text)
        (self.directory / "oauth2.conf").write_text(_OAUTH.format(url=introspection))
        (self.directory / "passwd").write_text("".join(f"{user}:{word}\n" for user, word in users.items()))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = ["dovecot", "-F", "-c", str(self.directory / "dovecot.conf")]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + _TIMEOUT
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"Dovecot does not start: {self.log}") from None
                time.sleep(0.05)
            else:
                return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        # All of it at once: an orderly end takes a second
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
        """What it logged."""
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""
