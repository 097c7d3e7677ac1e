"""What an episode tells of itself: its spans (episode > turn > engine, tool > sandbox; verifier) and their seconds.

Spans carry ids, not contents: neither prompts nor answers leave the store through them.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..envs.environment import Environment
from ..envs.types import Task, ToolCall, ToolResult
from ..infra.tracing import is_recording, span
from .types import Move, Player, Policy

_SECONDS = {
    "engine": "engine_seconds",
    "tool": "tool_seconds",
    "sandbox.lease": "lease_seconds",
    "verifier": "verifier_seconds",
}


def episode_span(task: Task, policy: Policy, sample: int) -> span:
    """The span of a whole episode."""
    if not is_recording():  # an id is the hash of its whole task
        return span("episode")
    return span("episode", env=task.env, task=task.id, sample=sample, policy=policy.id, level=task.level)


async def next_move(player: Player) -> Move:
    """The player's move, in a span: where a policy samples, that is the wait for its engine."""
    with span("engine") as told:
        move = await player.act()
        if move.completion is not None:
            told.set(tokens=len(move.completion.tokens), finish=move.completion.finish, drift=move.drift)
        told.set(kind=move.kind, segment=move.segment, error=move.error or None)
        return move


def call_tool(env: Environment, call: ToolCall) -> ToolResult:
    """A tool call of the agent, in a span. What the agent did wrong marks it failed, too."""
    with span("tool", tool=call.name) as told:
        result = env.call(call)
        told.set(ok=result.ok)
        if not result.ok:
            told.fail(result.text)
        return result


def seconds_by_kind(measured: Mapping[str, float]) -> dict[str, float]:
    """An episode's seconds in its engine, tools, sandboxes (leasing them) and verifier, as metrics."""
    return {name: measured.get(kind, 0.0) for kind, name in _SECONDS.items()}
