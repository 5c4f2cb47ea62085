"""How many deliveries a process takes at once: process chapter 9.1."""

import resource
import sys
from pathlib import Path

import pytest

from postfix_smtp.config.configuration import Configuration
from postfix_smtp.config.installation import Installation
from postfix_smtp.daemon.capacity import affordable, choose_capacity

UNLIMITED = 1 << 20


def capacity(directory: Path, master_cf: str | None, *settings: str, single: bool = False) -> int:
    (directory / "main.cf").write_text("compatibility_level = 3.6\nsmtp_helo_name = client.example\n")
    if master_cf is not None:
        (directory / "master.cf").write_text(master_cf)
    configuration = Configuration.load(str(directory), "smtp", installation=Installation.of({}))
    for setting in settings:
        configuration.override(setting)
    configuration.set_service("smtp")
    configuration.evaluate_program()
    return choose_capacity(configuration, "smtp", "unix", one_at_a_time=single)


@pytest.fixture(autouse=True)
def _many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (UNLIMITED, UNLIMITED))


@pytest.mark.parametrize(
    ("processes", "settings", "deliveries"),
    [
        ("-", [], 100),
        ("0", [], 100),
        ("5", [], 1),
        ("5", ["smtp_process_delivery_limit=7"], 7),
        ("-", ["smtp_process_delivery_limit=7"], 7),
    ],
)
def test_process_limit_is_a_promise(processes: str, settings: list[str], deliveries: int, tmp_path: Path) -> None:
    assert capacity(tmp_path, f"smtp unix - - n - {processes} smtp\n", *settings) == deliveries


def test_option_of_a_limit_of_one_has_the_last_word(tmp_path: Path) -> None:
    assert capacity(tmp_path, None, "smtp_process_delivery_limit=7", single=True) == 1


def test_entry_that_is_being_edited_does_not_end_the_process(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert capacity(tmp_path, "smtp unix - - n - 5x smtp\n") == 1
    assert f'{tmp_path}/master.cf: line 1: field "max_proc": bad value: "5x"' in caplog.text


@pytest.mark.parametrize(
    ("files", "deliveries"), [(20, 1), (64, 4), (256, 36), (1024, 164), (resource.RLIM_INFINITY, sys.maxsize)]
)
def test_deliveries_do_not_starve_each_other_of_descriptors(files: int, deliveries: int) -> None:
    assert affordable(files) == deliveries


def test_few_descriptors_limit_the_deliveries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    assert capacity(tmp_path, "smtp unix - - n - - smtp\n") == 4
