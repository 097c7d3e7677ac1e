"""The project's own inference engine: continuous batching over a latent cache, in one thread.

A slot keeps the tokens of the request it served last; a request whose tokens begin with a free slot's tokens goes on
from there, so that an episode's earlier turns are never computed again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..rollout.errors import EngineError
from ..rollout.types import Completion, Delta, Engine, FinishReason, Sampling
from .model import DeepseekV32ForCausalLM, LatentCache
from .sampling import draw


@dataclass
class _Request:
    """A request. While it runs, `pending` are the ids of its slot that are not yet in the cache (never none). `news` is
    set whenever something was sampled.
    """

    prompt: list[int]
    sampling: Sampling
    done: asyncio.Future[Completion]
    uniform: random.Random
    slot: int = -1
    version: int = -1
    pending: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    kept: list[tuple[int, ...] | None] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)


class PolicyEngine(Engine):
    """Runs a `DeepseekV32ForCausalLM`. Use from one running event loop at a time; `generate` may be called many times
    at once, and a call that is cancelled, or a stream that is left, leaves the batch before the next step and gives its
    slot back.

    `slots` bounds how many requests run together, `max_len` a request's whole length in tokens. A request's result
    does not depend, beyond rounding, on what else runs; with a seed it is reproducible.
    """

    def __init__(
        self, model: DeepseekV32ForCausalLM, *, slots: int = 64, max_len: int = 1024, version: int = 0
    ) -> None:
        self.model = model.eval()
        self.version = version
        self.max_len = max_len
        self._cache = LatentCache(model.config, slots, max_len, next(model.parameters()).dtype)
        # What the cache holds of each slot, and for a running request also its pending ids.
        self._held: list[list[int]] = [[] for _ in range(slots)]
        self._free: list[int] = list(range(slots))
        self._waiting: list[_Request] = []
        self._running: list[_Request] = []
        self._task: asyncio.Task[None] | None = None

    async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
        """Continue `tokens` by up to `sampling.max_tokens`. The completion's version is that of its first token.

        EngineError for a request that does not fit (length, ids, sampling), a broken model, or an engine that is
        closed meanwhile.
        """
        request = self._request(tokens, sampling)
        return await request.done

    async def stream(self, tokens: Sequence[int], sampling: Sampling) -> AsyncIterator[Delta | Completion]:
        """Like `generate`, but yields tokens as they are sampled, and last the whole completion."""
        request = self._request(tokens, sampling)
        told = 0
        try:
            while told < len(request.tokens) or not request.done.done():
                await request.news.wait()
                request.news.clear()
                if new := request.tokens[told:]:
                    yield Delta(tuple(new), tuple(request.logprobs[told:]))
                    told += len(new)
            yield request.done.result()
        finally:
            request.done.cancel()

    def load_weights(self, state: dict[str, Tensor], version: int) -> None:
        """Take new weights. What the slots hold was computed by the old ones and is dropped; running requests keep
        what they have sampled, and their context is computed again by the new weights.

        EngineError, with nothing loaded, where a tensor is missing or has another shape.
        """
        own = self.model.state_dict()
        for name in sorted(own.keys() | state.keys()):
            have, given = (tuple(side[name].shape) if name in side else None for side in (own, state))
            if have != given:
                raise EngineError(f"cannot load weights: {name} is {given} in them and {have} in this engine's model")
        self.model.load_state_dict(state)
        self.version = version
        running = {request.slot for request in self._running}
        self._held = [held if slot in running else [] for slot, held in enumerate(self._held)]
        for request in self._running:
            request.pending = list(self._held[request.slot])

    async def close(self) -> None:
        """Stop; requests that still run or wait get an EngineError. A later request starts the engine again."""
        self._leave_other_loop(asyncio.get_running_loop())
        if self._task is not None:
            self._task.cancel()
        self._fail("the engine was closed while this request ran")

    def _request(self, tokens: Sequence[int], sampling: Sampling) -> _Request:
        """A checked request among those that wait; one for no tokens is done at once."""
        prompt = list(tokens)
        self._check(prompt, sampling)
        loop = asyncio.get_running_loop()
        request = _Request(prompt, sampling, loop.create_future(), random.Random(sampling.seed))
        request.done.add_done_callback(lambda _: request.news.set())
        if sampling.max_tokens < 1:
            request.done.set_result(Completion((), (), "length", version=self.version))
            return request
        self._leave_other_loop(loop)
        self._waiting.append(request)
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._serve())
        return request

    def _check(self, prompt: list[int], sampling: Sampling) -> None:
        if not prompt or len(prompt) >= self.max_len:
            raise EngineError(f"a request of {len(prompt)} tokens does not fit: it needs 1 to {self.max_len - 1}")
        vocabulary = self.model.config.vocab_size
        if min(prompt) < 0 or max(prompt) >= vocabulary:
            place, token = next((n, token) for n, token in enumerate(prompt) if not 0 <= token < vocabulary)
            raise EngineError(f"token id {token} at position {place} is not in the vocabulary of {vocabulary}")
        if not (0 <= sampling.temperature < float("inf") and 0 < sampling.top_p <= 1 and sampling.top_k >= 0):
            raise EngineError(
                f"cannot sample with temperature {sampling.temperature}, top_p {sampling.top_p}, top_k "
                f"{sampling.top_k}: they must be at least 0, in (0, 1], and at least 0"
            )

    def _leave_other_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Forget what an event loop that no longer runs has left behind: nobody waits for it."""
        if self._task is None or self._task.get_loop() is loop:
            return
        if self._task.get_loop().is_running() and not self._task.done():
            raise EngineError("the engine is in use by another running event loop: make one engine per loop")
        self._reset()
        self._task = None

    async def _serve(self) -> None:
        try:
            while self._running or self._waiting:
                self._drop_cancelled()
                self._admit()
                self._step()
                if self._running or self._waiting:
                    await asyncio.sleep(0)
        except asyncio.CancelledError:
            self._fail("the engine was stopped while this request ran")
            raise
        except Exception as error:
            # Whoever waits is told; nobody awaits this task.
            self._fail(f"the engine failed: {type(error).__name__}: {error}")

    def _fail(self, message: str) -> None:
        for request in (*self._running, *self._waiting):
            if not request.done.done():
                request.done.set_exception(EngineError(message))
        self._reset()

    def _reset(self) -> None:
        """As new. The cache is cleared because a NaN left in it would spread to later requests even where masked."""
        self._running, self._waiting = [], []
        self._held = [[] for _ in self._held]
        self._free = list(range(len(self._held)))
        self._cache.latent.zero_()
        self._cache.index_keys.zero_()

    def _drop_cancelled(self) -> None:
        for request in self._running:
            if request.done.done():
                self._release(request)
        self._running = [request for request in self._running if not request.done.done()]
        self._waiting = [request for request in self._waiting if not request.done.done()]

    def _release(self, request: _Request) -> None:
        held = self._held[request.slot]
        del held[len(held) - len(request.pending) :]
        self._free.append(request.slot)

    def _admit(self) -> None:
        while self._waiting and self._free:
            request = self._waiting.pop(0)
            request.slot, shared = self._best_slot(request.prompt)
            self._free.remove(request.slot)
            self._held[request.slot] = list(request.prompt)
            request.pending = request.prompt[shared:]
            self._running.append(request)

    def _best_slot(self, tokens: list[int]) -> tuple[int, int]:
        """The free slot whose whole content is the longest prefix of `tokens`, else the one idle for longest; and how
        much is shared.

        At least one token is always left to compute, as its logits are needed.
        """
        best, shared = self._free[0], 0
        for slot in self._free:
            held = self._held[slot]
            if shared < len(held) < len(tokens) and tokens[: len(held)] == held:
                best, shared = slot, len(held)
        return best, shared

    @torch.no_grad()
    def _step(self) -> None:
        """One token for every running request: prompts first, each batch padded to its longest row."""
        prompts = [request for request in self._running if len(request.pending) > 1]
        single = [request for request in self._running if len(request.pending) == 1]
        for batch in (prompts, single):
            if batch:
                self._advance(batch)
        self._running = [request for request in self._running if request.pending]

    def _advance(self, batch: list[_Request]) -> None:
        longest = max(len(request.pending) for request in batch)
        tokens_BN = torch.tensor([request.pending + [0] * (longest - len(request.pending)) for request in batch])
        lengths_B = torch.tensor([len(request.pending) for request in batch])
        slots_B = torch.tensor([request.slot for request in batch])
        starts_B = torch.tensor([len(self._held[request.slot]) - len(request.pending) for request in batch])
        logits_BV = self.model.extend(tokens_BN, self._cache, slots_B, starts_B, lengths_B)
        if not torch.isfinite(logits_BV).all():
            raise EngineError("the model's logits are not finite: its weights are damaged, load others")
        drawn = draw(
            logits_BV, [request.sampling for request in batch], [request.uniform.random() for request in batch]
        )
        for request, token, logprob, kept in zip(batch, drawn.tokens, drawn.logprobs, drawn.kept, strict=True):
            self._take(request, token, logprob, kept)

    def _take(self, request: _Request, token: int, logprob: float, kept: tuple[int, ...] | None) -> None:
        if not request.tokens:
            request.version = self.version
        request.tokens.append(token)
        request.logprobs.append(logprob)
        request.kept.append(kept)
        request.news.set()
        length = len(self._held[request.slot])
        if token in request.sampling.stop:
            self._finish(request, "stop")
        elif len(request.tokens) >= request.sampling.max_tokens or length + 1 >= self.max_len:
            self._finish(request, "length")
        else:
            self._held[request.slot].append(token)
            request.pending = [token]

    def _finish(self, request: _Request, finish: FinishReason) -> None:
        request.pending = []
        self._release(request)
        kept = tuple(request.kept) if any(ids is not None for ids in request.kept) else None
        if not request.done.done():
            request.done.set_result(
                Completion(tuple(request.tokens), tuple(request.logprobs), finish, version=request.version, kept=kept)
            )
