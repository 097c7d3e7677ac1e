"""Plausible wrong answers made from right ones: another name of the same world, a shifted number, a dropped or
swapped item.
"""

from __future__ import annotations

import copy
import random
from typing import Any

from .types import Answer, World, canonical

Path = tuple[str | int, ...]


def mutate_answer(rng: random.Random, answer: Answer, world: World) -> Answer:
    """Change one leaf (or one list's items) of `answer`; texts are replaced by other texts of `world`. Never returns
    `answer`.
    """
    changed = copy.deepcopy(answer)
    leaves = list(_leaves(changed))
    if not leaves:
        return "none"
    path, value = rng.choice(leaves)
    other = _other(rng, value, world)
    if canonical(other) == canonical(value):
        other = f"{value} II"
    return _replaced(changed, path, other)


def _leaves(value: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    if isinstance(value, dict):
        return [leaf for key in value for leaf in _leaves(value[key], (*path, key))]
    if isinstance(value, list):
        return [leaf for index, item in enumerate(value) for leaf in _leaves(item, (*path, index))]
    return [(path, value)]


def _other(rng: random.Random, value: Any, world: World) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + rng.choice([-10, -2, -1, 1, 2, 10])
    if value is None:
        return 0
    texts = sorted({leaf for _, leaf in _leaves(world) if isinstance(leaf, str) and leaf != value and len(leaf) < 80})
    return rng.choice(texts) if texts else f"not {value}"


def _replaced(root: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    at = root
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return root
