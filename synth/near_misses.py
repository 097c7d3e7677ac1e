"""Answers that a lax comparison would let pass: a part of the right one, more than it, its neighbour among the numbers,
its negative, its items in another order, what is no number, or a name of the world that differs in case alone."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from ..envs.mutations import mutate_answer
from ..envs.types import Answer, Json, Task, canonical
from ..verifiers.answers import normalise
from .stage import Solution, Stage, must_fail

_SHORTEST = 4
_WHOLE = re.compile(r"-?\d{1,15}")
_NUMBER = re.compile(r"(-?)(\d+(?:\.\d+)?)")
_LOOSE = re.compile(
    r"\b(about|approximately|roughly|within|nearest|tolerance|any|up to|at least|at most|or more|accepted)\b|±",
    re.IGNORECASE,
)
_ORDERED = re.compile(r"\b(in \w+ order|sorted|ordered by|ranked|ascending|descending)\b", re.IGNORECASE)
_FREE = re.compile(r"\bany order\b|\border (is free|does not matter|doesn't matter)", re.IGNORECASE)


def near_misses(stage: Stage, solution: Solution) -> str:
    """The check `near_misses_fail`, for answers that are texts, numbers or lists."""
    tried: list[str] = []
    for what, answer in _near(solution.answer, stage.task):
        must_fail(stage.judge(answer), f"{what}, {canonical(answer)[:200]},")
        tried.append(what)
    if not tried:
        return "not made: the answer is neither a number, a list nor a text of some length"
    return f"these fail: {', '.join(dict.fromkeys(tried))}"


def _near(right: Answer, task: Task) -> Iterator[tuple[str, Answer]]:
    if isinstance(right, dict) and len(right) == 1:
        ((name, inner),) = right.items()
        if isinstance(inner, list):
            yield from ((what, {name: answer}) for what, answer in _lists(inner, task))
    if isinstance(right, list):
        yield from _lists(right, task)
    if not isinstance(right, bool) and _WHOLE.fullmatch(str(right)) and not _LOOSE.search(task.prompt):
        for step, what in ((1, "one more"), (-1, "one less")):
            yield what, int(right) + step if isinstance(right, int) else str(int(right) + step)
    if not isinstance(right, bool) and (number := _NUMBER.fullmatch(str(right))) and float(str(right)):
        negated = number[2] if number[1] else f"-{right}"
        yield "its negative", negated if isinstance(right, str) else type(right)(negated)
    if isinstance(right, str):
        yield from ((f"the word {text}", text) for text in ("nan", "inf"))
        yield from _hedges(right, task)
    if isinstance(right, str) and len(right) >= _SHORTEST:
        yield from _texts(right, task)


def _lists(right: list[Json], task: Task) -> Iterator[tuple[str, Answer]]:
    """Where the order counts is known only where the question says so."""
    if right:
        more = mutate_answer(random.Random(task.seed), right[-1], task.world)
        if more not in right:
            yield "it with an item more", [*right, more]
    if len(right) > 1:
        yield "it without its last item", right[:-1]
        if right != right[::-1] and _order_counts(task.prompt):
            yield "its items backwards", right[::-1]


def _order_counts(prompt: str) -> bool:
    return _ORDERED.search(prompt) is not None and not _FREE.search(prompt)


def _texts(right: str, task: Task) -> Iterator[tuple[str, str]]:
    half = max(2, len(right) // 2)
    variations = (
        ("its first half", right[:half]),
        ("its last half", right[-half:]),
        ("its first two letters", right[:2]),
        ("it with more behind", f"{right} {right[:half]}"),
        ("it among others", f"one, two, {right}, three"),
    )
    for what, text in variations:
        if normalise(text) and normalise(text) != normalise(right) and not _same_number(text, right):
            yield what, text
    items = right.split(", ")
    if items != items[::-1] and _order_counts(task.prompt):
        yield "its items backwards", ", ".join(items[::-1])
    for text in _namesakes(right, task.world):
        yield "a neighbour in other case", text


def _hedges(right: str, task: Task) -> Iterator[tuple[str, str]]:
    """The right one beside a wrong one, for whoever looks for it anywhere."""
    wrong = mutate_answer(random.Random(task.seed), right, task.world)
    if _LOOSE.search(task.prompt):
        return
    if right and isinstance(wrong, str) and normalise(wrong) not in ("", normalise(right)):
        yield "it or another", f"{wrong} or {right}"
        yield "it and another on two lines", f"{right}\n{wrong}"


def _same_number(one: str, other: str) -> bool:
    """Whether both are numbers and equal, as 496 and 496.00 are."""
    return all(_NUMBER.fullmatch(text) for text in (one, other)) and float(one) == float(other)


def _namesakes(right: str, at: Json) -> Iterator[str]:
    """Texts that stand beside the right one, as keys or items of one object or list, and differ from it in case."""
    names = [name for name in at if isinstance(name, str)] if isinstance(at, dict | list) else []
    if right in names:
        yield from (name for name in names if name != right and name.casefold() == right.casefold())
    for child in at.values() if isinstance(at, dict) else at if isinstance(at, list) else ():
        yield from _namesakes(right, child)
