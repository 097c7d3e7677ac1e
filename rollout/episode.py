"""The episode loop: the policy speaks, the tools answer, the verifier judges. A bad rollout is data; a broken machine
is never a zero.

Every episode ends in one of the outcomes of `types.Outcome`. Failures of the engine, the sandbox, the environment or
the verifier make the verdict invalid and keep their traceback in `error`.
"""

from __future__ import annotations

import asyncio
import json
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from ..envs.environment import Environment
from ..envs.types import Answer, Task, ToolCall
from ..infra.sandbox.types import SandboxError
from ..verifiers.types import Validity, Verdict
from .errors import EngineError
from .types import Episode, Message, Outcome, Player, Policy, Turn

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Budget:
    """What one episode may use."""

    turns: int = 16
    seconds: float = 600.0


class _Broken(Exception):
    """Something that is not the policy's fault ended the episode."""

    def __init__(self, outcome: Outcome, validity: Validity) -> None:
        super().__init__(outcome)
        self.outcome: Outcome = outcome
        self.validity: Validity = validity


async def run_episode(
    env: Environment, task: Task, policy: Policy, sample: int = 0, budget: Budget | None = None
) -> Episode:
    """Play `task` once with `policy` in `env` (a fresh instance, closed at the end). Never raises for what went wrong
    inside.
    """
    run = _Run(env, task, policy, sample, budget or Budget())
    began = time.perf_counter()
    error = ""
    try:
        try:
            await run.play()
        finally:
            await run.guard("env_failed", env.close)
    except _Broken as broken:
        error = "".join(traceback.format_exception(broken.__cause__)) if broken.__cause__ else str(broken)
        run.outcome = broken.outcome
        run.verdict = Verdict.invalid(broken.validity, str(broken.__cause__)[:500])
    return Episode(
        task=task,
        sample=sample,
        policy=policy.id,
        outcome=run.outcome,
        verdict=run.verdict,
        turns=tuple(run.turns),
        answer=run.answer,
        error=error or run.error,
        seconds=time.perf_counter() - began,
    )


class _Run:
    """The state of one running episode."""

    def __init__(self, env: Environment, task: Task, policy: Policy, sample: int, budget: Budget) -> None:
        self.env, self.task, self.policy, self.sample, self.budget = env, task, policy, sample, budget
        self.turns: list[Turn] = []
        self.answer: Answer = None
        self.outcome: Outcome = "max_turns"
        self.verdict: Verdict = Verdict.invalid("invalid_env", "the episode did not end")
        self.error = ""

    async def play(self) -> None:
        await self.guard("env_failed", self.env.start, self.task)
        messages: list[Message] = [{"role": "system", "content": self.env.system}] if self.env.system else []
        messages.append({"role": "user", "content": self.task.prompt})
        try:
            player = self.policy.start(self.task, messages, self.env.schemas(), self.sample)
        except Exception as error:
            raise _Broken(*_classify(error, "engine_failed")) from error
        deadline = time.monotonic() + self.budget.seconds
        while len(self.turns) < self.budget.turns and time.monotonic() < deadline:
            if await self.turn(player):
                break
        world = await self.guard("env_failed", self.env.finish, self.answer)
        self.verdict = await self.guard("verifier_failed", self.env.verify, self.task, self.answer, world)

    async def turn(self, player: Player) -> bool:
        """One completion and its tool calls. True when the episode is over."""
        began = time.perf_counter()
        try:
            move = await player.act()
        except Exception as error:
            raise _Broken(*_classify(error, "engine_failed")) from error
        results: list[str] = []
        over = True
        if move.message is None:
            self.error = move.error
            self.outcome = (
                "max_tokens" if move.completion is None or move.completion.finish == "length" else "format_error"
            )
        elif calls := move.message.get("tool_calls"):
            results = [await self.call(call["function"]["name"], call["function"]["arguments"]) for call in calls]
            over = self.env.submitted
            if over:
                self.outcome, self.answer = "submitted", self.env.answer
            else:
                player.observe(results)
        else:
            self.outcome, self.answer = "answered", read_answer(move.message.get("content") or "")
        self.turns.append(Turn(move, tuple(results), time.perf_counter() - began))
        return over

    async def call(self, name: str, arguments: str) -> str:
        """Run one tool call; what the agent did wrong comes back as text."""
        if self.env.submitted:
            return "Error: the answer was already submitted"
        try:
            values = json.loads(arguments)
        except ValueError as error:
            return f"Error: {name}: the arguments are not JSON: {error}"
        if not isinstance(values, dict):
            return f"Error: {name}: the arguments must be an object"
        result = await self.guard("env_failed", self.env.call, ToolCall(name=name, arguments=values))
        return result.text

    async def guard(self, outcome: Outcome, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call into the environment, in a thread where it leases sandboxes; failures become `_Broken` with the right
        blame.
        """
        try:
            if self.env.image is not None:
                return await asyncio.to_thread(function, *args, **kwargs)
            return function(*args, **kwargs)
        except Exception as error:
            raise _Broken(*_classify(error, outcome)) from error


def _classify(error: Exception, otherwise: Outcome) -> tuple[Outcome, Validity]:
    if isinstance(error, SandboxError):
        return "sandbox_failed", "invalid_infra"
    if isinstance(error, EngineError) or otherwise == "engine_failed":
        return "engine_failed", "invalid_infra"
    return otherwise, "invalid_verifier" if otherwise == "verifier_failed" else "invalid_env"


def read_answer(content: str) -> Answer:
    """A final message as an answer: an object or a list where the text is JSON of one, else the stripped text."""
    text = content.strip()
    if text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
