"""postfix-smtp: what it puts where, and what it says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from admin_support import MASTER_CF, PROJECT, Instance

from postfix_smtp.admin.executables import InstallError, library_directories, script


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    monkeypatch.chdir(tmp_path)
    return Instance(tmp_path)


def test_install_makes_what_postfix_check_accepts(instance: Instance) -> None:
    assert instance.run("install") == 0
    assert instance.programs.stat().st_mode & 0o7777 == 0o755
    for name, mode in (("smtp", 0o755), ("lmtp", 0o755), ("constants", 0o644)):
        status = (instance.programs / name).lstat()
        assert status.st_mode == 0o100000 | mode
        assert status.st_uid == os.geteuid()
    assert instance.run("install") == 0, "again"


def test_executables_ignore_environment_and_working_directory(instance: Instance) -> None:
    instance.run("install")
    trap = instance.root / "trap"
    trap.mkdir()
    for name in ("asyncio", "logging", "postfix_smtp", "sitecustomize"):
        (trap / f"{name}.py").write_text("raise SystemExit('trapped')\n")
    result = subprocess.run(
        [instance.programs / "lmtp", "-V", "-t", "unix", "-o", "max_use=x"],
        env={"MAIL_CONFIG": str(instance.config), "LANG": "C", "PYTHONPATH": str(trap)},
        cwd=trap,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert result.stderr == "postfix/lmtp: fatal: bad numerical configuration: max_use = x\n"
    assert result.returncode == 1


def test_foreign_files_stay(instance: Instance, capsys: pytest.CaptureFixture[str]) -> None:
    instance.programs.mkdir()
    (instance.programs / "smtp").write_text("mine")
    assert instance.run("install") == 1
    assert "was not made by postfix-smtp" in capsys.readouterr().err
    assert [path.name for path in instance.programs.iterdir()] == ["smtp"]
    instance.master_cf("")
    assert instance.run("uninstall") == 0
    assert (instance.programs / "smtp").read_text() == "mine"


def test_links_are_not_followed(instance: Instance) -> None:
    instance.programs.symlink_to(instance.root)
    assert instance.run("install") == 1
    assert not (instance.root / "smtp").exists()


def test_uninstall_leaves_nothing_but_not_while_it_is_used(instance: Instance) -> None:
    instance.run("install")
    assert instance.run("uninstall") == 1
    assert (instance.programs / "smtp").exists()
    instance.master_cf("smtp unix - - n - - smtp\n")
    assert instance.run("uninstall") == 0
    assert not instance.programs.exists()


def test_check_tells_what_would_run(instance: Instance, capsys: pytest.CaptureFixture[str]) -> None:
    instance.run("install")
    capsys.readouterr()
    assert instance.run("check") == 0
    output = capsys.readouterr().out
    assert "smtp/unix: postfix-smtp/smtp, 100 processes at most, 100 deliveries at once in each" in output
    assert "relay/unix: postfix-smtp/smtp, 5 processes at most, 1 deliveries at once in each" in output
    assert "local/unix" not in output


def test_check_shows_the_error_of_the_service_that_has_it(
    instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    instance.run("install")
    instance.master_cf(MASTER_CF.replace("=5s", "=5x"))
    assert instance.run("check") == 1
    output = capsys.readouterr().out
    assert "error: relay/unix: fatal: parameter smtp_helo_timeout: bad time value or unit: 5x\n" in output
    assert "smtp/unix: postfix-smtp/smtp, 100" in output


def test_check_misses_what_is_not_installed_or_out_of_date(
    instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert instance.run("check") == 1
    assert "is not there: run postfix-smtp install" in capsys.readouterr().out
    instance.run("install")
    instance.postconf.write_text("#!/bin/sh\necho mail_version = 3.10.13\n")
    assert instance.run("check") == 0
    output = capsys.readouterr().out
    assert "constants is out of date" in output
    assert "Postfix 3.10.13" in output


def test_an_interpreter_that_no_script_can_name_is_refused() -> None:
    with pytest.raises(InstallError, match="white space"):
        script("/opt/my python/bin/python", [])
    with pytest.raises(InstallError, match="too long"):
        script("/" + "x" * 130, [])


def test_working_directory_is_not_written_into_the_scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), *sys.path])
    assert str(tmp_path) not in library_directories()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("-o queue_directory=/nonexistent", 'chdir("/nonexistent"): No such file or directory'),
        ("-s 0", "invalid socket_count: 0"),
        ("-r x", "invalid retirement time: x"),
        ("-t foo", "unsupported transport type: foo"),
    ],
)
def test_check_finds_what_ends_a_start(
    instance: Instance, arguments: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    instance.run("install")
    instance.master_cf(f"smtp unix - - n - - postfix-smtp/smtp {arguments}\nlmtp unix - - n - - postfix-smtp/lmtp\n")
    assert instance.run("check") == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"error: smtp/unix: fatal: {text}" in lines
    assert any(line.startswith("lmtp/unix: postfix-smtp/lmtp") for line in lines), "the others are looked at as well"


def test_uninstall_by_force_needs_no_good_master_cf(instance: Instance) -> None:
    instance.run("install")
    instance.master_cf("broken\n")
    assert instance.run("uninstall") == 1
    assert instance.run("uninstall", "--force") == 0
    assert not instance.programs.exists()


def test_octets_that_are_no_text_can_be_shown(instance: Instance) -> None:
    (instance.config / "master.cf").write_bytes(b"sm\xfftp unix - - n - - postfix-smtp/smtp\n")
    options = [f"--config-directory={instance.config}", f"--daemon-directory={instance.daemons}"]
    result = subprocess.run(
        [sys.executable, "-m", "postfix_smtp.admin.command", "check", *options, f"--postconf={instance.postconf}"],
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict", "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert "sm\\udcfftp/unix: postfix-smtp/smtp, 100 processes" in result.stdout
