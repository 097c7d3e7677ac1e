"""The episode loop: the policy speaks, the tools answer, the verifier judges. A bad rollout is data; a broken machine
is never a zero.

Every episode ends in one of the outcomes of `types.Outcome`. Failures of the engine, the sandbox, the environment or
the verifier make the verdict invalid and keep their traceback in `error`.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar, cast

from ..envs.environment import Environment
from ..envs.types import Answer, Task, ToolCall
from ..infra.sandbox.types import SandboxError
from ..infra.tracing import Wrapper, measured, span
from ..verifiers.types import Validity, Verdict
from .answers import read_answer, read_json
from .deadline import Deadline, DeadlineOver
from .errors import EngineError
from .evidence import pack_evidence
from .telemetry import call_tool, episode_span, next_move, seconds_by_kind
from .types import Episode, Message, Move, Outcome, Player, Policy, Turn

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Budget:
    """What one episode may use: completions, sampled tokens, tool calls. `seconds` also bounds the wait for an engine
    that does not answer."""

    turns: int = 16
    seconds: float = 600.0
    tokens: int = 1 << 30
    calls: int = 1 << 30


class _Broken(Wrapper):
    """Something that is not the policy's fault ended the episode; its cause is the failure itself."""

    def __init__(self, outcome: Outcome, validity: Validity) -> None:
        super().__init__(outcome)
        self.outcome: Outcome = outcome
        self.validity: Validity = validity


async def run_episode(
    env: Environment, task: Task, policy: Policy, sample: int = 0, budget: Budget | None = None
) -> Episode:
    """Play `task` once with `policy` in `env` (a fresh instance, closed at the end). Never raises for what went wrong
    inside; a cancellation passes through once `env` is closed.
    """
    run = _Run(env, task, policy, sample, budget or Budget())
    began = time.perf_counter()
    with episode_span(task, policy, sample) as told, measured() as sums:
        try:
            await run.play()
        except _Broken as broken:
            run.fail(broken)
        finally:
            await run.close()
        told.set(outcome=run.outcome, validity=run.verdict.validity, reward=run.verdict.reward, turns=len(run.turns))
        if run.broken:
            told.fail(run.verdict.note)
    return Episode(
        task=task,
        sample=sample,
        policy=policy.id,
        outcome=run.outcome,
        verdict=run.verdict,
        turns=tuple(run.turns),
        answer=run.answer,
        error=run.error,
        evidence=run.evidence,
        verifier=env.version,
        seconds=time.perf_counter() - began,
        metrics=_metrics(run.turns) | seconds_by_kind(sums),
    )


def broken_episode(task: Task, sample: int, error: Exception) -> Episode:
    """The episode of a task whose environment could not even be built."""
    outcome, validity = _classify(error, "env_failed")
    verdict = Verdict.invalid(validity, _told(error))
    return Episode(task, sample, "", outcome, verdict, error="".join(traceback.format_exception(error)))


class _Run:
    """The state of one running episode."""

    def __init__(self, env: Environment, task: Task, policy: Policy, sample: int, budget: Budget) -> None:
        self.env, self.task, self.policy, self.sample, self.budget = env, task, policy, sample, budget
        self.turns: list[Turn] = []
        self.answer: Answer = None
        self.outcome: Outcome = "max_turns"
        self.verdict: Verdict = Verdict.invalid("invalid_env", "the episode did not end")
        self.error = ""
        self.evidence: bytes | None = None
        self.broken = False
        self.calls = self.sampled = 0
        self.deadline = Deadline(self.budget.seconds)

    def fail(self, broken: _Broken) -> None:
        """Write a failure down. The first is what ended the episode; a later one only adds its traceback."""
        cause = broken.__cause__
        assert cause is not None
        text = "".join(traceback.format_exception(cause))
        if self.broken:
            self.error += f"\nand then, in closing:\n{text}"
            return
        self.broken, self.error, self.outcome = True, text, broken.outcome
        self.verdict = Verdict.invalid(broken.validity, _told(cause))

    async def play(self) -> None:
        await self.guard("env_failed", self.env.start, self.task)
        messages: list[Message] = [{"role": "system", "content": self.env.system}] if self.env.system else []
        messages.append({"role": "user", "content": self.task.prompt})
        try:
            player = self.policy.start(self.task, messages, self.env.schemas(), self.sample)
        except Exception as error:
            raise _Broken(*_classify(error, "engine_failed")) from error
        while len(self.turns) < self.budget.turns:
            with span("turn", turn=len(self.turns)):
                over = await self.turn(player)
            if over:
                break
        with span("verifier") as told:
            self.verdict = await self.judge()
            told.set(validity=self.verdict.validity, reward=self.verdict.reward)

    async def judge(self) -> Verdict:
        """The verdict on the evidence that the environment hands over."""
        world = await self.guard("env_failed", self.env.finish, self.answer)
        self.evidence = pack_evidence(self.task, self.answer, world)  # before a verifier can touch it
        verdict: object = await self.guard("verifier_failed", self.env.verify, self.task, self.answer, world)
        if not isinstance(verdict, Verdict):
            wrong = TypeError(f"{self.env.id}.verify returned a {type(verdict).__name__}, not a Verdict")
            raise _Broken("verifier_failed", "invalid_verifier") from wrong
        return verdict

    async def close(self) -> None:
        """Close the environment; a failure of that is written down and raises nothing."""
        self.deadline.close()
        try:
            await self.guard("env_failed", self.env.close)
        except _Broken as broken:
            self.fail(broken)

    async def turn(self, player: Player) -> bool:
        """One completion and its tool calls. True when the episode is over."""
        began = time.perf_counter()
        move = await self.act(player)
        self.sampled += len(move.completion.tokens) if move.completion else 0
        results: list[str] = []
        self.reply: str | None = None
        try:
            return await self.react(player, move, results) or self.spent()
        finally:  # also where a tool broke: what was sampled is kept
            self.turns.append(Turn(move, tuple(results), self.reply, time.perf_counter() - began))

    def spent(self) -> bool:
        """True when the budget of sampled tokens is used up."""
        if self.sampled >= self.budget.tokens:
            self.outcome = "max_tokens"
            return True
        return False

    async def act(self, player: Player) -> Move:
        """The player's move, within the seconds that are left."""
        try:
            return await self.deadline.wait(next_move, player)
        except DeadlineOver:
            over = TimeoutError(f"the episode's {self.budget.seconds:g} seconds were over before it ended")
            raise _Broken("timeout", "invalid_infra") from over
        except Exception as error:
            raise _Broken(*_classify(error, "engine_failed")) from error

    async def react(self, player: Player, move: Move, results: list[str]) -> bool:
        """Do what the move says; fills `results`. True when the episode is over."""
        if move.kind == "summary":
            return False
        if move.message is None:
            self.error = move.error
            full = move.completion is None or move.completion.finish == "length"
            self.outcome = "max_tokens" if full else "format_error"
            return True
        calls = move.message.get("tool_calls")
        if not calls:
            return await self.heard(player, move.message.get("content") or "")
        for call in calls:
            if self.calls == self.budget.calls:
                self.outcome = "max_calls"
                return True
            self.calls += 1
            results.append(await self.call(call["function"]["name"], call["function"]["arguments"]))
        if self.env.submitted:
            self.outcome, self.answer = "submitted", self.env.answer
            return True
        player.observe(results)
        return False

    async def heard(self, player: Player, content: str) -> bool:
        """The user's answer to a message; without one the message was the agent's own answer."""
        self.reply = await self.guard("env_failed", self.env.reply, content)
        if self.reply is None:
            self.outcome, self.answer = "answered", read_answer(content)
            return True
        player.hear(self.reply)
        return False

    async def call(self, name: str, arguments: str) -> str:
        """Run one tool call; what the agent did wrong comes back as text."""
        if self.env.submitted:
            return "Error: the answer was already submitted"
        try:
            values = read_json(arguments)
        except ValueError as error:
            return f"Error: {name}: the arguments are not JSON: {error}"
        if not isinstance(values, dict):
            return f"Error: {name}: the arguments must be an object"
        result = await self.guard("env_failed", call_tool, self.env, ToolCall(name=name, arguments=values))
        return result.text

    async def guard(self, outcome: Outcome, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call into the environment, in a thread where it leases sandboxes; failures become `_Broken` with the right
        blame. A cancellation waits for the thread, so that `close` never overtakes what it has to undo.
        """

        def attempt() -> tuple[T | None, Exception | None]:
            try:
                return function(*args, **kwargs), None
            except Exception as error:  # returned, not raised: asyncio cannot carry StopIteration out of a thread
                return None, error

        try:
            if self.env.image is None:
                return function(*args, **kwargs)
            value, failure = await _in_thread(attempt)
            if failure is not None:
                raise failure
            return cast(T, value)
        except Exception as error:
            raise _Broken(*_classify(error, outcome)) from error


def _metrics(turns: Sequence[Turn]) -> dict[str, float]:
    """What a run watches of each episode: `drift` is the share of sampled ids that text would not have kept,
    `drift_risk` is 1 where the policy gave text only, so that nobody knows."""
    sampled = sum(len(turn.move.completion.tokens) for turn in turns if turn.move.completion)
    return {
        "drift": sum(turn.move.drift for turn in turns) / max(1, sampled),
        "repaired": float(sum(len(turn.move.repaired) for turn in turns)),
        "segments": float(len({turn.move.segment for turn in turns})),
        "tool_calls": float(sum(len(turn.results) for turn in turns)),
        "drift_risk": float(any(turn.move.message and not turn.move.completion for turn in turns)),
    }


async def _in_thread(function: Callable[[], T]) -> T:
    work = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


def _classify(error: Exception, otherwise: Outcome) -> tuple[Outcome, Validity]:
    if isinstance(error, SandboxError):
        return "sandbox_failed", "invalid_infra"
    if isinstance(error, EngineError) or otherwise == "engine_failed":
        return "engine_failed", "invalid_infra"
    return otherwise, "invalid_verifier" if otherwise == "verifier_failed" else "invalid_env"


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:500]
