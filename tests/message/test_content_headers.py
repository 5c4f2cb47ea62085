"""Content-Type and Content-Transfer-Encoding (message chapter 4.5)."""

import time

import pytest

from postfix_smtp.message.content_headers import (
    Composite,
    ContentType,
    Domain,
    comment_end,
    content_type,
    transfer_encoding,
)


def multipart(*boundaries: bytes, default: Composite = Composite.TEXT) -> ContentType:
    return ContentType(Composite.MULTIPART, boundaries, default)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b" text/plain", ContentType(Composite.TEXT)),
        (b"TEXT", ContentType(Composite.TEXT)),
        (b" message/rfc822; x=y", ContentType(Composite.RFC822)),
        (b" Message / RFC822", ContentType(Composite.RFC822)),
        (b" message/partial", ContentType(Composite.PARTIAL)),
        (b" message/external-body", ContentType(Composite.EXTERNAL_BODY)),
        (b" message/global", ContentType(Composite.GLOBAL)),
        (b" message/delivery-status", ContentType(Composite.OTHER_MESSAGE)),
        (b" message", ContentType(Composite.OTHER_MESSAGE)),
        (b" multipart/mixed; boundary=abc", multipart(b"abc")),
        (b" multipart/mixed; BOUNDARY = abc ; charset=x", multipart(b"abc")),
        (b" multipart/digest; boundary=a", multipart(b"a", default=Composite.RFC822)),
        (b" multipart/mixed; boundary=a; boundary=b", multipart(b"a", b"b")),
        (b" multipart/mixed; boundary=a=b", multipart(b"a")),
        (b' multipart/mixed; boundary="a b"', multipart(b"a b")),
        (b' multipart/mixed; boundary="a\\"b\\c"', multipart(b'a"bc')),
        (b' multipart/mixed; boundary="a\n b"', multipart(b"a b")),
        (b' multipart/mixed; boundary="a \t\n b"', multipart(b"a b")),
        (b' multipart/mixed; boundary="open', multipart(b"open")),
        (b' multipart/mixed; boundary=""', multipart(b"")),
        (b" multipart/mixed; boundary=(c (d) \\) e) abc", multipart(b"abc")),
        (b" multipart/mixed; (boundary=x)", multipart()),
        (b" multipart/mixed; boundary=", multipart()),
        (b" multipart/mixed boundary=x", multipart()),
        (b" application/pdf", None),
        (b' "text"/plain', None),
        (b" /", None),
        (b"", ContentType(Composite.OTHER)),
        (b" (comment)", ContentType(Composite.OTHER)),
    ],
)
def test_content_type(value: bytes, expected: ContentType | None) -> None:
    assert content_type(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b" 7bit", Domain.SEVEN_BIT),
        (b" 8BIT", Domain.EIGHT_BIT),
        (b" (comment) binary x", Domain.BINARY),
        (b"base64", Domain.SEVEN_BIT),
        (b"quoted-printable", Domain.SEVEN_BIT),
        (b"x-uuencode", None),
        (b'"8bit"', None),
        (b"; 8bit", None),
        (b"8bit/x", None),
        (b"8bit;", Domain.EIGHT_BIT),
        (b"", None),
    ],
)
def test_transfer_encoding(value: bytes, expected: Domain | None) -> None:
    assert transfer_encoding(value) is expected


@pytest.mark.parametrize("octets", [b" ", b" \n", b"\\", b";", b"(", b'"', b"a ", b"\t\\ "])
def test_hostile_values_take_linear_time(octets: bytes) -> None:
    start = time.process_time()
    content_type(b'multipart/mixed; boundary="' + octets * 50_000)
    content_type(octets * 50_000)
    assert time.process_time() - start < 1  # quadratic: several seconds


def test_a_folded_quoted_value_loses_blanks_before_the_fold() -> None:
    assert content_type(b'multipart/mixed; boundary="a \t\n \n\tb\\\nc"') == multipart(b"a\tb\nc")


def test_comments_nest() -> None:
    assert comment_end(b"x(a(b)\\)c)d", 1) == 10
    assert comment_end(b"(a(b)", 0) == 5
