"""EHLO keywords."""

import pytest

from postfix_smtp.smtp import features, keywords


def test_words_of_a_reply() -> None:
    reply = (
        "250-server.example hello\n250-size=12345678\n250--8bitmime\n250\n250-AUTH=LOGIN PLAIN\n250 XFORWARD NAME ADDR"
    )
    assert keywords.parse(reply) == [
        ("server.example", "hello"),
        ("size", "12345678"),
        ("-8bitmime", ""),
        ("AUTH", "LOGIN PLAIN"),
        ("XFORWARD", "NAME ADDR"),
    ]


@pytest.mark.parametrize(
    ("word", "limit"),
    [("0", 0), ("10240000", 10240000), ("10M", None), ("-1", None), ("９", None), (str(2**63 - 1), 2**63 - 1)],
)
def test_size_limit(word: str, limit: int | None) -> None:
    assert keywords.size_limit(word) == limit


@pytest.mark.parametrize("word", [str(2**63), "9" * 5000])
def test_size_limit_beyond_63_bits_is_none_at_all(word: str) -> None:
    assert keywords.size_limit(word) == 0


def test_keywords_to_ignore_in_the_order_of_the_log() -> None:
    assert keywords.discards("dsn, size  pipelining,bogus", requiretls=False) == ("PIPELINING", "SIZE", "DSN")
    assert keywords.discards("silent-discard auth", requiretls=False) == ("AUTH", keywords.SILENT)


def test_requiretls_can_be_ignored_where_it_exists() -> None:
    assert keywords.discards("requiretls", requiretls=False) == ()
    assert keywords.discards("requiretls", requiretls=True) == ("REQUIRETLS",)


def test_xforward_attributes() -> None:
    mask = keywords.xforward_attributes("name Ident DOMAIN bogus")
    assert mask == features.XFORWARD_NAME | features.XFORWARD_IDENT
