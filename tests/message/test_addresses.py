"""Address lists (message chapters 6.4 and 6.5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postfix_smtp.message.addresses import Kind, parse, tokens, unparse, without_long_comments, write_header


def addresses(text: bytes) -> list[bytes]:
    return [address for kind, address in parse(text) if kind is Kind.ADDRESS]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'a "b \\" c" [1.2] (x (y) \\) z) .', [(Kind.ATOM, b"a"), (Kind.QUOTED, b'b " c'), (Kind.LITERAL, b"1.2"),
                                              (Kind.COMMENT, b"(x (y) \\) z)"), (Kind.OPERATOR, b".")]),
        (b"a\\@b", [(Kind.QUOTED, b"a@b")]),
        (b"a\\bc", [(Kind.ATOM, b"abc")]),
        (b"a\\ b", [(Kind.QUOTED, b"a b")]),
        (b'"a\tb\n c', [(Kind.QUOTED, b"a b  c")]),
        (b'"a\\"', [(Kind.QUOTED, b'a"')]),
        (b'"a\\\\"', [(Kind.QUOTED, b"a\\")]),
        (b'""', [(Kind.QUOTED, b"")]),
        (b"[a\\]b]", [(Kind.LITERAL, b"a]b")]),
        (b"[a", [(Kind.LITERAL, b"a")]),
        (b"(open", [(Kind.COMMENT, b"(open")]),
        (b"\xe9 \x01", [(Kind.ATOM, b"\xe9"), (Kind.QUOTED, b"\x01")]),
        (b"end\\", [(Kind.ATOM, b"end")]),
    ],
)  # fmt: skip
def test_tokens(text: bytes, expected: list[tuple[Kind, bytes]]) -> None:
    assert tokens(text) == expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"a@x, b@y", [b"a@x", b"b@y"]),
        (b"a@x b@y", [b"a@x", b"b@y"]),
        (b"Joe <a@x>", [b"a@x"]),
        (b"a@x <b@y>", [b"b@y"]),
        (b"G: a@x, b@y;, c@z", [b"a@x", b"b@y", b"c@z"]),
        (b"G:;", []),
        (b"<>", []),
        (b"<@r1,@r2:a@x>", [b"@r1,@r2:a@x"]),
        (b"G:a@x", [b"G:a@x"]),
        (b"(c) a (d) @ x", [b"a@x"]),
        (b"a@[1.2.3.4]", [b"a@[1.2.3.4]"]),
        (b'"q t"@x', [b"q t@x"]),
        (b"a@x>", [b"a@x"]),
        (b"<a@x", [b"<a@x"]),
        (b"", []),
    ],
)
def test_addresses_are_found(text: bytes, found: list[bytes]) -> None:
    assert addresses(text) == found


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (b'"Joe R. User"   <a@x>', b'"Joe R. User" <a@x>'),
        (b"Joe R. User <a@x>", b"Joe R.User <a@x>"),
        (b"(c1) a (c2) @ (c3) x (c4)", b"a@x (c1) (c2) (c3) (c4)"),
        (b"Joe (c1) <(c2)a@x(c3)> (c4)", b"Joe (c1) <a@x (c2) (c3)>(c4)"),
        (b"a@x b", b"a@x, b"),
        (b"G: a@x;", b"G: a@x;"),
        (b"foo: bar a@x", b'"foo:bar", a@x'),
        (b"x:y:z <a@x>", b'"x:y":z <a@x>'),
        (b"a@x; b@y", b"a@x;, b@y"),
        (b'"a\\"b" <c@x>', b'"a\\"b" <c@x>'),
        (b"[x\\\\] y <a@x>", b"[x\\\\] y <a@x>"),
        (b",a@x,,b@y,", b", a@x, , b@y, "),
        # Recorded from the real program: what is wrong in a domain is read and written again.
        (b"\\!phrase <a@x>", b'"!phrase" <a@x>'),
        (b'ax@y%\\"', b"ax@y%"),
        (b"sender@origin.test\\, , a@x", b"sender@origin.test,, a@x"),
        (b'[1.2]s@o[1.2]>., \\">x@y', b'"[1.2]s"@o [1.2]>., >, x@y'),
        (b"a@[x(c),!", b"a@[x(c),!]"),
        (b'"", a@x', b'"", a@x'),
        (b'""@x', b'""@x'),
        (b"<@r1,@r2:a@x>, <@r1:a@x>", b"<@r1, @r2:a@x>, <@r1:a@x>"),
    ],
)
def test_lists_are_written_again(text: bytes, written: bytes) -> None:
    assert write_header(b"To", parse(text)) == b"To: " + written


def test_long_lists_are_folded() -> None:
    header = write_header(b"To", parse(b",".join(b"user%02d@example.com" % number for number in range(12))))
    lines = header.split(b"\n")
    assert len(lines) == 4
    assert all(line.startswith(b"\t") for line in lines[1:])
    assert all(len(line.lstrip(b"\t")) < 70 for line in lines)
    assert all(line.endswith(b",") for line in lines[:-1])


@pytest.mark.parametrize(("size", "stripped"), [(248, False), (249, True)])
def test_too_many_comments_are_stripped(size: int, stripped: bool, caplog: pytest.LogCaptureFixture) -> None:
    # the parentheses and the blank before them count
    text = b"a@x (" + b"c" * (size - 1) + b")"
    expected = b"<a@x>" if stripped else text
    assert unparse(without_long_comments(parse(text))) == expected
    warning = f"stripping too many comments from address: {text[:100].decode()}..."
    assert caplog.messages == ([warning] if stripped else [])


@pytest.mark.parametrize(("size", "stripped"), [(248, False), (249, True)])
def test_an_empty_local_part_is_written_with_quotes(size: int, stripped: bool) -> None:
    # which do not count as comments
    text = b'"" (' + b"c" * (size - 1) + b")"
    assert unparse(without_long_comments(parse(text))) == (b'<"">' if stripped else text)


def test_an_empty_address_counts_as_one(caplog: pytest.LogCaptureFixture) -> None:
    assert unparse(without_long_comments(parse(b'"' + b"p" * 300 + b'" <>, b@y'))) == b"<>,\nb@y"
    assert unparse(without_long_comments(parse(b'"' + b"p" * 300 + b'" <"">'))) == b'<"">'
    assert unparse(without_long_comments(parse(b"(" + b"p" * 300 + b")"))) == b"(" + b"p" * 300 + b")"


@given(st.text('ab.@<>,;:"\\() \t\n%', max_size=40).map(str.encode))
def test_parsing_always_ends_and_only_adds_commas(text: bytes) -> None:
    before = b"".join(token for _, token in tokens(text)).replace(b",", b"")
    after = b"".join(node for _, node in parse(text)).replace(b",", b"")
    assert sorted(before) == sorted(after)
    assert write_header(b"To", parse(text)).startswith(b"To: ")
