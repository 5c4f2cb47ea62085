"""master.cf, against the command lines that master(8) made and what it said."""

from pathlib import Path
from typing import Any

import pytest
from config_support import vectors

from postfix_smtp.config.expand import compatibility_level
from postfix_smtp.config.master_cf import own_process_limit, services
from postfix_smtp.errors import FatalError

MASTER_CF = vectors("master_cf")
ENTRIES = [vector for vector in MASTER_CF["vectors"] if "service" in vector]
ERRORS = [vector for vector in MASTER_CF["vectors"] if "service" not in vector and "duplicate" not in vector["log"][0]]
VERSION = (3, 7, 11)


@pytest.mark.parametrize("vector", ENTRIES, ids=lambda vector: vector["service"] + vector["compatibility_level"])
def test_command_line_is_masters(vector: dict[str, Any]) -> None:
    found = {service.name: service for service in services(MASTER_CF["master_cf"], "/CONF/master.cf", VERSION)}
    chroot = compatibility_level(vector["compatibility_level"]) < (1,)
    assert found[vector["service"]].argv(chroot_default=chroot) == vector["argv"]


@pytest.mark.parametrize("vector", ERRORS, ids=lambda vector: vector["log"][0])
def test_errors_are_masters(vector: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    if vector["fatal"]:
        with pytest.raises(FatalError) as failure:
            list(services(vector["master_cf"], "/CONF/master.cf", VERSION))
        assert [f"fatal: {failure.value}"] == vector["log"]
    else:
        assert list(services(vector["master_cf"], "/CONF/master.cf", VERSION)) == []
        assert [f"warning: {line}" for line in caplog.messages] == vector["log"]


def test_network_listeners_get_stress_and_the_number_of_sockets() -> None:
    (service,) = services("localhost:25 inet n - n - 2 smtp\n", "x", VERSION)
    argv = service.argv(stress="", sockets=2, verbose=True, attached=True)
    assert argv == ["smtp", "-n", "localhost:25", "-t", "inet", "-d", "-v", "-u", "-o", "stress=", "-s", "2"]


@pytest.mark.parametrize(
    ("entries", "limit"),
    [
        ("smtp unix - - n - - smtp\n", None),
        ("smtp unix - - n - 0 smtp\n", 0),
        ("smtp unix - - n - 7 smtp\nsmtp inet n - n - 3 smtp\nrelay unix - - n - 5 smtp\n", 7),
        ("smtp unix - - n - 7 smtp\nsmtp unix - - n - 8 smtp\n", 8),
        ("smtp unix - - n - 7 smtp\nother is broken\n", 7),
        ("relay unix - - n - 5 smtp\n", None),
    ],
)
def test_own_limit_is_found_by_name_and_type(entries: str, limit: int | None, tmp_path: Path) -> None:
    (tmp_path / "master.cf").write_text(entries)
    assert own_process_limit(str(tmp_path), "smtp", "unix") == limit


def test_no_master_cf_is_no_limit(tmp_path: Path) -> None:
    assert own_process_limit(str(tmp_path), "smtp", "unix") is None
