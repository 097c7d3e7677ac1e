"""Whether the oracle shows that a task can be solved: its answer must come from the tools and not from the key.

Where the answer stands in the key, a canary takes its place there. An oracle that then answers with the canary, and
that gave it to no tool (a repair that is written into a file does its work there), has only told what it was told.
"""

from __future__ import annotations

import hashlib
from typing import Any

from ..envs.environment import SolverTools
from ..envs.types import Answer, Json, ToolCall, canonical
from ..infra.sandbox.types import SandboxError
from .stage import Solution, Stage

_NUMBER = 731_000_000


def by_tools(stage: Stage, solution: Solution) -> str:
    """The check `oracle_by_tools`. It holds for an environment without tools, where thinking alone answers."""
    toolset = stage.make().toolset
    if all(known.schema.submits for known in toolset.values()):
        return "there are no tools to answer with"
    mark = "canary" + hashlib.sha256(stage.task.id.encode()).hexdigest()[:10]
    number = _NUMBER + int(mark[-4:], 16)
    told = {str(leaf) for leaf in _leaves(solution.answer) if not isinstance(leaf, bool) and str(leaf)}
    key = _swap(stage.task.key, told, mark, number)
    if canonical(key) == canonical(stage.task.key):
        return f"the answer does not stand in the key; {len(solution.calls)} tool calls lead to it"
    answer, calls = _solve(stage, key)
    acts = [call for call in calls if not toolset[call.name].schema.submits]
    shown = canonical([call.arguments for call in acts])
    copied = [canary for canary in (mark, str(number)) if canary in canonical(answer)]
    if any(canary not in shown for canary in copied):
        raise AssertionError("`solve` tells the answer that stands in the key: no tool shows that it can be found")
    if copied:
        return f"what the key tells goes through {len(acts)} tool calls"
    return f"{len(solution.calls)} tool calls find the answer; where the key tells another, that is not answered"


def _solve(stage: Stage, key: Json) -> tuple[Answer, list[ToolCall]]:
    """What the oracle answers with another key; None where it cannot, which says nothing."""
    swapped = Stage(stage.make, stage.task.model_copy(update={"key": key}))
    tools: SolverTools | None = None
    answer: Answer = None
    try:
        with swapped.episode() as env:
            tools = SolverTools(env)
            answer = env.solve(swapped.task, tools)
    except SandboxError:
        raise
    except Exception:
        answer = None
    return answer, [call for _, call, _ in tools.steps] if tools is not None else []


def _leaves(value: Json) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner)]
    return [] if value is None else [value]


def _swap(key: Json, told: set[str], mark: str, number: int) -> Json:
    if isinstance(key, dict):
        return {name: _swap(value, told, mark, number) for name, value in key.items()}
    if isinstance(key, list):
        return [_swap(value, told, mark, number) for value in key]
    if isinstance(key, bool) or key is None or str(key) not in told:
        return key
    return mark if isinstance(key, str) else number
