"""The contract of this folder: engines turn token ids into token ids; episodes keep every one of them.

Shapes: a turn's `prompt_tokens` are the ids newly rendered before the completion (only what was added since the last
turn), its `completion_tokens` the ids as sampled, and `logprobs` one natural-log probability per completion token.
Where the context was rewritten (summarised, cut, or its thinking dropped for a new user message) a new *segment*
begins: its first turn's `prompt_tokens` are the whole new context, and each segment by itself is exact.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from ..envs.types import Answer, Task, ToolSchema
from ..verifiers.types import Verdict

Message = dict[str, Any]
Kept = tuple[tuple[int, ...] | None, ...]
Experts = npt.NDArray[np.integer[Any]]
FinishReason = Literal["stop", "length", "cancelled"]
Outcome = Literal[
    "answered",  # the agent gave a final message
    "submitted",  # a submitting tool ended the episode
    "format_error",  # a completion was not in the chat grammar
    "max_turns",
    "max_calls",
    "max_tokens",
    "timeout",  # the seconds ran out: they depend on the machine, so nothing is judged
    "engine_failed",
    "sandbox_failed",
    "env_failed",
    "verifier_failed",
]


@dataclass(frozen=True)
class Sampling:
    """How to sample. `temperature` 0 is greedy; `top_p` 1, `top_k` 0 and `min_p` 0 mean no truncation; `max_tokens`
    counts new tokens. Sampling ends after a token of `stop`, or once the new tokens end with one of `stop_sequences`.

    `experts_from` asks for the expert choices of the request's positions from this one on (None: none); an engine that
    does not record them ignores it.
    """

    temperature: float = 1.0
    top_p: float = 0.95
    top_k: int = 0
    min_p: float = 0.0
    max_tokens: int = 256
    seed: int | None = None
    stop: tuple[int, ...] = ()
    stop_sequences: tuple[tuple[int, ...], ...] = ()
    experts_from: int | None = None


@dataclass(frozen=True)
class Completion:
    """What an engine returned: ids as sampled (the stop token included), their log-probabilities under the sampling
    distribution
    (temperature and truncation applied, so that they are the probabilities of what was really drawn), and why it ended.

    `kept` holds, for each token, the ids that truncation left (None: all of them), and `experts` the expert choices
    [positions, mixture-of-experts layers, experts per token] of the request's positions from `Sampling.experts_from` up
    to the last but one token (the last was never computed), where the engine records them. `version` is the policy
    version that sampled the first token, `versions` that of each token where weights changed on the way.
    """

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish: FinishReason
    version: int = 0
    versions: tuple[int, ...] | None = None
    kept: Kept | None = None
    experts: Experts | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Delta:
    """Tokens that were sampled since the last one, and their log-probabilities."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]


class Engine(Protocol):
    """Token ids in, token ids out. Many calls may run at once; an engine batches them as it sees fit. Cancelling the
    task that waits for one ends it in the engine too. An engine that cannot stream inherits `stream` from here."""

    async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
        """Continue `tokens`. Raises EngineError when the engine is broken (never for what was sampled)."""
        ...

    async def stream(self, tokens: Sequence[int], sampling: Sampling) -> AsyncIterator[Delta | Completion]:
        """Like `generate`, but yields tokens as they come, and last the whole completion."""
        completion = await self.generate(tokens, sampling)
        yield Delta(completion.tokens, completion.logprobs)
        yield completion

    async def close(self) -> None:
        """Free what the engine holds."""
        ...


@dataclass(frozen=True)
class Move:
    """One completion as the episode loop sees it: the parsed message or the format error, and the tokens behind it
    (empty where a policy speaks text only). A `summary` is the policy's own note to itself, not shown to the
    environment.

    `drift` counts sampled ids that decoding and encoding again would change; `repaired` says what the parser mended.
    `rewrite` names the strategy that made this move's context out of an earlier one (`contexts.py`), where one did.
    """

    message: Message | None
    prompt_tokens: tuple[int, ...] = ()
    completion: Completion | None = None
    error: str = ""
    kind: Literal["act", "summary"] = "act"
    segment: int = 0
    drift: int = 0
    repaired: tuple[str, ...] = ()
    rewrite: str = ""


class Player(Protocol):
    """One policy in one episode."""

    async def act(self) -> Move:
        """The next assistant message."""
        ...

    def observe(self, results: list[str]) -> None:
        """The results of the tool calls just made, in their order."""
        ...

    def hear(self, text: str) -> None:
        """A new message of the user."""
        ...


class Policy(Protocol):
    """Something that can play episodes: a trained model, an oracle, a script."""

    id: str

    def start(self, task: Task, messages: list[Message], tools: list[ToolSchema], sample: int) -> Player:
        """A player for one episode of `task`; `sample` numbers the episodes of one task and seeds the sampling."""
        ...

    async def close(self) -> None:
        """Free what the policy holds."""
        ...


@dataclass(frozen=True)
class Turn:
    """One completion and what it caused: tool results, or the user's next message."""

    move: Move
    results: tuple[str, ...] = ()
    reply: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Trajectory:
    """The tokens of one segment in order; `mask` is 1 where a token was sampled by the policy, `logprobs` is 0
    elsewhere.

    `kept` and `versions` have one entry per sampled token (None: nothing was truncated; not known), `experts` one row
    per position except the last (None: not recorded for all of them).
    """

    tokens: tuple[int, ...]
    mask: tuple[int, ...]
    logprobs: tuple[float, ...]
    kept: Kept | None = None
    versions: tuple[int, ...] | None = None
    experts: Experts | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Episode:
    """One run of one task by one policy. Single-use. `evidence` is what the verifier read (`evidence.py`), None where
    the episode broke before; `verifier` is the version of the environment that judged, "" where none was there."""

    task: Task
    sample: int
    policy: str
    outcome: Outcome
    verdict: Verdict
    turns: tuple[Turn, ...] = ()
    answer: Answer = None
    error: str = ""
    seconds: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    evidence: bytes | None = field(default=None, repr=False)
    verifier: str = ""

    @property
    def segments(self) -> tuple[Trajectory, ...]:
        """The tokens of each segment; one, unless the context was rewritten."""
        turns: dict[int, list[Turn]] = {}
        for turn in self.turns:
            turns.setdefault(turn.move.segment, []).append(turn)
        return tuple(_trajectory(some) for some in turns.values())


def _trajectory(turns: Sequence[Turn]) -> Trajectory:
    tokens: list[int] = []
    mask: list[int] = []
    logprobs: list[float] = []
    completions: list[Completion] = []
    for turn in turns:
        tokens += turn.move.prompt_tokens
        mask += [0] * len(turn.move.prompt_tokens)
        logprobs += [0.0] * len(turn.move.prompt_tokens)
        if turn.move.completion is not None:
            completions.append(turn.move.completion)
            tokens += turn.move.completion.tokens
            mask += [1] * len(turn.move.completion.tokens)
            logprobs += turn.move.completion.logprobs
    return Trajectory(
        tuple(tokens),
        tuple(mask),
        tuple(logprobs),
        kept=_kept(completions),
        versions=tuple(version for one in completions for version in one.versions or (one.version,) * len(one.tokens)),
        experts=_experts(completions, len(tokens) - 1),
    )


def _kept(completions: Sequence[Completion]) -> Kept | None:
    if all(one.kept is None for one in completions):
        return None
    return tuple(ids for one in completions for ids in (one.kept or (None,) * len(one.tokens)))


def _experts(completions: Sequence[Completion], positions: int) -> Experts | None:
    """The choices of all positions; None unless each is there once, as where a turn was played by another engine."""
    known = [one.experts for one in completions if one.experts is not None]
    if not known or sum(map(len, known)) != positions:
        return None
    return np.concatenate(known)
