"""What a task costs: the size of what is told and kept, and the time, calls and memory of its oracle."""

from __future__ import annotations

import random
from typing import Any

from ..envs.environment import Environment
from ..envs.types import ToolCall, canonical
from ..rollout.episode import Budget
from .stage import Solution, Stage
from .types import Evidence
from .wanderer import walk

MOST: dict[str, float] = {
    "seconds": Budget.seconds,
    "calls": 1000,
    "prompt_chars": 200_000,
    "result_chars": 1_000_000,
    "world_bytes": 64 << 20,
    "key_bytes": 64 << 20,
}
"""Beyond these a task cannot be played within an episode's budget, shown to a policy, or stored."""
_MEMORY = "cat /sys/fs/cgroup/memory.peak /sys/fs/cgroup/memory/memory.max_usage_in_bytes 2>/dev/null | head -n 1"


def measure(stage: Stage, solution: Solution) -> Evidence:
    """The check `envelope`; the largest tool result is taken over the oracle's calls and random ones."""
    task = stage.task
    with stage.episode() as env:
        walked = walk(env, random.Random(f"{task.id}/envelope"), task.prompt, calls=12, submit=False)
        texts = [*solution.results, *(result.text for result in walked.results)]
        memory, most_turns = _peak_memory(env), env.max_turns
    found: dict[str, Any] = {
        "seconds": round(solution.seconds, 4),
        "calls": len(solution.calls),
        "turns": solution.turns,
        "prompt_chars": len(task.prompt),
        "result_chars": max(map(len, texts), default=0),
        "world_bytes": len(canonical(task.world).encode("utf-8", "surrogatepass")),
        "key_bytes": len(canonical(task.key).encode("utf-8", "surrogatepass")),
    }
    beyond = [f"{name} is {found[name]}, more than {most:g}" for name, most in MOST.items() if found[name] > most]
    if solution.turns > most_turns:
        beyond.append(f"turns is {solution.turns}, more than the environment's max_turns, {most_turns}")
    if memory:
        found["sandbox_memory_bytes"] = memory
    told = "; ".join(beyond) or "within what an episode may use"
    return Evidence(name="envelope", ok=not beyond, detail=told, measured=found)


def _peak_memory(env: Environment) -> int:
    """Bytes that the sandbox has used at most, where it can be seen from inside; else 0."""
    if not env.shell_tool:
        return 0
    required = env.toolset[env.shell_tool].schema.parameters.get("required", [])
    text = env.call(ToolCall(name=env.shell_tool, arguments={required[0]: _MEMORY})).text if required else ""
    numbers = [line for line in text.splitlines() if line.strip().isdigit()]
    return int(numbers[0]) if numbers else 0
