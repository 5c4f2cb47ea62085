"""8bit to quoted-printable (message chapter 4.7)."""

import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postfix_smtp.message.quoted_printable import QuotedPrintable


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"", [b""]),
        (b"a" * 73, [b"a" * 73]),
        (b"a" * 74, [b"a" * 73 + b"=", b"a"]),
        (b"\xe9" * 25, [b"=E9" * 25]),
        (b"\xe9" * 26, [b"=E9" * 25 + b"=", b"=E9"]),
        (b"a" * 72 + b" ", [b"a" * 72 + b"=20"]),
        (b"a" * 73 + b" ", [b"a" * 73 + b"=", b"=20"]),
        (b"a  ", [b"a =20"]),
        (b"\t", [b"=09"]),
        (b" lead", [b" lead"]),
        (b"a=b\x7f", [b"a=3Db=7F"]),
        (b"a\r\n\0b", [b"a=0D=0A=00b"]),
        (b"a" * 71 + b"=b", [b"a" * 71 + b"=3D=", b"b"]),
        (b"a" * 72 + b"=b", [b"a" * 72 + b"=3D=", b"b"]),
    ],
)
def test_a_line(text: bytes, lines: list[bytes]) -> None:
    assert QuotedPrintable().encode(text, ends=True) == lines


def test_pieces_of_a_line() -> None:
    encoder = QuotedPrintable()
    assert encoder.encode(b"a" * 40, ends=False) == []
    assert encoder.encode(b"b" * 40, ends=False) == [b"a" * 40 + b"b" * 33 + b"="]
    assert encoder.encode(b"\xe9 ", ends=False) == []
    assert encoder.encode(b"c ", ends=True) == [b"b" * 7 + b"=E9 c=20"]


@given(
    st.lists(
        st.binary(max_size=120) | st.text("a =\xe9\t\n", max_size=200).map(lambda text: text.encode("latin-1")),
        min_size=1,
    )
)
def test_many_lines_give_what_each_gives(texts: list[bytes]) -> None:
    each = [line for text in texts for line in QuotedPrintable().encode(text, ends=True)]
    assert QuotedPrintable().encode_lines(texts) == each
    assert QuotedPrintable().encode_lines(texts * 50) == each * 50


@given(st.lists(st.binary(max_size=120) | st.text("a =\xe9", max_size=200).map(lambda text: text.encode("latin-1"))))
def test_pieces_give_what_the_whole_gives_and_it_can_be_decoded(pieces: list[bytes]) -> None:
    encoder = QuotedPrintable()
    lines = [line for piece in pieces for line in encoder.encode(piece, ends=False)]
    lines += encoder.encode(b"", ends=True)
    whole = b"".join(pieces)
    assert lines == QuotedPrintable().encode(whole, ends=True)
    assert all(len(line) <= 76 for line in lines)
    assert quopri.decodestring(b"\n".join(lines)) == whole
