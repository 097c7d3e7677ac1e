"""The project's own inference engine: continuous batching over a paged latent cache, in one thread.

What was ever computed stays in the cache while there is room, so that an episode's earlier turns and a group's prompt
are computed once.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Sequence

import torch
from torch import Tensor

from ..rollout.errors import EngineError
from ..rollout.types import Completion, Delta, Engine, Sampling
from .cache import PAGE, PagedCache
from .decode import Chunk, Decoder
from .model import DeepseekV32ForCausalLM
from .sampling import draw
from .scheduler import Request, Scheduler


class PolicyEngine(Engine):
    """Runs a `DeepseekV32ForCausalLM`. Use from one running event loop at a time; `generate` may be called many times
    at once, and a call that is cancelled, or a stream that is left, leaves the batch before the next step and gives its
    pages back.

    `slots` bounds how many requests run together, `max_len` a request's whole length in tokens, `pages` (of `page_size`
    tokens each) what is cached: by default as much as all slots may need; with fewer, requests wait or are computed
    again. `prefill` bounds the prompt tokens of one step, so that long prompts do not hold up the others.

    A request's result does not depend, beyond rounding, on what else runs; with a seed it is reproducible.
    `deterministic` makes it the same to the last bit, for a multiple of the time (float32 and bfloat16 models only).
    `sparse=False` ignores the indexer.

    The engine folds the weights when it is made and in `load_weights`: change them in no other way.
    """

    def __init__(
        self,
        model: DeepseekV32ForCausalLM,
        *,
        slots: int = 64,
        max_len: int = 1024,
        version: int = 0,
        pages: int | None = None,
        page_size: int = PAGE,
        prefill: int = 512,
        deterministic: bool = False,
        sparse: bool = True,
    ) -> None:
        most = model.config.max_position_embeddings
        if slots < 1 or prefill < 1 or not 1 <= max_len <= most:
            raise ValueError(
                f"engine of {slots} slots x {max_len} tokens, prefill {prefill}: slots and prefill must be at least 1 "
                f"and tokens between 1 and max_position_embeddings {most}"
            )
        self.model = model.eval()
        self.version = version
        self.max_len = max_len
        every = slots * -(-max_len // page_size) if pages is None else pages
        self._cache = PagedCache(model.config, every, page_size=page_size, dtype=model.dtype)
        self._decoder = Decoder(model, sparse=sparse, deterministic=deterministic)
        self._scheduler = Scheduler(self._cache, slots, max_len, prefill)
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
            while told < len(request.logprobs) or not request.done.done():
                await request.news.wait()
                request.news.clear()
                if new := request.sampled[told:]:
                    yield Delta(new, tuple(request.logprobs[told:]))
                    told += len(new)
            yield request.done.result()
        finally:
            request.done.cancel()

    def load_weights(self, state: dict[str, Tensor], version: int) -> None:
        """Take new weights. What is cached was computed by the old ones and is dropped; running requests keep what they
        have sampled, and their context is computed again by the new weights.

        EngineError, with nothing loaded, where a tensor is missing or has another shape.
        """
        own = self.model.state_dict()
        for name in sorted(own.keys() | state.keys()):
            have, given = (tuple(side[name].shape) if name in side else None for side in (own, state))
            if have != given:
                raise EngineError(f"cannot load weights: {name} is {given} in them and {have} in this engine's model")
        self.model.load_state_dict(state)
        self.version = version
        self._decoder.refold()
        self._scheduler.restart()

    async def close(self) -> None:
        """Stop; requests that still run or wait get an EngineError. A later request starts the engine again."""
        self._leave_other_loop(asyncio.get_running_loop())
        if self._task is not None:
            self._task.cancel()
        self._fail("the engine was closed while this request ran")

    def _request(self, tokens: Sequence[int], sampling: Sampling) -> Request:
        """A checked request among those that wait; one for no tokens is done at once."""
        prompt = list(tokens)
        self._check(prompt, sampling)
        loop = asyncio.get_running_loop()
        request = Request(len(prompt), prompt, sampling, loop.create_future(), random.Random(sampling.seed))
        request.done.add_done_callback(lambda _: request.news.set())
        if sampling.max_tokens < 1:
            request.done.set_result(Completion((), (), "length", version=self.version))
            return request
        self._leave_other_loop(loop)
        self._scheduler.waiting.append(request)
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
        truncation = 0 < sampling.top_p <= 1 and sampling.top_k >= 0 and 0 <= sampling.min_p <= 1
        if not (0 <= sampling.temperature < float("inf") and truncation):
            raise EngineError(
                f"cannot sample with temperature {sampling.temperature}, top_p {sampling.top_p}, top_k "
                f"{sampling.top_k}, min_p {sampling.min_p}: they must be >= 0, in (0, 1], >= 0, and in [0, 1]"
            )
        if sampling.experts_from is not None and sampling.experts_from < 0:
            raise EngineError(f"experts_from {sampling.experts_from} is not a position: it must be at least 0")
        needed = self._cache.pages_for(self._scheduler.most_tokens(len(prompt), sampling))
        if needed > self._cache.pages:
            raise EngineError(
                f"a request of {len(prompt)} tokens and {sampling.max_tokens} new ones does not fit: it needs {needed} "
                f"pages of {self._cache.page_size} tokens and the cache has {self._cache.pages}; give the engine more"
            )

    def _leave_other_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Forget what an event loop that no longer runs has left behind: nobody waits for it."""
        if self._task is None or self._task.get_loop() is loop:
            return
        if self._task.get_loop().is_running() and not self._task.done():
            raise EngineError("the engine is in use by another running event loop: make one engine per loop")
        self._scheduler.clear()
        self._task = None

    async def _serve(self) -> None:
        try:
            while batch := self._scheduler.step():
                self._advance(batch)
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self._fail("the engine was stopped while this request ran")
            raise
        except Exception as error:
            # Whoever waits is told; nobody awaits this task.
            self._fail(f"the engine failed: {type(error).__name__}: {error}")

    def _fail(self, message: str) -> None:
        for request in (*self._scheduler.running, *self._scheduler.waiting):
            if not request.done.done():
                request.done.set_exception(EngineError(message))
        self._scheduler.clear()

    @torch.no_grad()
    def _advance(self, batch: list[tuple[Request, Chunk]]) -> None:
        """Compute one step and sample for every request whose last token was computed."""
        logits_BV = self._decoder.run(self._cache, [chunk for _, chunk in batch]).float()
        if not math.isfinite(logits_BV.sum()):
            raise EngineError("the model's logits are not finite: its weights are damaged, load others")
        for request, chunk in batch:
            done = chunk.start + len(chunk.tokens)
            self._cache.commit(chunk.context, request.tokens[chunk.context.length : done])
        ready = [request for request, chunk in batch if chunk.wanted]
        if not ready:
            return
        drawn = draw(logits_BV, [one.sampling for one in ready], [one.uniform.random() for one in ready])
        for request, token, logprob, kept in zip(ready, drawn.tokens, drawn.logprobs, drawn.kept, strict=True):
            request.take(token, logprob, kept, self.version)
            if finish := request.ending(self.max_len):
                self._scheduler.finish(request, finish)
