"""Who runs in the next step: requests wait, run in pages of the cache, and step back when pages run out.

A step takes one token of every request that is sampling and, up to a budget, prompt tokens of those that are not yet.
A request whose beginning another one is computing right now waits for it instead of computing it again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..rollout.types import Completion, Experts, FinishReason, Sampling
from .cache import Context, PagedCache
from .decode import Chunk


@dataclass(eq=False)
class Request:
    """One call of the engine. ``tokens`` are the prompt and what was sampled after it; ``context`` is what the cache
    holds of them while it runs, None while it waits. ``news`` is set whenever something was sampled.

    ``known_experts`` are the choices of the first positions, kept from before the last change of weights.
    """

    prompt: int
    tokens: list[int]
    sampling: Sampling
    done: asyncio.Future[Completion]
    uniform: random.Random
    context: Context | None = None
    logprobs: list[float] = field(default_factory=list)
    kept: list[tuple[int, ...] | None] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    known_experts: Experts | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def computed(self) -> int:
        """Positions that need not be computed any more: what is cached, but never the last, whose logits are wanted."""
        return 0 if self.context is None else min(self.context.length, len(self.tokens) - 1)

    @property
    def sampled(self) -> tuple[int, ...]:
        return tuple(self.tokens[self.prompt :])

    def take(self, token: int, logprob: float, kept: tuple[int, ...] | None, version: int) -> None:
        """One more token was sampled."""
        self.tokens.append(token)
        self.logprobs.append(logprob)
        self.kept.append(kept)
        self.versions.append(version)
        self.news.set()

    def ending(self, max_len: int) -> FinishReason | None:
        """Why it ends after its last token; None where it goes on."""
        said = self.tokens[self.prompt :]
        for sequence in self.sampling.stop_sequences:
            if sequence and tuple(said[-len(sequence) :]) == tuple(sequence):
                return "stop"
        if said[-1] in self.sampling.stop:
            return "stop"
        return "length" if len(said) >= self.sampling.max_tokens or len(self.tokens) >= max_len else None

    def completion(self, finish: FinishReason, experts: Experts | None) -> Completion:
        """What is returned."""
        kept = tuple(self.kept) if any(ids is not None for ids in self.kept) else None
        changed = len(set(self.versions)) > 1
        return Completion(
            self.sampled,
            tuple(self.logprobs),
            finish,
            version=self.versions[0],
            versions=tuple(self.versions) if changed else None,
            kept=kept,
            experts=experts,
        )


class Scheduler:
    """``slots`` requests run at once at most; ``budget`` bounds the prompt tokens of one step."""

    def __init__(self, cache: PagedCache, slots: int, max_len: int, budget: int) -> None:
        self.cache, self.slots, self.max_len, self.budget = cache, slots, max_len, budget
        self.waiting: list[Request] = []
        self.running: list[Request] = []

    def most_tokens(self, prompt: int, sampling: Sampling) -> int:
        """How many tokens a request may have in the cache in the end (its last one is never computed)."""
        return min(prompt + sampling.max_tokens, self.max_len) - 1

    def step(self) -> list[tuple[Request, Chunk]]:
        """What to compute next, with pages for it; empty only where nobody waits or runs."""
        self._drop_finished()
        self._admit()
        while True:
            wanted = self._spread()
            ends = [(context, start + len(tokens)) for _, context, start, tokens in wanted]
            if self.cache.reserve(ends):
                break
            self._step_back(self.running[-1])
        return [
            (request, Chunk(context, start, tokens, int(start + len(tokens) == len(request.tokens))))
            for request, context, start, tokens in wanted
        ]

    def finish(self, request: Request, finish: FinishReason) -> None:
        """It is done: its pages stay for others, its completion is told."""
        experts = self.experts(request, request.sampling.experts_from)
        self._release(request)
        self.running.remove(request)
        if not request.done.done():
            request.done.set_result(request.completion(finish, experts))

    def restart(self) -> None:
        """All that is cached is void: running requests wait, before all others, to be computed again."""
        for request in self.running:
            self._suspend(request)
        self.waiting = [*self.running, *self.waiting]
        self.running = []
        self.cache.clear()

    def clear(self) -> None:
        """As new."""
        self.waiting, self.running = [], []
        self.cache.clear()

    def experts(self, request: Request, first: int | None) -> Experts | None:
        """Expert choices of its positions from ``first`` on, as far as it was computed; None where not wanted."""
        if first is None or request.context is None or not self.cache.experts.shape[1]:
            return None
        slots = self.cache.slots(request.context, 0, min(request.context.length, len(request.tokens) - 1))
        choices: Experts = self.cache.experts.numpy()[slots]
        if request.known_experts is not None:
            choices = np.concatenate((request.known_experts, choices[len(request.known_experts) :]))
        return choices[first:]

    def _drop_finished(self) -> None:
        for request in self.running:
            if request.done.done():
                self._release(request)
        self.running = [request for request in self.running if not request.done.done()]
        self.waiting = [request for request in self.waiting if not request.done.done()]

    def _release(self, request: Request) -> None:
        if request.context is not None:
            self.cache.close(request.context)
            request.context = None

    def _admit(self) -> None:
        """In order of arrival; but who would compute what another one is just computing lets others pass."""
        left: list[Request] = []
        for number, request in enumerate(self.waiting):
            if len(self.running) >= self.slots or not self._fits(request):
                left += self.waiting[number:]
                break
            if self._will_be_shared(request):
                left.append(request)
                continue
            request.context = self.cache.open(request.tokens)
            self.running.append(request)
        self.waiting = left

    def _fits(self, request: Request) -> bool:
        """Room for all that is known of it, beside what the running ones still need for their prompts."""
        contexts = [(one.context, len(one.tokens)) for one in self.running if one.context is not None]
        owed = sum(max(0, self.cache.pages_for(length) - len(context.pages)) for context, length in contexts)
        return not self.running or owed + self.cache.needed(request.tokens) < self.cache.room

    def _will_be_shared(self, request: Request) -> bool:
        """True where a running request is still to compute a page or more that this one could use."""
        size = self.cache.page_size
        matched: int | None = None
        for other in self.running:
            if len(other.tokens) - other.computed <= 1:
                continue
            common = _common_pages(request.tokens, other.tokens, size)
            if common > other.computed:
                matched = self.cache.match(request.tokens) if matched is None else matched
                if common > matched:
                    return True
        return False

    def _spread(self) -> list[tuple[Request, Context, int, list[int]]]:
        """(request, its context, first position, tokens) of each that advances."""
        wanted, left = [], self.budget
        for request in self.running:
            assert request.context is not None
            start = request.computed
            missing = len(request.tokens) - start
            size = 1 if missing == 1 else min(missing, left)
            left -= 0 if missing == 1 else size
            if size:
                wanted.append((request, request.context, start, request.tokens[start : start + size]))
        return wanted

    def _step_back(self, request: Request) -> None:
        """Give up the pages of the one that came last; it is computed again when there is room."""
        assert len(self.running) > 1, "a request alone always fits: its length was checked"
        self._suspend(request)
        self.running.remove(request)
        self.waiting.insert(0, request)

    def _suspend(self, request: Request) -> None:
        """It will be computed again; the choices of experts by which it was sampled are kept."""
        if request.sampling.experts_from is not None:
            request.known_experts = self.experts(request, 0)
        self._release(request)


def _common_pages(one: Sequence[int], other: Sequence[int], size: int) -> int:
    """Tokens in the complete pages with which both begin."""
    at = 0
    while at + size <= min(len(one), len(other)) and one[at : at + size] == other[at : at + size]:
        at += size
    return at
