"""The demo keeps its promises."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_demo_shows_what_it_announces() -> None:
    done = subprocess.run([sys.executable, "-m", "compat.demo"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Everything went as announced." in done.stdout
    assert "\x1b" not in done.stdout
    for shown in ("C: MAIL FROM:<alice@client.example>", "to bounce(8):", "to defer(8):", "D  nobody@dest.example"):
        assert shown in done.stdout
    for status in ("status=sent", "status=bounced", "status=deferred"):
        assert status in done.stdout


def test_scripts_are_valid_for_a_posix_shell() -> None:
    for script in (ROOT / "compat").glob("*.sh"):
        subprocess.run(["sh", "-n", os.fspath(script)], check=True)
