"""Where log lines go and what they look like: process chapter 14."""

import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from postfix_smtp import log
from postfix_smtp.daemon import logging as daemon_logging
from postfix_smtp.daemon.logging import FACILITIES, LogHandler, Postlog, Syslog, install, provisional

MOMENT = 1795390151  # Nov 22 23:29:11 2026 UTC
PID = os.getpid()


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as endpoint:
        endpoint.bind(str(tmp_path / "log"))
        endpoint.settimeout(5)
        yield endpoint


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "log")


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Iterator[LogHandler]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(time, "time", lambda: float(MOMENT))
    kept = {
        name: getattr(logging, name)
        for name in ("logThreads", "logProcesses", "logMultiprocessing", "raiseExceptions", "_srcfile")
    }
    handlers, propagate, level = log.logger.handlers[:], log.logger.propagate, log.logger.level
    made = LogHandler()
    install(made)
    yield made
    log.logger.handlers[:] = handlers
    log.logger.propagate = propagate
    log.logger.setLevel(level)
    for name, value in kept.items():
        setattr(logging, name, value)
    monkeypatch.undo()
    time.tzset()


def test_syslog_datagrams_have_the_form_of_libc(handler: LogHandler, sink: socket.socket, path: str) -> None:
    handler.use("pfx/tr/smtp", Syslog("pfx/tr/smtp", FACILITIES["mail"], path))
    log.info("master_notify: status 0")
    log.warning("w")
    log.error("e")
    log.fatal("f")
    log.panic("p")
    start = f"Nov 22 23:29:11 pfx/tr/smtp[{PID}]: "
    assert [sink.recv(4096).decode() for _ in range(5)] == [
        f"<22>{start}master_notify: status 0",
        f"<20>{start}warning: w",
        f"<19>{start}error: e",
        f"<18>{start}fatal: f",
        f"<18>{start}panic: p",
    ]


def test_facility_and_single_digit_day(
    handler: LogHandler, sink: socket.socket, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: MOMENT - 20 * 86400.0)
    handler.use("a/smtp", Syslog("a/smtp", FACILITIES["local3"], path))
    log.fatal("x")
    assert sink.recv(4096) == f"<154>Nov  2 23:29:11 a/smtp[{PID}]: fatal: x".encode()


def test_syslog_daemon_that_was_restarted(handler: LogHandler, tmp_path: Path) -> None:
    path = tmp_path / "dev-log"
    first = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    first.bind(str(path))
    handler.use("a/smtp", Syslog("a/smtp", 2, str(path)))
    first.close()
    path.unlink()
    log.info("lost")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as second:
        second.bind(str(path))
        second.settimeout(5)
        log.info("kept")
        assert second.recv(4096).endswith(b": kept")


def test_postlog_datagrams(handler: LogHandler, sink: socket.socket, path: str) -> None:
    handler.use("pfx/tr/smtp", Postlog("pfx/tr/smtp", "probe.example.com", path))
    log.info("master_notify: status 0")
    log.warning("w")
    start = f"Nov 22 23:29:11 probe pfx/tr/smtp[{PID}]: "
    assert sink.recv(4096).decode() == f"{start}master_notify: status 0"
    assert sink.recv(4096).decode() == f"{start}warning: w"


def test_postlog_day_has_a_leading_zero(
    handler: LogHandler, sink: socket.socket, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: MOMENT - 20 * 86400.0)
    handler.use("a/smtp", Postlog("a/smtp", "h", path))
    log.info("x")
    assert sink.recv(4096).startswith(b"Nov 02 ")


def test_postlog_that_is_not_there_is_tried_for_each_line(handler: LogHandler, tmp_path: Path) -> None:
    path = tmp_path / "postlog"
    handler.use("a/smtp", Postlog("a/smtp", "h", str(path)))
    log.info("lost")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sink:
        sink.bind(str(path))
        log.info("kept")
        assert sink.recv(4096).endswith(b": kept")


def test_text_is_cut_at_2000_octets_and_the_label_comes_on_top(
    handler: LogHandler, sink: socket.socket, path: str
) -> None:
    handler.use("a/smtp", Postlog("a/smtp", "h", path))
    log.warning("x" * 3000)
    assert sink.recv(4096).endswith(b"]: warning: " + b"x" * 2000)


def test_text_is_sanitised(handler: LogHandler, sink: socket.socket, path: str) -> None:
    handler.use("a/smtp", Postlog("a/smtp", "h", path))
    log.info("a\tb\u00e9")
    handler.utf8 = True
    log.info("a\tb\u00e9")
    assert sink.recv(4096).endswith(b"]: a?b??")
    assert sink.recv(4096).endswith("]: a?b\u00e9".encode())


def test_stderr_has_neither_time_nor_pid(
    handler: LogHandler, path: str, sink: socket.socket, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    handler.stderr = True
    log.info("first")
    handler.use("postfix/smtp", Postlog("postfix/smtp", "h", path))
    log.fatal("unsupported transport type: foo")
    assert capfdbinary.readouterr().err == (b"unknown: first\npostfix/smtp: fatal: unsupported transport type: foo\n")
    assert sink.recv(4096).endswith(b"fatal: unsupported transport type: foo")


def test_thirteenth_error_ends_the_process(
    handler: LogHandler, path: str, sink: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = []

    def exit_at_once(status: int) -> None:
        ended.append(status)

    monkeypatch.setattr(os, "_exit", exit_at_once)
    monkeypatch.setattr(time, "sleep", ended.append)
    handler.use("a/smtp", Postlog("a/smtp", "h", path))
    sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    for number in range(12):
        log.error(str(number))
        sink.recv(4096)
    assert ended == []
    log.error("12")
    assert ended == [1, 1]  # a second, then status 1
    sink.recv(4096)
    assert sink.recv(4096).endswith(b"]: fatal: too many errors - program terminated")


def test_before_main_cf_the_environment_decides(
    handler: LogHandler, path: str, sink: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_LOGTAG", "tagged")
    monkeypatch.setenv("POSTLOG_SERVICE", path)
    monkeypatch.delenv("POSTLOG_HOSTNAME", raising=False)
    provisional(handler, "smtp")
    log.info("x")
    assert sink.recv(4096).endswith(f" amnesiac tagged/smtp[{PID}]: x".encode())


def test_tag_of_the_environment_may_be_empty(
    handler: LogHandler, path: str, sink: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_LOGTAG", "")
    monkeypatch.setenv("POSTLOG_SERVICE", path)
    provisional(handler, "smtp")
    log.info("text")
    assert b" /smtp[" in sink.recv(4096)


def test_before_main_cf_syslog_is_used_without_postlog(
    handler: LogHandler, path: str, sink: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAIL_LOGTAG", raising=False)
    monkeypatch.delenv("POSTLOG_SERVICE", raising=False)
    monkeypatch.setattr(daemon_logging, "SYSLOG_SOCKET", path)
    monkeypatch.setattr(Syslog.__init__, "__defaults__", (path,))
    provisional(handler, "lmtp")
    log.info("x")
    assert sink.recv(4096).endswith(f"postfix/lmtp[{PID}]: x".encode())
