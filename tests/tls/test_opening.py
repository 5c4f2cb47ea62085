"""What TLS costs a process that does not use it: nothing (TLS chapter 1.1)."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = """\
import os, sys
sys.path.insert(0, {root!r})
from postfix_smtp.config.configuration import Configuration
from postfix_smtp.config.installation import Installation
from postfix_smtp.delivery.program import DeliveryProgram
os.chdir({queue!r})
configuration = Configuration({queue!r}, "smtp", Installation.of({{"mail_version": {version!r}}}))
for setting in {settings!r}:
    configuration.override(setting)
configuration.set_service("smtp")
configuration.evaluate_global()
configuration.evaluate_program()
program = DeliveryProgram()
program.prepare(configuration, [])
program.enter()
print(*[name for name in sys.modules if name.startswith(("OpenSSL", "cryptography", "postfix_smtp.tls."))])
"""


def modules(tmp_path: Path, version: str, *settings: str) -> set[str]:
    usual = ["disable_dns_lookups = yes", "smtp_host_lookup = native", "myhostname = a.example", "mydestination ="]
    code = CODE.format(root=str(ROOT), queue=str(tmp_path), version=version, settings=[*usual, *settings])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_nothing_of_tls_is_loaded_without_it(tmp_path: Path) -> None:
    assert modules(tmp_path, "3.7.11") == set()


@pytest.mark.parametrize("version", ["3.7.11", "3.10.13", "3.11.6"])
def test_the_library_is_not_loaded_at_level_none(tmp_path: Path, version: str) -> None:
    found = modules(tmp_path, version, "smtp_tls_security_level = none")
    assert not [name for name in found if not name.startswith("postfix_smtp.")]
    assert ("postfix_smtp.tls.planner" in found) == (version == "3.11.6")


def test_a_process_without_entropy_goes_on_without_tls(tmp_path: Path) -> None:
    found = modules(tmp_path, "3.7.11", "smtp_tls_security_level = may", "tls_daemon_random_bytes = 300")
    assert "postfix_smtp.tls.planner" in found
