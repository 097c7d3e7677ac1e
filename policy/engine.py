"""The project's own inference engine: continuous batching over a latent cache, in one thread.

A slot keeps the tokens of the request it served last; a request whose tokens begin with a free slot's tokens goes on
from there, so that an episode's earlier turns are never computed again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..rollout.errors import EngineError
from ..rollout.types import Completion, FinishReason, Sampling
from .model import DeepseekV32ForCausalLM, LatentCache
from .sampling import draw


@dataclass
class _Request:
    """A running request: `pending` are the ids not yet in the cache."""

    slot: int
    pending: list[int]
    sampling: Sampling
    uniform: random.Random
    done: asyncio.Future[Completion]
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    kept: list[tuple[int, ...] | None] = field(default_factory=list)


class PolicyEngine:
    """Runs a `DeepseekV32ForCausalLM`. Use from one event loop; `generate` may be called many times at once.

    `slots` bounds how many requests run together, `max_len` a request's whole length in tokens.
    """

    def __init__(
        self, model: DeepseekV32ForCausalLM, *, slots: int = 64, max_len: int = 1024, version: int = 0
    ) -> None:
        self.model = model.eval()
        self.version = version
        self.max_len = max_len
        self._cache = LatentCache(model.config, slots, max_len, next(model.parameters()).dtype)
        self._held: list[list[int]] = [[] for _ in range(slots)]
        self._free: list[int] = list(range(slots))
        self._waiting: list[tuple[list[int], Sampling, asyncio.Future[Completion]]] = []
        self._running: list[_Request] = []
        self._task: asyncio.Task[None] | None = None

    async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
        """Continue `tokens` by up to `sampling.max_tokens`. EngineError for an empty or too long request, or a broken
        model.
        """
        if not tokens or len(tokens) >= self.max_len:
            raise EngineError(f"a request of {len(tokens)} tokens does not fit: it needs 1 to {self.max_len - 1}")
        done: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self._waiting.append((list(tokens), sampling, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._serve())
        return await done

    def load_weights(self, state: dict[str, Tensor], version: int) -> None:
        """Take new weights between two batches of requests; what the slots hold was computed by the old ones and is
        dropped.
        """
        self.model.load_state_dict(state)
        self.version = version
        self._held = [[] for _ in self._held]

    async def close(self) -> None:
        """Cancel what still runs."""
        if self._task is not None:
            self._task.cancel()

    async def _serve(self) -> None:
        try:
            while self._waiting or self._running:
                self._admit()
                self._step()
                await asyncio.sleep(0)
        except Exception as error:
            for request in self._running:
                request.done.set_exception(EngineError(f"the engine failed: {type(error).__name__}: {error}"))
            for _, _, done in self._waiting:
                done.set_exception(EngineError(f"the engine failed: {type(error).__name__}: {error}"))
            self._running, self._waiting = [], []
            raise

    def _admit(self) -> None:
        while self._waiting and self._free:
            tokens, sampling, done = self._waiting.pop(0)
            slot, shared = self._best_slot(tokens)
            self._free.remove(slot)
            self._held[slot] = tokens
            self._running.append(_Request(slot, tokens[shared:], sampling, random.Random(sampling.seed), done))

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
            raise EngineError("the model's logits are not finite: its weights are damaged")
        drawn = draw(
            logits_BV, [request.sampling for request in batch], [request.uniform.random() for request in batch]
        )
        for request, token, logprob, kept in zip(batch, drawn.tokens, drawn.logprobs, drawn.kept, strict=True):
            self._take(request, token, logprob, kept)

    def _take(self, request: _Request, token: int, logprob: float, kept: tuple[int, ...] | None) -> None:
        request.tokens.append(token)
        request.logprobs.append(logprob)
        request.kept.append(kept)
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
        self._free.append(request.slot)
        kept = tuple(request.kept) if any(ids is not None for ids in request.kept) else None
        if not request.done.cancelled():
            request.done.set_result(
                Completion(tuple(request.tokens), tuple(request.logprobs), finish, version=self.version, kept=kept)
            )
