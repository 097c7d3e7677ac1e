"""Policies that speak token ids: one growing list per episode, sampled ids kept exactly as sampled."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..envs.types import Task, ToolSchema
from .codec import Codec
from .contexts import ContextConfig, ask_for_summary, discard, resume
from .errors import EngineError, TokenizerError
from .types import Completion, Engine, Message, Move, Player, Sampling

UNBOUNDED = 1 << 30
STOP = ContextConfig()


class TokenPlayer:
    """Plays one episode through an engine. `window` bounds the context in tokens; `context` says what happens when it
    fills."""

    def __init__(
        self,
        engine: Engine,
        codec: Codec,
        sampling: Sampling,
        messages: Sequence[Message],
        tools: Sequence[ToolSchema] = (),
        window: int = UNBOUNDED,
        context: ContextConfig = STOP,
    ) -> None:
        self._engine, self._codec, self._sampling = engine, codec, sampling
        self._head, self._tools = list(messages), list(tools)
        self._window, self._context = window, context
        self._history = list(messages)
        self._tokens: list[int] = []
        self._pending = codec.prompt(self._head, self._tools)
        self._segment, self._rewrites = 0, 0
        self._routed = 0  # positions of this segment whose expert choices are known
        self._summarising = False
        self._rewritten = ""  # how the context was, if the next completion is the first in it

    async def act(self) -> Move:
        """Sample the next completion. An empty budget is a move without a completion.

        Raises EngineError where the engine broke its contract; what the policy sampled is never an error.
        """
        if self._is_due():
            self._rewrite()
        rendered = tuple(self._pending)
        self._tokens += rendered
        self._pending = []
        budget = min(self._sampling.max_tokens, self._window - len(self._tokens))
        if budget <= 0:
            full = "max_tokens: the context is full"
            return Move(None, rendered, segment=self._segment, error=full, rewrite=self._rewritten)
        completion = await self._engine.generate(self._tokens, self._turn_sampling(budget))
        _check(completion)
        self._tokens += completion.tokens
        if completion.experts is not None:
            self._routed += len(completion.experts)
        return self._read(rendered, completion)

    def observe(self, results: list[str]) -> None:
        """Append the rendered tool results, after the end token where sampling stopped short of it."""
        self._history += [{"role": "tool", "content": result} for result in results]
        stop = self._codec.stop
        unsampled = () if self._tokens and self._tokens[-1] in stop else stop[:1]
        self._pending = [*unsampled, *self._codec.results(results)]

    def hear(self, text: str) -> None:
        """Append the user's message. The grammar drops earlier thinking where one arrives, which begins a new segment
        unless there was none."""
        self._history.append({"role": "user", "content": text})
        self._render_anew(self._history)

    def reads(self, moves: Sequence[Move]) -> bool:
        """Whether a recorded episode, from its first move on, is in this player's tokens: its completions say here what
        they said when they were sampled, and its prompt is what this tokenizer would write."""
        prompt = list(moves[0].prompt_tokens) if moves else []
        try:
            return (prompt == self._pending or self._codec.drift(prompt) == 0) and all(map(self._reads, moves))
        except TokenizerError:
            return False

    def _reads(self, move: Move) -> bool:
        if move.completion is None:
            return False
        parsed = self._codec.parse(list(move.completion.tokens), finished=move.completion.finish == "stop")
        return _said(parsed.message) == _said(move.message)

    def resume(
        self,
        history: Sequence[Message],
        tokens: Sequence[int] = (),
        rendered: Sequence[int] = (),
        segment: int = 0,
        rewrite: str = "",
    ) -> None:
        """Go on in the middle of a conversation: `history`, its head included, and how it was rewritten just now.

        `tokens` are the ids of its segment up to the last completion and `rendered` those that follow, kept bit for
        bit. Without both the history is rendered anew.
        """
        self._history, self._segment, self._rewritten = list(history), segment, rewrite
        anew = not tokens and not rendered
        self._tokens = list(tokens)
        self._pending = self._codec.prompt(self._history, self._tools) if anew else list(rendered)

    def _read(self, rendered: tuple[int, ...], completion: Completion) -> Move:
        tokens = list(completion.tokens)
        rewrite, self._rewritten = self._rewritten, ""
        try:
            parsed = self._codec.parse(tokens, finished=completion.finish == "stop")
            drifted = self._codec.drift(tokens)
        except TokenizerError as unknown:
            raise EngineError(f"the engine returned what the tokenizer does not know: {unknown}") from unknown
        error = "" if parsed.error is None else f"{parsed.error.kind} at {parsed.error.position}: {parsed.error.detail}"
        move = Move(
            message=parsed.message,
            prompt_tokens=rendered,
            completion=completion,
            error=error,
            kind="summary" if self._summarising else "act",
            segment=self._segment,
            drift=drifted,
            repaired=parsed.repaired,
            rewrite=rewrite,
        )
        if parsed.message is not None:
            self._history.append(parsed.message)
        if self._summarising:
            self._resume(parsed.message)
        return move

    def _is_due(self) -> bool:
        """A rewrite only helps once there is something to leave out."""
        if self._context.strategy == "stop" or self._rewrites == self._context.rewrites or self._summarising:
            return False
        used = len(self._tokens) + len(self._pending)
        return used >= self._context.share * self._window and len(self._history) > len(self._head)

    def _rewrite(self) -> None:
        self._rewrites += 1
        if self._context.strategy == "summary":
            self._summarising = True
            self._render_anew(ask_for_summary(self._history))
        else:
            self._history = discard(self._history, self._context.strategy)
            self._rewritten = self._context.strategy
            self._render_anew(self._history)

    def _resume(self, message: Message | None) -> None:
        """Go on from a summary. A summary that is none (cut off, a tool call) leaves the content it has, maybe
        nothing."""
        self._summarising, self._rewritten = False, "summary"
        self._history = resume(self._head, (message or {}).get("content") or "(nothing was written down)")
        self._render_anew(self._history)

    def _render_anew(self, history: list[Message]) -> None:
        """Make `history` the context: appended where the tokens so far are its beginning, else as a new segment."""
        prompt = self._codec.prompt(history, self._tools)
        known = len(self._tokens)
        if prompt[:known] == self._tokens:
            self._pending = prompt[known:]
        else:
            self._tokens, self._pending = [], prompt
            self._segment, self._routed = self._segment + 1, 0

    def _turn_sampling(self, budget: int) -> Sampling:
        seed = self._sampling.seed
        turn_seed = None if seed is None else seed + 7919 * len(self._tokens) + 104729 * self._segment
        return replace(
            self._sampling,
            max_tokens=budget,
            stop=self._codec.stop,
            stop_sequences=self._codec.stop_sequences,
            seed=turn_seed,
            experts_from=self._routed,
        )


def _said(message: Message | None) -> object:
    """What of a message the store keeps."""
    if message is None:
        return None
    calls = [(call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls") or []]
    return message.get("reasoning_content") or "", message.get("content") or "", calls


def _check(completion: Completion) -> None:
    """One finite log-probability per token, or the trajectory would be trained on askew."""
    if completion.finish == "cancelled":
        raise EngineError("the engine cancelled the request")
    if len(completion.tokens) != len(completion.logprobs):
        raise EngineError(
            f"the engine returned {len(completion.tokens)} tokens with {len(completion.logprobs)} log-probabilities"
        )
    if not math.isfinite(sum(completion.logprobs)):  # one that is not finite makes the sum so
        raise EngineError("the engine returned a log-probability that is not finite")


class TokenPolicy:
    """An engine and a grammar, as a policy. `window` bounds the context in tokens, `context` says how it is managed."""

    def __init__(
        self,
        id: str,
        engine: Engine,
        codec: Codec,
        sampling: Sampling,
        window: int = UNBOUNDED,
        context: ContextConfig = STOP,
    ) -> None:
        self.id = id
        self.engine = engine
        self.codec = codec
        self.sampling = sampling
        self.window = window
        self.context = context

    def start(self, task: Task, messages: list[Message], tools: list[ToolSchema], sample: int) -> Player:
        """A player whose sampling seed follows from the policy's seed, the task and the sample number."""
        sampling = self._seeded(task, sample)
        return TokenPlayer(self.engine, self.codec, sampling, messages, tools, self.window, self.context)

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
        return TokenPlayer(engine, self._codec, Sampling(max_tokens=UNBOUNDED), messages, tools)

    async def close(self) -> None:
        """Nothing to free."""


class SpokenPolicy:
    """Plays messages that a function wrote beforehand for (task, sample), as they are: no tokens stand behind them, so
    that nothing but the environment and the loop is at work. For policies of another house, and for measuring."""

    def __init__(self, id: str, script: Script) -> None:
        self.id = id
        self._script = script

    def start(self, task: Task, messages: list[Message], tools: list[ToolSchema], sample: int) -> Player:
        """A player of this task's script."""
        return _Speaker(self._script(task, sample))

    async def close(self) -> None:
        """Nothing to free."""


class _Speaker:
    def __init__(self, messages: Sequence[Message]) -> None:
        self._left = iter(messages)

    async def act(self) -> Move:
        """The next message; a move without one when the script is over."""
        message = next(self._left, None)
        return Move(message, error="" if message else "max_tokens: the script is over")

    def observe(self, results: list[str]) -> None:
        """The script goes on whatever comes back."""

    def hear(self, text: str) -> None:
        """The same."""
