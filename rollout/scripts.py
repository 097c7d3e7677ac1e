"""Policies that need no model: the oracle, doing nothing, random tool use, and the replay of recorded messages."""

from __future__ import annotations

import random
from typing import Any

from ..envs.environment import Environment, SolverTools
from ..envs.registry import environment_class
from ..envs.types import Task
from ..infra.sandbox.sync import Sandboxes
from .answers import answer_text
from .codec import Codec, assistant_message
from .players import ScriptedPolicy
from .types import Message, Policy


def oracle_policy(codec: Codec, sandboxes: Sandboxes | None = None) -> Policy:
    """Plays what `solve` does on a twin of the environment, thoughts included."""

    def script(task: Task, sample: int) -> list[Message]:
        return demonstrate(environment_class(task.env)(sandboxes), task)

    return ScriptedPolicy("oracle", script, codec)


def demonstrate(env: Environment, task: Task) -> list[Message]:
    """Run `solve` and write it down as assistant messages: thinking and tool calls, one or (`tools.together`) several,
    then the answer.
    """
    try:
        env.start(task)
        tools = SolverTools(env)
        answer = env.solve(task, tools)
    finally:
        env.close()
    messages = [
        assistant_message(turn[0][0], calls=[(call.name, call.arguments) for _, call, _ in turn])
        for turn in tools.turns
    ]
    if not (tools.turns and tools.turns[-1][-1][2].submitted):
        messages.append(assistant_message(tools.take_thought() or "Done.", answer_text(answer)))
    return messages


def noop_policy(codec: Codec) -> Policy:
    """Answers at once, with nothing."""
    return ScriptedPolicy("noop", lambda task, sample: [assistant_message("Nothing to do.", "")], codec)


def random_policy(codec: Codec, seed: int = 0, calls: int = 6) -> Policy:
    """Makes random tool calls with arguments picked from the task's own texts, then answers with one of them."""

    def script(task: Task, sample: int) -> list[Message]:
        rng = random.Random(f"{seed}/{task.id}/{sample}")
        pool = [word.strip(".,?:") for word in task.prompt.split()]
        tools = [tool for tool in environment_class(task.env).schemas() if not tool.submits]
        chosen = [rng.choice(tools) for _ in range(calls)] if tools else []
        turns = [
            assistant_message("Try something.", calls=[(tool.name, _arguments(rng, tool.parameters, pool))])
            for tool in chosen
        ]
        return [*turns, assistant_message("Guess.", rng.choice(pool))]

    return ScriptedPolicy("random", script, codec)


def replay_policy(codec: Codec, rollout_id: str, messages: list[Message]) -> Policy:
    """Plays the assistant messages of a stored rollout."""
    return ScriptedPolicy(f"replay:{rollout_id}", lambda task, sample: messages, codec)


def _arguments(rng: random.Random, parameters: dict[str, Any], pool: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {
        "string": rng.choice(pool),
        "integer": rng.randrange(1000),
        "number": rng.random(),
        "boolean": True,
    }
    values |= {"array": [], "object": {}}
    return {name: values.get(schema.get("type", "string")) for name, schema in parameters["properties"].items()}
