"""The same look-ups by this program and by an installed Postfix: answers and warnings are the same."""

import os
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from compat.database_files import swap_berkeley
from compat.postmap import Postmap, postmap_path
from postfix_smtp.errors import FatalError, TableError
from postfix_smtp.tables.base import TableFlags
from postfix_smtp.tables.opening import Opener, TableSettings

pytestmark = [
    pytest.mark.sidebyside,
    pytest.mark.skipif(postmap_path() is None, reason="no Postfix is installed"),
]
FLAGS = TableFlags.FOLD_FIX | TableFlags.UTF8_REQUEST | TableFlags.LOCK


@pytest.fixture
def postmap(tmp_path: Path) -> Postmap:
    return Postmap(tmp_path)


def ours(spec: str, keys: Sequence[str]) -> tuple[dict[str, str], str]:
    """Answers by key, and what made the table fail."""
    opener = Opener(TableSettings(utf8=True, open_error_is_fatal=True, version=(3, 7, 11)))
    answers: dict[str, str] = {}
    problem = ""
    try:
        table = opener.open(spec, FLAGS)
        for key in keys:
            value = table.lookup(key)
            if value is not None:
                answers[key] = value
    except FatalError as error:
        problem = f"fatal: {error}"
    except TableError:
        problem = f"fatal: table {spec}: query error"
    opener.close()
    return answers, problem


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Our log lines as postmap would print them."""
    lines = [f"{record.levelname.lower()}: {record.getMessage()}" for record in caplog.records]
    return ["".join("?" if "\udc80" <= char <= "\udcff" or char < " " else char for char in line) for line in lines]


def of_look_ups(line: str) -> bool:
    """What postmap says when an answer is empty, the caller says in this program."""
    return "empty string result" in line or "should return NO RESULT" in line


class Rules:
    """Makes files of random rules."""

    ATOMS = (
        *(["a", "b", "ab", "x", "xyz", "(a|ab)", "(x|xyz)", "(y?)", "(c|bcd)", "(d*)", ".", "[a-c]", "[^x]"] * 4),
        *(["^", "$", "a*", "b+", "(a+)+", "\\.", "[[:alpha:]]", "\\<", "\\w", "\\b", "(b)?", "|", "a{2}", "é"] * 2),
        *["(", "[", ")", "{", "*", "\\1", "(?:a)", "(?i)", "\\d", "\\/", ""],
    )
    OPTIONS = ("", "", "", "", "", "", "i", "m", "x", "im", "ii", "A", "E", "U", "s", "X", "q", "xi")
    TEXTS = (
        *("t", "val one", "$1", "<$1>", "<$1$2>", "${1}", "$(2)", "$$1", "", "$0", "$x", "a${1"),
        *("$", "$9", "é$1", "!/a/ z", " !/b/ $1", "$01", "$(1}", "$99999999999"),
    )
    KEYS = (
        *("a", "ab", "abcd", "xyz", "x", "xyzab", "aab", "aaa", "bcd", "a.b", "A", "AB", "é", "ab é", "/"),
        *("a/b", "d", "cc", "zzz", "xyzxyz", "aaab", "b", "yx"),
    )

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def pattern(self) -> str:
        delimiter = self._chance.choice("////////|,;\"%'")
        text = "".join(self._chance.choice(self.ATOMS) for _ in range(self._chance.randint(0, 5)))
        closing = delimiter if self._chance.random() < 0.97 else ""
        return f"{delimiter}{text}{closing}{self._chance.choice(self.OPTIONS)}"

    def negation(self) -> str:
        return self._chance.choice(["", "", "", "", "", "", "!", "! ", "!!"])

    def rule(self) -> str:
        number = self._chance.random()
        if number < 0.12:
            start = self._chance.choice(["if ", "IF ", "if", "  if "])
            return f"{start}{self.negation()}{self.pattern()}{self._chance.choice(['', '', '', ' extra'])}"
        if number < 0.24:
            return self._chance.choice(["endif", "ENDIF", "endif x"])
        first = f"{self.negation()}{self.pattern()}"
        if number < 0.34:
            first += f"!{self.negation()}{self.pattern()}"
        elif number < 0.36:
            return self._chance.choice(["foo", "!", "#c", "", "/", "9", "endifx"])
        return f"{first}{self._chance.choice([' ', '  ', chr(9)])}{self._chance.choice(self.TEXTS)}"

    def lines(self) -> list[str]:
        return [self.rule() for _ in range(self._chance.randint(1, 30))]


class CidrRules(Rules):
    NETWORKS = (
        *(["10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/24", "10.1.1.1", "0.0.0.0/0", "::/0", "2001:db8::/32"] * 3),
        *(
            ["[2001:db8::1]", "[2001:db8::]/33", "[2001:db8::/34]", "::1/128", "[1.2.3.0/24]", "::ffff:10.0.0.0/104"]
            * 2
        ),
        *("10.1.1.1/24", "10.1", "1.2.3.4/33", "1.2.3.4/x", "[::1", "[::1]x", "", "1.2.3.4/", "/8", "300.1.1.1"),
        *("1.2.3.4/-1", "01.2.3.4", "[1.2.3.4]", "1.2.3.4/032", "::1/129"),
    )
    KEYS = (
        *("10.1.1.1", "10.1.2.3", "10.2.0.0", "11.0.0.1", "2001:db8::1", "2001:DB8::2", "2001:db8:8000::1", "::1"),
        *("::ffff:10.0.0.1", "foo", "10.1.1", "10.1.1.01", "1.2.3.4", "[::1]", "1.2.3.4 "),
    )

    def rule(self) -> str:
        number = self._chance.random()
        network = f"{self.negation()}{self._chance.choice(self.NETWORKS)}"
        if number < 0.15:
            start = self._chance.choice(["if ", "IF ", "if", "if\t"])
            return f"{start}{network}{self._chance.choice(['', '', '', ' extra'])}"
        if number < 0.3:
            return self._chance.choice(["endif", "ENDIF", "endif x"])
        return f"{network}{self._chance.choice([' ', '  ', chr(9)])}{self._chance.choice(['v1', 'v2 w', '', 'v3'])}"


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("kind", ["regexp", "pcre", "cidr"])
def test_rules(kind: str, seed: int, postmap: Postmap, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rules = CidrRules(seed) if kind == "cidr" else Rules(seed)
    path = tmp_path / "rules"
    path.write_text("".join(f"{line}\n" for line in rules.lines()))
    theirs = postmap.answers(f"{kind}:{path}", rules.KEYS)
    answers, problem = ours(f"{kind}:{path}", rules.KEYS)
    assert not problem
    assert answers == theirs.values
    assert logged(caplog) == [line for line in theirs.log if not of_look_ups(line)]


def entries(chance: random.Random, longest_key: int) -> dict[str, str]:
    found: dict[str, str] = {}
    count = chance.choice([0, 1, 2, 5, 20, 100, 1000, 4000])
    longest_value = chance.choice([5, 50, 1000, 10000])
    for number in range(count):
        key = f"{chance.getrandbits(chance.choice([8, 32, 64])):x}"
        if chance.random() < 0.05:
            key = (key * longest_key)[: chance.randint(1, longest_key)]
        if chance.random() < 0.05:
            key = f"é{key}"
        value = f"v{number}"
        if chance.random() < 0.05:
            value += "x" * chance.randint(1, longest_value)
        found.setdefault(key, value)
    return found


def absent(present: dict[str, str]) -> Iterator[str]:
    yield from (key for number in range(200) if (key := f"{number:x}") not in present)
    yield from (f"none{number}" for number in range(50))
    yield from (key + "x" for key in list(present)[:50] if key + "x" not in present)


@pytest.mark.parametrize("seed", range(16))
@pytest.mark.parametrize("kind", ["hash", "btree", "cdb", "lmdb"])
def test_database_files(kind: str, seed: int, postmap: Postmap, tmp_path: Path) -> None:
    chance = random.Random(seed)
    present = entries(chance, 400 if kind == "lmdb" else chance.choice([20, 400, 3000]))
    source = tmp_path / "source"
    source.write_text("".join(f"{key} {value}\n" for key, value in present.items()))
    assert not postmap.build(f"{kind}:{source}")
    keys = [*present, *absent(present)]
    answers, problem = ours(f"{kind}:{source}", keys)
    assert not problem
    assert answers == present
    assert answers == postmap.answers(f"{kind}:{source}", keys).values


@pytest.mark.parametrize("settles", [-(10**12), 5 * 10**9])
@pytest.mark.parametrize("kind", ["hash", "btree", "lmdb"])
def test_files_rewritten_between_look_ups(
    kind: str, settles: int, postmap: Postmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By postmap, and by copying another file over it, which may have the same head."""
    monkeypatch.setattr("postfix_smtp.tables.branches._SETTLES", settles)
    source = tmp_path / "source"
    spec = f"{kind}:{source}"
    opener = Opener(TableSettings(utf8=True, open_error_is_fatal=True, version=(3, 7, 11)))
    for number in range(6):
        present = {f"{number}user{key * (number + 3)}": f"value{number}{key}" for key in range(9000 if number else 0)}
        other = source if number % 2 == 0 else tmp_path / "other"
        other.write_text("".join(f"{key} {value}\n" for key, value in present.items()))
        postmap.build(f"{kind}:{other}")
        if other is not source:
            suffix = "lmdb" if kind == "lmdb" else "db"
            # Another tick of the file system's clock is another time of change, which a file in use always has.
            before = os.stat(f"{source}.{suffix}").st_ctime_ns
            while os.stat(f"{source}.{suffix}").st_ctime_ns == before:
                shutil.copyfile(f"{other}.{suffix}", f"{source}.{suffix}")
        table = opener.open(spec, FLAGS)
        keys = random.Random(number).sample(sorted(present), min(300, len(present)))
        assert [table.lookup(key) for key in keys] == [present[key] for key in keys]
        assert [table.lookup(f"{key}x") for key in keys] == [None] * len(keys)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", ["hash", "btree"])
def test_files_of_a_machine_of_the_other_byte_order(kind: str, seed: int, postmap: Postmap, tmp_path: Path) -> None:
    chance = random.Random(seed)
    present = entries(chance, chance.choice([20, 400, 3000]))
    source = tmp_path / "source"
    source.write_text("".join(f"{key} {value}\n" for key, value in present.items()))
    postmap.build(f"{kind}:{source}")
    file = tmp_path / "source.db"
    file.write_bytes(swap_berkeley(file.read_bytes()))
    keys = [*present, *absent(present)]
    answers, problem = ours(f"{kind}:{source}", keys)
    assert not problem
    assert answers == present
    assert answers == postmap.answers(f"{kind}:{source}", keys).values


@pytest.mark.parametrize("kind", ["hash", "btree", "cdb", "lmdb"])
def test_large_files_cut_short(kind: str, postmap: Postmap, tmp_path: Path) -> None:
    present = {f"key{number}": f"value{number}" + "x" * (number % 3 * 2000) for number in range(1000)}
    source = tmp_path / "source"
    source.write_text("".join(f"{key} {value}\n" for key, value in present.items()))
    postmap.build(f"{kind}:{source}")
    file = next(tmp_path.glob("source.*"))
    whole = file.read_bytes()
    for pages in range(1, len(whole) // 4096, 29):
        file.write_bytes(whole[: pages * 4096])
        for key in list(present)[::100]:
            answers, problem = ours(f"{kind}:{source}", [key])
            assert problem or answers == {key: present[key]}


def test_sources_of_text_tables(postmap: Postmap, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(7)
    pieces = ["a", "b", '"', "\\", " ", "\t", ":", "é", "key", "value", "#", "\n", "\n", "\n ", "\udcff", "=", "c d"]
    for number in range(60):
        lines = [f"k{chance.randint(0, 99999)} v{index}" for index in range(4)]
        lines += ["".join(chance.choice(pieces) for _ in range(chance.randint(1, 12))) for _ in range(6)]
        path = tmp_path / f"source{number}"
        path.write_text("\n".join(lines) + "\n", errors="surrogateescape")
        os.utime(path, (1, 1))
        keys = [line.split()[0] for line in lines if line.split()]
        caplog.clear()
        theirs = postmap.answers(f"texthash:{path}", [key for key in keys if "\udcff" not in key])
        if any("duplicate entry" in line for line in theirs.log):
            continue
        answers, problem = ours(f"texthash:{path}", [key for key in keys if "\udcff" not in key])
        assert not problem
        assert answers == theirs.values
        assert logged(caplog) == theirs.log
