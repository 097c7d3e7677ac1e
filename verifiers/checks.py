"""Put named parts together into a verdict."""

from __future__ import annotations

from collections.abc import Iterable

from .types import Part, Verdict


def check(name: str, passed: bool, detail: str = "") -> Part:
    """A part that is either satisfied or not."""
    return Part(name=name, score=1.0 if passed else 0.0, detail=detail)


def all_of(parts: Iterable[Part]) -> Verdict:
    """Reward 1 when every part is fully satisfied, else 0. An empty list is a mistake of the caller: it would always
    pass.
    """
    found = tuple(parts)
    if not found:
        raise ValueError("all_of needs at least one part: an empty verdict would pass everything")
    return Verdict(reward=1.0 if all(part.passed for part in found) else 0.0, parts=found)


def weighted(parts: Iterable[Part]) -> Verdict:
    """Reward is the weighted mean of the parts' scores."""
    found = tuple(parts)
    total = sum(part.weight for part in found)
    if total <= 0:
        raise ValueError("weighted needs parts with a positive total weight")
    return Verdict(reward=min(1.0, sum(part.weight * part.score for part in found) / total), parts=found)
