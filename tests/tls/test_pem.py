"""tls.pem: objects as OpenSSL finds them in a file."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postfix_smtp.tls.pem import PemError, read_objects

DATA = bytes(range(100))
LINES = base64.encodebytes(DATA).replace(b"\n", b"").decode()
BODY = f"{LINES[:64]}\n{LINES[64:128]}\n{LINES[128:]}\n".replace("\n\n", "\n")
BEGIN, END = "-----BEGIN THING-----\n", "-----END THING-----\n"
GOOD = BEGIN + BODY + END


def contents(text: str) -> list[tuple[int, bytes, bytes]]:
    return [(item.number, item.kind, item.content) for item in read_objects(text.encode())]


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "before\n" + GOOD + "after\n",
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("-----\n", "-----  \t\n"),
        GOOD.replace("\n", " \n"),
        BEGIN + LINES + "\n" + END,
        BEGIN + "Name: value\nMore: values\n\n" + BODY + END,
        GOOD.rstrip("\n"),
        "-----BEGIN\n" + GOOD,
        "-----BEGIN x\n" + GOOD,
    ],
)
def test_one_object(text: str) -> None:
    assert contents(text) == [(1, b"THING", DATA)]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (BEGIN + BODY, "04800066:PEM routines::bad end line"),
        (BEGIN, "04800066:PEM routines::bad end line"),
        (BEGIN + BODY + "-----END OTHER-----\n", "04800066:PEM routines::bad end line"),
        (BEGIN + BODY + "-----END THING----\n", "04800066:PEM routines::bad end line"),
        (BEGIN + "a: b\n\n" + BODY + "\n" + END, "04800066:PEM routines::bad end line"),
        (BEGIN + "a: b\n\n" + LINES + "\n" + END, "04800066:PEM routines::bad end line"),
        (BEGIN + "!" + BODY + END, "04800064:PEM routines::bad base64 decode"),
        (BEGIN + BODY[1:] + END, "04800064:PEM routines::bad base64 decode"),
    ],
)
def test_malformed_object_after_a_good_one(text: str, error: str, caplog: pytest.LogCaptureFixture) -> None:
    objects = read_objects((GOOD + text).encode())
    assert next(objects).content == DATA
    with pytest.raises(PemError) as raised:
        next(objects)
    raised.value.tell()
    assert caplog.messages == [f"TLS library problem: error:{error}:../crypto/unknown:0:"]


def test_no_object() -> None:
    assert contents("") == contents("text\n") == contents("-----BEGIN") == contents("-----END THING-----\n") == []


def test_text_is_what_a_parser_needs() -> None:
    (item,) = read_objects(("x\n" + BEGIN + "Proc-Type: 4,ENCRYPTED\n\n" + BODY + END).encode())
    assert item.text.decode() == BEGIN + "Proc-Type: 4,ENCRYPTED\n\n" + BODY + END


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=4))
def test_all_objects_in_order(wanted: list[bytes]) -> None:
    text = b"".join(b"-----BEGIN X-----\n" + base64.encodebytes(each) + b"-----END X-----\n" for each in wanted)
    assert [item.content for item in read_objects(text)] == wanted


@given(st.binary(max_size=300))
def test_anything_is_read_or_refused(octets: bytes) -> None:
    with contextlib.suppress(PemError):
        list(read_objects(b"-----BEGIN X-----\n" + octets))
