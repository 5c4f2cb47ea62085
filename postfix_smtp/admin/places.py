"""Where Postfix is, according to the options, the environment and postconf(1)."""

import argparse
import os
import shutil
import subprocess
from pathlib import Path

from postfix_smtp.admin.executables import InstallError
from postfix_smtp.config.installation import find_postconf


class Places:
    """Where Postfix is.

    Attributes:
        postconf: path of postconf(1).

    Raises:
        InstallError: there is no Postfix.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        postconf = arguments.postconf or shutil.which("postconf") or find_postconf()
        if postconf is None:
            raise InstallError("no postconf command found: is Postfix installed? See option --postconf")
        self.postconf = os.path.abspath(postconf)
        config = arguments.config_directory or os.environ.get("MAIL_CONFIG") or self._ask("-d", "config_directory")
        self.config_directory = Path(config).absolute()
        daemons = arguments.daemon_directory or self._ask("-c", str(self.config_directory), "-x", "daemon_directory")
        self.daemon_directory = Path(daemons).absolute()

    def _ask(self, *arguments: str) -> str:
        result = subprocess.run([self.postconf, "-h", *arguments], capture_output=True, text=True, check=False)
        answer = result.stdout.strip()
        if result.returncode or not answer:
            raise InstallError(result.stderr.strip() or f"{self.postconf} does not tell {arguments[-1]}")
        return answer
