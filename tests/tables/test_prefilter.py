"""A prefilter may let through what does not match; it may never hold back what does."""

import itertools
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postfix_smtp.tables.base import Table, TableFlags
from postfix_smtp.tables.opening import Opener, TableSettings
from postfix_smtp.tables.pattern_table import PatternError
from postfix_smtp.tables.pcre import _dialect, _Library
from postfix_smtp.tables.prefilter import NOTHING, PERL, POSIX, Need, combined, need
from postfix_smtp.tables.regexp import _DIALECT

ENGINES = {"regexp": _DIALECT, "pcre": _dialect(_Library())}


@pytest.mark.parametrize("syntax", [POSIX, PERL])
@pytest.mark.parametrize(
    ("pattern", "start", "inside"),
    [
        (rb"^Subject:.*Buy.*now", [b"subject:"], [b"buy"]),
        (rb"foo|^bar", [], [b"bar", b"foo"]),
        (rb"^(From|Reply-To): .*@x\.example$", [b"from", b"reply-to"], [b"@x.example"]),
        (rb"^abc+d?ef*[g-i]jklm", [b"abc"], [b"jklm"]),
        (rb"[[:space:]]viagra[^]a-z]", [], [b"viagra"]),
        (rb"a{3}bc{1,2}de\bfgh", [], [b"fgh"]),
        (rb"(abc)?d", [], [b"d"]),
        (rb"x^abc", [], [b"abc"]),
        (rb"\/\.\$\^x", [], [b"/.$^x"]),
        (b"a\xc3\xa9bc", [], [b"bc"]),
        (rb".*", [], []),
        (rb"abc|", [], []),
        (rb"abc(?:d", [], []),
        (rb"^*abc", [], []),
        (rb"abc\1", [], []),
        (rb"abc[[.a.]]", [], []),
        (rb"abc[", [], []),
        (rb"abc)", [], []),
        (rb"abc{x", [], []),
        (b"abc\\", [], []),
    ],
)
def test_what_is_needed(syntax: object, pattern: bytes, start: list[bytes], inside: list[bytes]) -> None:
    found = need(pattern, syntax, multiline=False)  # type: ignore[arg-type]
    assert (sorted(found.start), sorted(found.inside)) == (start, inside)


def test_the_engines_do_not_agree_on_escapes() -> None:
    assert need(rb"\<abc", POSIX, multiline=False).inside == (b"abc",)
    assert need(rb"\<abc", PERL, multiline=False).inside == (b"<abc",)
    assert need(rb"\dabc", PERL, multiline=False).inside == (b"abc",)
    assert need(rb"\dabc", POSIX, multiline=False) == NOTHING
    assert need(rb"[\]abc]def", PERL, multiline=False).inside == (b"def",)
    assert need(rb"[\]abc]def", POSIX, multiline=False) == NOTHING


def test_with_several_lines_nothing_is_at_the_start() -> None:
    assert need(rb"^abc", PERL, multiline=True) == Need((), (b"abc",))


@pytest.mark.parametrize("pattern", [rb"a(b+)+xyz", rb"a(b)*xyz", rb"a*b*c*d*xyz"])
def test_patterns_that_may_exceed_a_limit_are_left_to_the_engine(pattern: bytes) -> None:
    """Or the operator would not be warned."""
    assert need(pattern, PERL, multiline=False) == NOTHING


def test_tests_of_several_patterns() -> None:
    found = combined([Need((b"abc", b"abd", b"x.")), Need((), (b"needle",)), Need((b"to: ",), (b"@you", b"@me"))])

    def passes(subject: bytes) -> bool:
        return any(first(subject) and (second is None or second(subject)) for first, second in found)

    assert all(map(passes, (b"abd", b"x.", b"a needle", b"to: a@me")))
    assert not any(map(passes, (b"", b"ab", b" abc", b"xy", b"to: me", b"from: a@me", b"need")))


ATOMS = [
    *rb"a b B ab bA x - : @ \. \- \/ \@ . [ab] [^ab] []a] [^]a] [a-] [[:alpha:]] [[:space:]x] [a[] [a\] [\]a]".split(),
    *rb"^ $ \b \B \< \> \w \W \s \d \` \' \A \z \n ( ) ( ) | (a|b) (ab) (^a|b$) () (|a) (?:a) (?i) (?=a) (*F)".split(),
    *rb"* + ? {2} {0} {,1} {1,} { } ] *? ++ +? ?? +* \1 \Qa*\E \x41 \ # (a)\1 [[:<:]] [[.a.]] [[=a=]] \R \K".split(),
    *(b" ", b"\t", b"\\ ", b"\xc3", b"\xe9"),
]
PATTERNS = st.lists(st.sampled_from(ATOMS), min_size=1, max_size=9).map(b"".join)
TEXTS = [
    *rb"a b A B ab x - : . / @ \ ] [ < ' ` d * { } {,1} 1 aab # ^ n".split(),
    *(b" ", b"\n", b"\t", b"\xc3", b"\xe9"),
]
SUBJECTS = st.lists(st.sampled_from(TEXTS), max_size=8).map(b"".join)


@pytest.mark.parametrize("kind", ENGINES)
@settings(max_examples=1500, deadline=None)
@given(data=st.data())
def test_what_matches_has_what_is_needed(kind: str, data: st.DataObject) -> None:
    dialect = ENGINES[kind]
    text = data.draw(PATTERNS)
    options = dialect.default
    for letter in data.draw(st.sampled_from([b"", b"i", b"m", b"im", b"A", b"E", b"U", b"s"])):
        options ^= dialect.options.get(bytes((letter,)), 0)
    try:
        pattern = dialect.compile(text, options, False)
    except PatternError:
        return
    needed = dialect.need(text, options)
    for subject in data.draw(st.lists(SUBJECTS, min_size=1, max_size=12)):
        try:
            matches = pattern.matches(subject)
        except PatternError:
            continue
        if matches:
            lower = subject.lower()
            assert not needed.start or lower.startswith(needed.start), (text, subject)
            assert not needed.inside or any(literal in lower for literal in needed.inside), (text, subject)
            assert needed.literal() in lower


def opened(kind: str, path: Path) -> Table:
    return Opener(TableSettings(utf8=True, open_error_is_fatal=True, version=(3, 7, 11))).open(
        f"{kind}:{path}", TableFlags.LOCK
    )


WORDS = "abc abd xyz x spam sp ^abc ^subject: ^(abc|xyz) .* [0-9]+ (a+)+ $ é".split()  # noqa: SIM905
STARTS = ["", "", "", "", "", "!", "if ", "if !"]
RULES = st.tuples(st.sampled_from(STARTS), st.lists(st.sampled_from(WORDS), min_size=1, max_size=3))
LINES = st.lists(RULES | RULES | RULES | st.just("endif"), min_size=1, max_size=25)
PARTS = ["", "abc", "subject:", "xyz", "q"], ["", "abd", "SPAM", "12", "é"], ["", "x", "aab"]
KEYS = ["".join(parts) for parts in itertools.product(*PARTS)]


@pytest.mark.parametrize("kind", ENGINES)
@settings(max_examples=150, deadline=None)
@given(lines=LINES)
def test_tables_answer_alike_with_and_without(
    kind: str, tmp_path_factory: pytest.TempPathFactory, lines: list[str | tuple[str, list[str]]]
) -> None:
    path = tmp_path_factory.mktemp("rules") / "rules"
    path.write_text(
        "".join(
            f"{line}\n" if isinstance(line, str) else f"{line[0]}/{''.join(line[1])}/ answer{number}\n"
            for number, line in enumerate(lines)
        )
    )
    table = opened(kind, path)
    with mock.patch(f"postfix_smtp.tables.{kind}.need", return_value=NOTHING):
        plain = opened(kind, path)
    for key in KEYS:
        assert table.lookup(key) == plain.lookup(key)
