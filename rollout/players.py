"""Policies that speak token ids: one growing list per episode, sampled ids kept exactly as sampled."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..envs.types import Task, ToolSchema
from .codec import Codec
from .errors import EngineError, TokenizerError
from .types import Completion, Engine, Message, Move, Player, Sampling


class TokenPlayer:
    """Plays one episode through an engine."""

    def __init__(self, engine: Engine, codec: Codec, sampling: Sampling, prompt: list[int], max_tokens: int) -> None:
        self._engine = engine
        self._codec = codec
        self._sampling = sampling
        self._max_tokens = max_tokens
        self._tokens: list[int] = []
        self._pending = prompt

    async def act(self) -> Move:
        """Sample the next completion. An empty budget is a move without a completion.

        Raises EngineError where the engine broke its contract; what the policy sampled is never an error.
        """
        rendered = tuple(self._pending)
        self._tokens += rendered
        self._pending = []
        budget = min(self._sampling.max_tokens, self._max_tokens - len(self._tokens))
        if budget <= 0:
            return Move(message=None, prompt_tokens=rendered, error="max_tokens: the context is full")
        completion = await self._engine.generate(self._tokens, self._turn_sampling(budget))
        _check(completion)
        self._tokens += completion.tokens
        try:
            parsed = self._codec.parse(list(completion.tokens), finished=completion.finish == "stop")
        except TokenizerError as unknown:
            raise EngineError(f"the engine returned what the tokenizer does not know: {unknown}") from unknown
        error = "" if parsed.error is None else f"{parsed.error.kind} at {parsed.error.position}: {parsed.error.detail}"
        return Move(message=parsed.message, prompt_tokens=rendered, completion=completion, error=error)

    def observe(self, results: list[str]) -> None:
        """Append the rendered tool results."""
        self._pending = self._codec.results(results)

    def _turn_sampling(self, budget: int) -> Sampling:
        seed = self._sampling.seed
        turn_seed = None if seed is None else seed + 7919 * len(self._tokens)
        return replace(self._sampling, max_tokens=budget, stop=self._codec.stop, seed=turn_seed)


def _check(completion: Completion) -> None:
    """One finite log-probability per token, or the trajectory would be trained on askew."""
    if completion.finish == "cancelled":
        raise EngineError("the engine cancelled the request")
    if len(completion.tokens) != len(completion.logprobs):
        raise EngineError(
            f"the engine returned {len(completion.tokens)} tokens with {len(completion.logprobs)} log-probabilities"
        )
    if not all(math.isfinite(logprob) for logprob in completion.logprobs):
        raise EngineError("the engine returned a log-probability that is not finite")


class TokenPolicy:
    """An engine and a grammar, as a policy. `max_tokens` bounds the whole context of an episode."""

    def __init__(self, id: str, engine: Engine, codec: Codec, sampling: Sampling, max_tokens: int = 1 << 30) -> None:
        self.id = id
        self.engine = engine
        self.codec = codec
        self.sampling = sampling
        self.max_tokens = max_tokens

    def start(self, task: Task, messages: list[Message], tools: list[ToolSchema], sample: int) -> Player:
        """A player whose sampling seed follows from the policy's seed, the task and the sample number."""
        prompt = self.codec.prompt(messages, tools)
        return TokenPlayer(self.engine, self.codec, self._seeded(task, sample), prompt, self.max_tokens)

    async def close(self) -> None:
        """Close the engine."""
        await self.engine.close()

    def _seeded(self, task: Task, sample: int) -> Sampling:
        if self.sampling.seed is None:
            return self.sampling
        return replace(self.sampling, seed=zlib.crc32(f"{self.sampling.seed}/{task.id}/{sample}".encode()))


class ScriptedEngine(Engine):
    """Returns completions written beforehand, in order: the deterministic fake of this folder, and what oracles speak
    through.
    """

    def __init__(self, completions: Sequence[Sequence[int]]) -> None:
        self._left = [tuple(tokens) for tokens in completions]

    async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
        """The next completion of the script; an empty one (finish "length") when the script is over."""
        if not self._left:
            return Completion(tokens=(), logprobs=(), finish="length")
        script = self._left.pop(0)
        return Completion(tokens=script, logprobs=(0.0,) * len(script), finish="stop")

    async def close(self) -> None:
        """Nothing to free."""


Script = Callable[[Task, int], list[Message]]


class ScriptedPolicy:
    """Plays messages that a function wrote beforehand for (task, sample)."""

    def __init__(self, id: str, script: Script, codec: Codec) -> None:
        self.id = id
        self._script = script
        self._codec = codec

    def start(self, task: Task, messages: list[Message], tools: list[ToolSchema], sample: int) -> Player:
        """A player of this task's script."""
        engine = ScriptedEngine([self._codec.assistant(message) for message in self._script(task, sample)])
        return TokenPlayer(engine, self._codec, Sampling(), self._codec.prompt(messages, tools), 1 << 30)

    async def close(self) -> None:
        """Nothing to free."""
