"""The kinds of questions, each with its worked steps and the answers that slips would give."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..names import Names

_DAY = 24 * 60
_ORDINALS = ("", "second ", "third ", "fourth ")


@dataclass(frozen=True)
class Puzzle:
    """A question, the steps that lead to its answer, the answer, and at least two different wrong ones."""

    question: str
    steps: tuple[str, ...]
    answer: str
    wrong: tuple[str, ...]


def arithmetic(rng: random.Random, steps: int) -> Puzzle:
    """A chain of sums and products; no intermediate result is negative or above 999."""
    start = value = rng.randint(2, 20)
    said, worked, deltas = [], [], []
    for _ in range(steps):
        text, symbol, number, after = _operation(rng, value)
        said.append(text)
        worked.append(f"{value} {symbol} {number} = {after}.")
        deltas.append(after - value)
        value = after
    question = f"Start with {start}. {' '.join(said)} What is the result?"
    return Puzzle(question, tuple(worked), str(value), _slips(value, deltas))


def _operation(rng: random.Random, value: int) -> tuple[str, str, int, int]:
    number = rng.randint(2, 9)
    choices = [(f"Add {number}.", "+", number, value + number)]
    if value >= number:
        choices.append((f"Subtract {number}.", "-", number, value - number))
    if value and value * 3 <= 300:
        factor = rng.choice((2, 3))
        choices.append((f"Multiply by {factor}.", "*", factor, value * factor))
    return rng.choice(choices)


def _slips(value: int, deltas: Sequence[int]) -> tuple[str, ...]:
    """One step left out, one done the wrong way round, off by one: whatever differs."""
    found = {value - delta for delta in deltas} | {value - 2 * delta for delta in deltas} | {value + 1, value + 10}
    return tuple(str(one) for one in sorted(found - {value}) if one >= 0)


def order(rng: random.Random, steps: int) -> Puzzle:
    """Who is older than whom, told in a shuffled order; neighbours among `steps` + 2 people are compared."""
    names = Names(rng)
    people = [names.draw(2) for _ in range(steps + 2)]
    told = [f"{older} is older than {younger}." for older, younger in pairwise(people)]
    rng.shuffle(told)
    place = rng.randrange(min(len(people), len(_ORDINALS)))
    answer = people[place]
    worked = [f"{older} before {younger}." for older, younger in pairwise(people)]
    question = f"{' '.join(told)} Who is the {_ORDINALS[place]}oldest?"
    return Puzzle(question, tuple(worked), answer, tuple(name for name in people if name != answer))


def clock(rng: random.Random, steps: int) -> Puzzle:
    """A time of day and the minutes of several legs; the day may turn."""
    begin = at = rng.randrange(0, _DAY, 5)
    legs = [rng.randrange(10, 180, 5) for _ in range(steps)]
    worked = []
    for leg in legs:
        after = (at + leg) % _DAY
        worked.append(f"{_time(at)} + {leg} min = {_time(after)}.")
        at = after
    takes = ", then ".join(f"{leg} minutes" for leg in legs)
    wrong = {(at - leg) % _DAY for leg in legs} | {(at + 60) % _DAY, (at + 10) % _DAY}
    return Puzzle(
        f"It is {_time(begin)}. A journey takes {takes}. What time is it then?",
        tuple(worked),
        _time(at),
        tuple(_time(one) for one in sorted(wrong - {at})),
    )


def _time(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


KINDS: dict[str, Callable[[random.Random, int], Puzzle]] = {"arithmetic": arithmetic, "clock": clock, "order": order}
