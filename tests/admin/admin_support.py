"""A Postfix that is only configured."""

import os
from pathlib import Path

from postfix_smtp.admin.command import main

PROJECT = Path(__file__).resolve().parents[2]
MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {0}/queue
data_directory = {0}/data
myhostname = mail.example.com
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
"""
MASTER_CF = """\
smtp unix - - n - - postfix-smtp/smtp
relay unix - - n - 5 postfix-smtp/smtp
  -o smtp_helo_timeout=5s
local unix - n n - - local
"""


class Instance:
    """A Postfix that does not run: configuration, daemon_directory and a postconf of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config, self.daemons = root / "etc", root / "sbin"
        for directory in (self.config, self.daemons, root / "queue", root / "data"):
            directory.mkdir()
        self.programs = self.daemons / "postfix-smtp"
        (self.config / "main.cf").write_text(MAIN_CF.format(root))
        os.utime(self.config / "main.cf", (1, 1))
        self.master_cf(MASTER_CF)
        self.postconf = root / "postconf"
        self.postconf.write_text("#!/bin/sh\necho mail_version = 3.7.11\n")
        self.postconf.chmod(0o755)

    def master_cf(self, text: str) -> None:
        (self.config / "master.cf").write_text(text)

    def run(self, *command: str) -> int:
        places = [
            f"--config-directory={self.config}",
            f"--daemon-directory={self.daemons}",
            f"--postconf={self.postconf}",
        ]
        return main([*command, *places])
