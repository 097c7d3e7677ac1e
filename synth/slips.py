"""What a verifier that looks at the final state must notice: one action of the right way left out, or a wrong answer
given in a world that is right.

Wrong answers alone are judged in an untouched world, where a verdict from the state fails whatever was answered; so
they are judged here where the oracle's calls were made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..envs.types import Answer, ToolCall, canonical, plain_copy
from ..verifiers.types import Verdict
from .stage import Solution, Stage, must_fail

OMISSIONS, BOXED_OMISSIONS = 10, 3
"""How many calls are left out, one at a time; fewer where every play takes a sandbox."""
_NOTHING = object()
Path = tuple[str, ...]


@dataclass(frozen=True)
class _End:
    """What `verify` was given, flat, and what it said."""

    leaves: dict[Path, Any]
    verdict: Verdict
    told: dict[int, str]
    """Results by the number of the call; not that of handing in."""


def state_slips(stage: Stage, solution: Solution, wrong: Sequence[Answer]) -> str:
    """The check `slips_fail`. AssertionError names the slip that passes."""
    calls = solution.calls[:-1] if solution.submitted else solution.calls
    if not calls:
        return "not made: the right way has no calls"
    told = [_wrong_answers(stage, calls, wrong), _omissions(stage, solution)]
    return "; ".join(told)


def _wrong_answers(stage: Stage, calls: Sequence[ToolCall], wrong: Sequence[Answer]) -> str:
    """In the world that the oracle left, unless there the state alone decides."""
    if stage.play(calls, None).verdict.passed and stage.play(calls, "").verdict.passed:
        return "the state alone decides, answers are not looked at"
    for answer in wrong:
        must_fail(
            stage.play(calls, answer).verdict, f"in a world that is right, the wrong answer {canonical(answer)[:200]}"
        )
    return f"{len(wrong)} wrong answers fail in a world that is right"


def _omissions(stage: Stage, solution: Solution) -> str:
    """Leave one call out at a time. Where the final state is another one then, more than by what every call changes,
    by chance, or by a count of one, the verdict must see it.
    """
    boxed = stage.make().image is not None
    right, again = _end(stage, solution, None), _end(stage, solution, None)
    noise = _changed(right, again)
    chosen = _chosen(solution, BOXED_OMISSIONS if boxed else OMISSIONS)
    ends = {index: _end(stage, solution, index) for index in chosen}
    changes = {index: _changed(right, end) - noise for index, end in ends.items()}
    if len({solution.calls[index].name for index in chosen}) > 1:
        kept_by_all = set.intersection(*changes.values())  # a record of all that was called
        changes = {index: paths - kept_by_all for index, paths in changes.items()}
    noticed = 0
    for index, paths in changes.items():
        if paths and not _counts_only(right, ends[index], paths):
            if ends[index].verdict.passed and ends[index].told != _told(right.told, index):
                continue  # later results are others then: it was a step of looking (a page opened), not of doing
            call, verdict = solution.calls[index], ends[index].verdict
            where = ".".join(min(paths))
            what = f"without {call.name}({canonical(call.arguments)[:120]}) the state differs ({where}), and that"
            must_fail(verdict, what)
            noticed += 1
    return f"{noticed} of {len(chosen)} calls left out change the state, and each is noticed"


def _chosen(solution: Solution, most: int) -> list[int]:
    """The last call of each tool, then others from the end; never the one that hands in."""
    indices = range(len(solution.calls) - solution.submitted)
    last = {solution.calls[index].name: index for index in indices}
    return sorted(dict.fromkeys([*sorted(last.values(), reverse=True), *reversed(indices)]), reverse=True)[:most]


def _end(stage: Stage, solution: Solution, without: int | None) -> _End:
    """Make the oracle's calls, but for one, and hand in as the oracle did."""
    with stage.episode() as env:
        results = {index: env.call(call) for index, call in enumerate(solution.calls) if index != without}
        answer = env.answer if env.submitted else plain_copy(solution.answer)
        world = env.finish(answer)
        leaves = dict(_leaves(plain_copy(world)))
        told = {index: result.text for index, result in results.items() if not result.submitted}
        return _End(leaves, stage.verdict(env, answer, world), told)


def _told(told: dict[int, str], without: int) -> dict[int, str]:
    return {index: text for index, text in told.items() if index != without}


def _leaves(value: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        return [leaf for key, item in value.items() for leaf in _leaves(item, (*path, str(key)))]
    if isinstance(value, list | tuple) and value:
        return [leaf for at, item in enumerate(value) for leaf in _leaves(item, (*path, str(at)))]
    return [(path, value)]


def _changed(one: _End, other: _End) -> set[Path]:
    """Places that differ, positions in lists left out, so that a list is one place."""
    paths = one.leaves.keys() | other.leaves.keys()
    differing = [path for path in paths if one.leaves.get(path, _NOTHING) != other.leaves.get(path, _NOTHING)]
    return {tuple(step for step in path if not step.isdigit()) for path in differing}


def _counts_only(one: _End, other: _End, places: set[Path]) -> bool:
    """Whether all that differs are numbers, each by one: how often something was done, it may be."""
    for path in one.leaves.keys() | other.leaves.keys():
        here: Any = one.leaves.get(path)
        there: Any = other.leaves.get(path)
        plain = tuple(step for step in path if not step.isdigit())
        if here != there and plain in places:
            numbers = type(here) is int and type(there) is int
            if not numbers or abs(here - there) != 1:
                return False
    return True
