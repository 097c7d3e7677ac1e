"""What every kind of problem gives."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Problem:
    """A question with one exact answer. `cells` are (why, code) of a solution, the last of which prints the answer; it
    goes another way than the code here that computed `answer`. `wrong` are answers that slips lead to, most telling
    first. With `names`, the answer is one of the names that the question or the data speak of.
    """

    question: str
    answer: str
    cells: tuple[tuple[str, str], ...]
    wrong: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    names: bool = False


Maker = Callable[[random.Random, int], Problem]
"""(rng, level from 1) -> a problem; ProposeFailed where this draw gives none."""


def near(answer: int, rng: random.Random, *slips: int) -> tuple[str, ...]:
    """Wrong numbers: the slips first, then neighbours."""
    others = [
        *slips,
        answer + 1,
        answer - 1,
        2 * answer + 1,
        answer + rng.randrange(2, 10),
        answer // 2 - 3,
        -answer - 7,
    ]
    return tuple(dict.fromkeys(str(other) for other in others if other != answer))
