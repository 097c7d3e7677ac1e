"""Put named parts together into a verdict: all of them, their weighted mean, the weakest, with gates and bonuses.

A part that is a `gate` rules wherever it stands: unless it is fully satisfied the reward is 0.
"""

from __future__ import annotations

from collections.abc import Iterable

from .types import Part, Verdict


def check(name: str, passed: bool, detail: str = "") -> Part:
    """A part that is either satisfied or not."""
    return Part(name=name, score=1.0 if passed else 0.0, detail=detail)


def gate(name: str, passed: bool, detail: str = "") -> Part:
    """A condition of every reward: it earns nothing where it holds and costs everything where it does not."""
    return Part(name=name, score=1.0 if passed else 0.0, weight=0.0, gate=True, detail=detail)


def all_of(parts: Iterable[Part]) -> Verdict:
    """Reward 1 when every part is fully satisfied, else 0. An empty list is a mistake of the caller: it would always
    pass.
    """
    found = _some("all_of", parts)
    return Verdict(reward=1.0 if all(part.passed for part in found) else 0.0, parts=found)


def weighted(parts: Iterable[Part]) -> Verdict:
    """Reward is the weighted mean of the parts' scores, or 0 where a gate is shut. ValueError where nothing weighs."""
    found = _some("weighted", parts)
    total = sum(part.weight for part in found)
    if total <= 0:
        raise ValueError("weighted needs parts with a positive total weight")
    mean = sum(part.weight * part.score for part in found) / total
    return Verdict(reward=_within(mean, found), parts=found)


def minimum(parts: Iterable[Part]) -> Verdict:
    """Reward is the lowest score of all parts, or 0 where a gate is shut."""
    found = _some("minimum", parts)
    return Verdict(reward=_within(min(part.score for part in found), found), parts=found)


def with_bonuses(verdict: Verdict, bonuses: Iterable[Part]) -> Verdict:
    """`verdict` with some of what it lacks to 1 made up: reward + (1 - reward) * sum(weight * score).

    A bonus is for those who earned something: a reward of 0 stays 0, an invalid verdict invalid, and a gate among the
    bonuses that is shut shuts all. The weights must sum to less than 1, so that no bonus makes a full reward out of one
    that is not; ValueError else.
    """
    found = tuple(bonuses)
    total = sum(part.weight for part in found)
    if total >= 1:
        raise ValueError(
            f"the bonuses weigh {total:g}: they must weigh less than 1 in all, or they could replace the task"
        )
    parts = verdict.parts + found
    if not verdict.reward:
        return verdict.model_copy(update={"parts": parts})
    share = sum(part.weight * part.score for part in found)
    return verdict.model_copy(
        update={"reward": _within(verdict.reward + (1 - verdict.reward) * share, found), "parts": parts}
    )


def _some(what: str, parts: Iterable[Part]) -> tuple[Part, ...]:
    found = tuple(parts)
    if not found:
        raise ValueError(f"{what} needs at least one part: an empty verdict would pass everything")
    return found


def _within(reward: float, parts: tuple[Part, ...]) -> float:
    """`reward` in [0, 1] in spite of rounding, and 0 where a gate is shut. What is not full is not rounded up to 1."""
    if any(part.gate and not part.passed for part in parts):
        return 0.0
    return min(1.0, max(0.0, reward))
