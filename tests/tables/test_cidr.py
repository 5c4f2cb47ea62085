import random
import socket

import pytest

from postfix_smtp.tables.base import Table, TableFlags
from postfix_smtp.tables.opening import Opener, TableSettings


def table(rules: list[str]) -> Table:
    opener = Opener(TableSettings(utf8=True, open_error_is_fatal=True, version=(3, 7, 11)))
    return opener.open(f"cidr:{{{', '.join(f'{{{rule}}}' for rule in rules)}}}", TableFlags.LOCK)


def network(chance: random.Random) -> str:
    length = chance.choice([6, 8, 24, 31, 32])
    address = chance.randrange(2**10) * 0x00400801 % 2**32 >> 32 - length << 32 - length
    text = socket.inet_ntoa(address.to_bytes(4, "big"))
    return f"::{text}/{96 + length}" if chance.random() < 0.3 else f"{text}/{length}"


@pytest.mark.parametrize("seed", range(30))
def test_many_networks_are_searched_like_one_by_one(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    rules = [f"{network(chance)} value{number}" for number in range(300)]
    for first, last in ((30, 80), (150, 200)):
        rules.insert(last, "endif")
        rules.insert(first, chance.choice(["if 0.0.0.0/1", "if !0.0.0.0/1", "if ::/0"]))
    if seed % 3 == 0:
        rules.insert(chance.randrange(300), f"!{network(chance)} negated")
    keys = [network(chance).partition("/")[0] for _ in range(300)]
    fast = table(rules)
    assert any(step._by_length is not None for step in fast._steps)  # type: ignore[attr-defined]
    monkeypatch.setattr("postfix_smtp.tables.cidr._WORTH_IT", 10**6)
    slow = table(rules)
    assert all(step._by_length is None for step in slow._steps)  # type: ignore[attr-defined]
    answers = [slow.lookup(key) for key in keys]
    assert [fast.lookup(key) for key in keys] == answers
    assert len(set(answers)) > 5
