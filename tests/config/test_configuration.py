"""Order, precedence, types and checks, against what the real programs did."""

import grp
import os
from pathlib import Path
from typing import Any

import pytest
from config_support import RELEASES, Start, expected, octets, vectors

from postfix_smtp.config.registry import parameters
from postfix_smtp.errors import FatalError

ORDER = vectors("order_and_precedence")
TYPES = vectors("types")


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("vector", ORDER["vectors"], ids=lambda vector: vector["title"])
def test_order_of_evaluation_is_visible(vector: dict[str, Any], release: str, tmp_path: Path) -> None:
    expect = expected(vector, release)
    main_cf = (ORDER["prelude"] + vector["main_cf_tail"]).encode("latin-1")
    start = Start(tmp_path, main_cf, release, options=[octets(option) for option in vector["options"]])
    if expect["exit"] == -11:  # a crash of Postfix's program; ours says why and ends
        assert start.failed
        return
    assert start.log == expect["log"]
    assert start.failed == bool(expect["exit"])
    for name, value in expect["values"].items():
        assert start.text(name) == octets(value)


# What other rooms check, with the help of `choice`, `mask` and tables.
ELSEWHERE = (
    "smtp_tls_security_level",
    "lmtp_tls_security_level",
    "smtp_address_preference",
    "smtp_dns_support_level",
    "smtp_dns_resolver_options",
    "smtp_host_lookup",
    "lmtp_host_lookup",
    "smtp_address_verify_target",
    "header_from_format",
    "propagate_unmatched_extensions",
    "smtp_tls_dane_insecure_mx_policy",
    "parent_domain_matches_subdomains",
    "smtp_delivery_status_filter",
    "lmtp_delivery_status_filter",
    "lmtp_assume_final",
)


def _of_configuration(vector: dict[str, Any]) -> bool:
    name, _, value = vector.get("option", "").partition("=")
    return "option" in vector and (name not in ELSEWHERE or (not value and name.endswith("host_lookup")))


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    "vector",
    [vector for vector in TYPES["vectors"] if _of_configuration(vector)],
    ids=lambda vector: vector.get("program", "") + vector["option"],
)
def test_values_are_checked(vector: dict[str, Any], release: str, tmp_path: Path) -> None:
    expect = expected(vector, release)
    if "group ID: 105" in str(expect):
        number = str(grp.getgrnam("postfix").gr_gid)
        expect = {**expect, "log": [line.replace("105", number) for line in expect["log"]]}
    start = Start(
        tmp_path,
        TYPES["prelude"].encode(),
        release,
        program=vector.get("program", "smtp"),
        options=[vector["option"]],
    )
    assert start.log == expect["log"]
    assert start.failed == bool(expect["exit"])


PRELUDE = TYPES["prelude"].encode()


def test_lmtp_reads_its_own_names_under_the_canonical_ones(tmp_path: Path) -> None:
    main_cf = PRELUDE + b"lmtp_lhlo_name = l.example\nsmtp_helo_name = s.example\nlmtp_tls_cert_file = /c\n"
    start = Start(tmp_path, main_cf, program="lmtp")
    assert start.configuration is not None
    assert start.text("smtp_helo_name") == "l.example"
    assert start.configuration.spelling("smtp_helo_name") == "lmtp_lhlo_name"
    assert start.text("smtp_tls_key_file") == "/c"
    assert start.text("smtp_tcp_port") == "24"
    assert start.configuration.seconds("smtp_connect_timeout") == 0
    assert start.configuration.flag("smtp_skip_quit_response") is False
    assert start.configuration.is_set("smtp_helo_name")
    assert not start.configuration.is_set("smtp_helo_timeout")


def test_what_a_release_or_program_does_not_have_is_off(tmp_path: Path) -> None:
    old, new, lmtp = (Start(tmp_path, PRELUDE, release) for release in ("3.7.11", "3.11.6", "3.7.11"))
    lmtp = Start(tmp_path, PRELUDE, program="lmtp")
    assert old.configuration is not None
    assert new.configuration is not None
    assert lmtp.configuration is not None
    assert not old.configuration.flag("requiretls_enable")
    assert new.configuration.flag("requiretls_enable")
    assert old.text("smtp_sasl_password_result_delimiter") == ":"
    assert not lmtp.configuration.flag("smtp_always_send_ehlo")
    assert old.configuration.flag("smtp_always_send_ehlo")


@pytest.mark.parametrize(
    ("release", "present"),
    [("3.7.11", True), ("3.10.4", False), ("3.10.5", True), ("3.11.0", True)],
)
def test_patch_releases_of_older_series_have_backported_parameters(release: str, present: bool, tmp_path: Path) -> None:
    name = "tls_config_name" if release == "3.7.11" else "smtp_tls_enforce_sts_mx_patterns"
    rows = {row.name: row for row in parameters("smtp", tuple(map(int, release.split("."))))}
    assert bool(rows[name].stage) == present


@pytest.mark.parametrize(
    ("release", "policy", "shortest"),
    [("3.7.12", "may", 1), ("3.7.13", "dane", None), ("3.8.7", "may", None), ("3.8.8", "dane", None)],
)
def test_defaults_and_bounds_change_in_patch_releases(
    release: str, policy: str, shortest: int | None, tmp_path: Path
) -> None:
    start = Start(tmp_path, PRELUDE, release)
    assert start.text("smtp_tls_dane_insecure_mx_policy") == policy
    rows = {row.name: row for row in parameters("smtp", tuple(map(int, release.split("."))))}
    assert rows["tls_eecdh_auto_curves"].minimum == shortest


def test_alias_database_is_read_after_what_its_default_names(tmp_path: Path) -> None:
    assert Start(tmp_path, PRELUDE, "3.11.0").text("alias_database") == ":/etc/aliases"
    assert Start(tmp_path, PRELUDE, "3.11.1").text("alias_database") == "hash:/etc/aliases"


def test_tls_library_is_evaluated_on_request_only(tmp_path: Path) -> None:
    start = Start(tmp_path, PRELUDE, options=["tls_daemon_random_bytes=x"])
    assert not start.failed
    assert start.configuration is not None
    with pytest.raises(FatalError, match="bad numerical configuration: tls_daemon_random_bytes = x"):
        start.configuration.evaluate_tls_library()


def test_service_name_cannot_be_overridden_and_pid_is_defined_for_program_parameters(tmp_path: Path) -> None:
    start = Start(
        tmp_path,
        PRELUDE + b"smtp_sasl_path = $service_name $process_id\nmail_name = a$process_id\n",
        options=["service_name=other"],
    )
    assert start.text("smtp_sasl_path") == f"smtp {os.getpid()}"
    assert start.text("mail_name") == "a"


def test_own_directory_is_known_whatever_main_cf_says(tmp_path: Path) -> None:
    start = Start(tmp_path, PRELUDE + b"config_directory = /elsewhere\nsmtp_sasl_path = $config_directory\n")
    assert start.text("config_directory") == str(tmp_path)
    assert start.text("smtp_sasl_path") == "/elsewhere"


@pytest.mark.parametrize(("style", "networks"), [("host", "127.0.0.1/32 "), ("subnet", "127.0.0.0/8 ")])
def test_networks_follow_from_own_addresses(style: str, networks: str, tmp_path: Path) -> None:
    start = Start(tmp_path, PRELUDE, options=[f"mynetworks_style={style}", "smtp_sasl_path=$mynetworks"])
    assert start.text("smtp_sasl_path") == networks
    assert start.configuration is not None
    assert start.configuration.own_addresses == ("127.0.0.1",)


# In pairs, the first error of each wins over the second's: found by trying Postfix 3.7.11.
@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ("syslog_facility=x", "daemon_table_open_error_is_fatal=x", "syslog_facility: unrecognized"),
        ("maillog_file_prefixes=", "syslog_facility=x", "bad string length"),
        ("smtputf8_enable=x", "inet_protocols=x", "bad boolean"),
        ("mydomain=", "myhostname=a..b", "bad string length"),
        ("myhostname=a..b", "mail_name=", "bad parameter value: a..b"),
        ("mail_name=", "myorigin=/nonexistent", "mail_name"),
        ("myorigin=/nonexistent", "max_use=0", "/nonexistent: cannot open file"),
        ("max_use=0", "default_privs=root", "max_use"),
        ("default_privs=root", "mail_owner=root", "default_privs"),
        ("mail_owner=root", "setgid_group=root", "mail_owner"),
        ("setgid_group=root", "default_privs=postfix", "setgid_group"),
        ("setgid_group=postfix", "mynetworks_style=x", "setgid_group"),
        ("mynetworks_style=x", "inet_interfaces=nosuch.invalid", "mynetworks mask style"),
        ("mynetworks=$", "inet_interfaces=nosuch.invalid", "macro processing error"),
        ("inet_interfaces=nosuch.invalid", "relayhost=mail.example.com", "host not found"),
        ("relayhost=mail.example.com", "myorigin=a,b", "must not be identical"),
        ("myorigin=a,b", "default_verp_delimiters=ab", "multiple values"),
        ("default_verp_delimiters=+b", "maillog_file=/x", "bad second VERP delimiter"),
    ],
)
def test_first_error_is_postfixs_first(first: str, second: str, text: str, tmp_path: Path) -> None:
    start = Start(tmp_path, PRELUDE, options=[second, first])
    assert text in start.log[-1]


@pytest.mark.parametrize("option", ["", " ", "=", "= x"])
def test_options_without_a_name(option: str, tmp_path: Path) -> None:
    assert Start(tmp_path, PRELUDE, options=[option]).log == [
        f'fatal: invalid "-o {option}" option value: missing attribute name'
    ]


def test_a_file_with_the_origin_must_have_one_name(tmp_path: Path) -> None:
    file = tmp_path / "mailname"
    file.write_text(" a.example \nb.example\n")
    assert Start(tmp_path, PRELUDE, options=[f"myorigin={file}"]).text("myorigin") == "a.example"
    (tmp_path / "other").hardlink_to(file)
    assert Start(tmp_path, PRELUDE, options=[f"myorigin={file}"]).log == [
        "fatal: /CONF/mailname: file has 2 hard links"
    ]
