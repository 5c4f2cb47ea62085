"""The engine's start (TLS chapter 1.2 to 1.5)."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tls_support import SETTINGS, Manager, engine
from tls_vectors import PKI

from postfix_smtp.tls import library
from postfix_smtp.tls.engine import Engine, EngineError
from postfix_smtp.tls.groups import choose_groups
from postfix_smtp.tls.protocols import Protocols
from postfix_smtp.tls.records import Digests

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (
            {"fingerprint_digest": "nosuch"},
            ['warning: Digest algorithm "nosuch" not found', "warning: disabling TLS support"],
        ),
        (
            {"manager": Manager(entropy=False)},
            ["warning: no entropy for TLS key generation: disabling TLS support"],
        ),
        ({"random_bytes": 256}, ["warning: no entropy for TLS key generation: disabling TLS support"]),
        (
            {"config_file": "relative"},
            ["warning: non-default tls_config_file = relative is not an absolute pathname, disabling TLS support"],
        ),
    ],
    ids=["digest", "entropy", "random-bytes", "configuration"],
)
def test_failures_disable_tls(changes: dict[str, Any], lines: list[str], logged: list[str]) -> None:
    with pytest.raises(EngineError):
        engine(**changes)
    assert logged == lines


def test_contexts_are_kept() -> None:
    made = engine()
    first = made.context("HIGH", Protocols(), "hap", match=False)
    assert made.context("HIGH", Protocols(), "hap", match=False) is first
    assert made.context("HIGH", Protocols(), "hap", match=True) is not first


def test_limits_the_library_does_not_know_are_warned_about_each_time(logged: list[str]) -> None:
    made = engine()
    for _ in range(2):
        made.context("HIGH", Protocols(lowest=0x0305), "hap", match=False)
    assert logged == ["warning: hap: error setting minimum TLS version to: 0x0305"] * 2


def test_authorities_in_a_missing_directory_are_no_error(logged: list[str]) -> None:
    engine(ca_file=str(PKI / "ca-bundle.pem"), ca_path="/nonexistent")
    assert not logged


@pytest.mark.parametrize(
    ("curves", "groups", "version", "found", "lines"),
    [
        ("X25519 P-256", "", (3, 7, 11), ["X25519", "P-256"], []),
        ("X25519 bogus", "", (3, 7, 11), ["X25519"], ['warning: ignoring unknown ECDHE curve "bogus"']),
        ("known", "", (3, 7, 11), [], ["warning: none of the configured ECDHE curves are supported"]),
        ("X25519 bogus", "ffdhe2048", (3, 8, 0), ["X25519", "ffdhe2048"], [
            'warning: ignoring unknown key exchange group "bogus"'
        ]),
        ("X25519:bogus x25519", "", (3, 10, 0), ["X25519"], []),
        ("", "", (3, 8, 0), [], []),
        ("bogus", "", (3, 10, 0), ["X25519", "ffdhe2048"], [
            "warning: none of the configured key exchange groups are supported",
            "warning: using Postfix default key exchange groups instead",
        ]),
    ],
)  # fmt: skip
def test_groups(
    curves: str, groups: str, version: tuple[int, ...], found: list[str], lines: list[str], logged: list[str]
) -> None:
    supported = {"x25519", "p-256", "ffdhe2048"}
    chosen = choose_groups(
        curves, groups, version, lambda names: names[0].lower() in supported, lambda name: name == "known"
    )
    assert chosen == found
    assert logged == lines


@pytest.mark.parametrize(
    ("text", "order", "lines"),
    [
        ("sha512 sha256", (2, 1, 255), []),
        ("sha256=1 sha384=5", (1, 5, 255), []),
        ("sha384", (255,), ["tls_dane_digests: digest algorithm sha384 needs an explicit number"]),
        ("sha384=1", (255,), ["tls_dane_digests: matching type 1 can only be sha256"]),
        ("sha384=300", (255,), ["Invalid matching type number in tls_dane_digests: sha384=300"]),
        ("sha384=0", (255,), ["Reserved matching type number in tls_dane_digests: sha384=0"]),
        ("sha256 sha256", (1, 255), ["tls_dane_digests: matching type 1 specified more than once"]),
        ("bogus=7", (255,), ['tls_dane_digests: digest algorithm "bogus"(7) unknown']),
        ("=2 sha256", (1, 255), []),
    ],
)
def test_digests(text: str, order: tuple[int, ...], lines: list[str], logged: list[str]) -> None:
    assert Digests.parse(text, "sha256").order == order
    assert logged == [f"warning: {line}" for line in lines]


CONFIGURED = """\
import sys
sys.path.insert(0, {root!r})
from postfix_smtp.tls.library_configuration import name_configuration
name_configuration({file!r}, {name!r}, (3, 9))
from OpenSSL import SSL
print(SSL.Connection(SSL.Context(SSL.TLS_METHOD), None).get_cipher_list()[0])
"""


@pytest.mark.parametrize(("name", "first"), [("", "TLS_AES_128_GCM_SHA256"), ("mail", "TLS_CHACHA20_POLY1305_SHA256")])
def test_configuration_file_and_name(tmp_path: Path, name: str, first: str) -> None:
    file = tmp_path / "openssl.cnf"
    file.write_text(
        "openssl_conf = usual\nmail = special\n"
        "[usual]\nssl_conf = usual_ssl\n[usual_ssl]\nsystem_default = usual_tls\n"
        "[usual_tls]\nCiphersuites = TLS_AES_128_GCM_SHA256\n"
        "[special]\nssl_conf = special_ssl\n[special_ssl]\nsystem_default = special_tls\n"
        "[special_tls]\nCiphersuites = TLS_CHACHA20_POLY1305_SHA256\n"
    )
    code = CONFIGURED.format(root=str(ROOT), file=str(file), name=name)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [first]


def test_bindings_that_are_too_old_are_no_reason_to_fail_at_each_delivery(
    monkeypatch: pytest.MonkeyPatch, logged: list[str]
) -> None:
    monkeypatch.setattr(library, "LIB", SimpleNamespace(X509_STORE_up_ref=None))
    with pytest.raises(EngineError):
        engine()
    assert logged == [
        "warning: the package cryptography is too old, it has no SSL_CTX_set_msg_callback: disabling TLS support"
    ]


def ciphers(made: Engine, exclude: str = "") -> list[str] | None:
    """The names of those that are offered up to TLS 1.2; None: there are none."""
    lists = made.lists(">=TLSv1", "medium", exclude, "peer")
    assert lists is not None
    if not made.accepts(lists[1]):
        return None
    context = made.context(lists[1], lists[0], "peer", match=False)
    return [name for name in made.connection(context).get_cipher_list() if not name.startswith("TLS_")]


def test_ciphers_of_the_legacy_provider_are_not_offered() -> None:
    # cryptography loads that provider, Postfix does not
    offered = ciphers(engine(cipher_lists={**SETTINGS.cipher_lists, "medium": "ALL"}))
    assert offered
    assert not [name for name in offered if any(word in name for word in ("SEED", "IDEA", "RC4"))]


def test_no_cipher_is_left_where_postfix_has_none() -> None:
    assert ciphers(engine(), "AES, CHACHA20, ARIA, CAMELLIA, eNULL") is None
