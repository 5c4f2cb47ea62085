"""The MIME processor (message chapter 4); the captures have more."""

from postfix_smtp.message.mime import GENERATED, Event, MimeProcessor, Section
from postfix_smtp.message.settings import MessageSettings
from postfix_smtp.queue.records import LINE, PIECE

P, M, S, B = Section.PRIMARY, Section.PART, Section.NESTED, Section.BODY


def events(lines: list[bytes | tuple[int, bytes]], *, converting: bool = False, limit: int = 102400) -> list[Event]:
    mime = MimeProcessor(MessageSettings(header_size_limit=limit), parsing=True, converting=converting)
    found: list[Event] = []
    for line in lines:
        found += mime.feed(*(line if isinstance(line, tuple) else (LINE, line)))
    return found + mime.finish()


def test_headers_are_joined_and_normalised() -> None:
    assert events([b"Subject \t: a", b"\tb", (PIECE, b"To: c"), (LINE, b"d"), b""]) == [
        (P, LINE, b"Subject: a\n\tb"),
        (P, LINE, b"To: cd"),
        (B, LINE, b""),
    ]


def test_text_after_nul_is_dropped_from_headers_only() -> None:
    assert events([b"A: b\0c", b" d\0e", b"", b"f\0g"]) == [
        (P, LINE, b"A: b\n d"),
        (B, LINE, b""),
        (B, LINE, b"f\0g"),
    ]


def test_a_missing_empty_line_is_added() -> None:
    assert events([b"A: b", b"garbage"]) == [(P, LINE, b"A: b"), (B, LINE, b""), (B, LINE, b"garbage")]


def test_what_looks_like_a_header() -> None:
    for line in (b"From me Mon", b": x", b"a\x80: x", b"a\0: x", b" a: b", b"a b: c", b""):
        assert events([line])[-1] == (B, LINE, line)
    assert events([b"!~: x"]) == [(P, LINE, b"!~: x")]


def test_an_oversize_header_is_cut_after_a_record() -> None:
    assert events([b"A: 4567", b" x", b" y"], limit=8) == [(P, LINE, b"A: 4567\n x")]


def test_parts_and_attached_messages_have_their_sections() -> None:
    lines = [
        b"Content-Type: multipart/mixed; boundary=b", b"", b"--b", b"Content-Type: message/rfc822", b"", b"A: b", b"",
        b"--bx", b"C: d", b"", b"text", b"--b--", b"--b", b"E: f",
    ]  # fmt: skip
    assert [section for section, _, _ in events(lines)] == [P, B, B, M, B, S, B, B, M, B, B, B, B, B]


def test_without_parsing_all_but_the_primary_header_is_body() -> None:
    mime = MimeProcessor(MessageSettings(), parsing=False, converting=False)
    found = [event for line in (b"Content-Type: message/rfc822", b"", b"A: b", b"") for event in mime.feed(LINE, line)]
    assert [section for section, _, _ in found] == [P, B, B, B]


def test_a_generated_header_is_marked_and_comes_last() -> None:
    lines = [b"Content-Transfer-Encoding: 8bit", b"X: y", b"", b"\xe9"]
    assert events(lines, converting=True) == [
        (P, LINE, b"X: y"),
        (P, GENERATED, b"Content-Transfer-Encoding: quoted-printable"),
        (B, LINE, b""),
        (B, LINE, b"=E9"),
    ]


def test_a_generated_header_ends_a_content_without_body() -> None:
    lines: list[bytes | tuple[int, bytes]] = [b"X: y", (PIECE, b"Content-Transfer-Encoding: 8bit")]
    assert events(lines, converting=True) == [
        (P, LINE, b"X: y"),
        (P, GENERATED, b"Content-Transfer-Encoding: quoted-printable"),
    ]


def test_nesting_is_limited_and_only_an_error_when_converting() -> None:
    for converting in (False, True):
        mime = MimeProcessor(MessageSettings(nesting_limit=1), parsing=True, converting=converting)
        for level in range(4):
            mime.feed(LINE, b"Content-Type: multipart/mixed; boundary=b%d" % level)
            assert not mime.nesting_exceeded
            mime.feed(LINE, b"")
            assert mime.nesting_exceeded is (converting and level == 3)
            if level < 3:
                mime.feed(LINE, b"--b%d" % level)


def test_lines_may_bypass_it_where_nothing_is_looked_for() -> None:
    mime = MimeProcessor(MessageSettings(), parsing=True, converting=True)
    assert not mime.is_transparent
    mime.feed(LINE, b"Content-Type: multipart/mixed; boundary=b")
    mime.feed(LINE, b"")
    assert mime.is_transparent
    assert mime.expects_boundary
    mime.feed(LINE, b"--b")
    mime.feed(LINE, b"Content-Transfer-Encoding: 8bit")
    mime.feed(LINE, b"")
    assert not mime.is_transparent
    mime.feed(LINE, b"--b--")
    mime.feed(PIECE, b"piece")
    assert not mime.is_transparent
    mime.feed(LINE, b"rest")
    assert mime.is_transparent
    assert not mime.expects_boundary
