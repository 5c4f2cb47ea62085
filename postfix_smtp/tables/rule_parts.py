"""Rules with conditions, cut into parts that can be dealt with as one (tables chapter 8 and 9)."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple


class Part(NamedTuple):
    """Some rules that follow each other and of which each is tried if none before it applies.

    Attributes:
        first: number of the first rule.
        behind: number of the rule behind the last.
        end: 0, or the part is a condition, and this the number of the part behind all that depends on it.
    """

    first: int
    behind: int
    end: int


def parts(ends: Sequence[int], kinds: Sequence[Hashable]) -> list[Part]:
    """Cut a list of rules.

    Args:
        ends: for each condition the number of the first rule that does not depend on it, for other rules 0.
        kinds: for each rule; those of different kinds do not come into the same part.
    """
    targets = set(ends)
    starts = [
        number
        for number in range(len(ends))
        if number == 0 or number in targets or ends[number] or ends[number - 1] or kinds[number] != kinds[number - 1]
    ]
    bounds = [*starts, len(ends)]
    part_at = {start: number for number, start in enumerate(bounds)}
    return [
        Part(first, behind, part_at[ends[first]] if ends[first] else 0)
        for first, behind in zip(starts, bounds[1:], strict=True)
    ]
