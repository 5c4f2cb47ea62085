"""Scenarios made up by chance, with fixed seeds; ``python -m compat.sidebyside.fuzz`` plays any number of others."""

import pytest

from compat.sidebyside.fuzz import KINDS, compare
from compat.sidebyside.pool import Worker

#: Those in which nobody waits for a time limit.
SEEDS = [
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    13,
    14,
    15,
    16,
    17,
    18,
    19,
    20,
    21,
    22,
    23,
    25,
    26,
    29,
    30,
    31,
    32,
    33,
    34,
    35,
    36,
    37,
    38,
    39,
    40,
    41,
    43,
    44,
    45,
    46,
    47,
    48,
    49,
    50,
    51,
    52,
    53,
    54,
    56,
    57,
    58,
    59,
    60,
    61,
    62,
    63,
    64,
]


ALL = [*(("mail", seed) for seed in SEEDS), *((kind, seed) for kind in ("sasl", "tls") for seed in range(50, 80))]


@pytest.mark.sidebyside
@pytest.mark.parametrize(("kind", "seed"), ALL)
def test_like_postfix(kind: str, seed: int, worker: Worker) -> None:
    verdict, rows = compare(worker, KINDS[kind](seed))
    assert verdict == "same", "\n".join(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_makes_one_scenario(kind: str) -> None:
    make = KINDS[kind]
    assert make(1) == make(1) != make(2)
