"""Rollouts on Ray: actors that play episodes, and a pool that hands out work and survives their death.

Work is handed out in chunks, at most two per worker at a time, and every finished episode comes back at once; what a
dead worker had not yet returned is given to its successor.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import ray

from ..envs.registry import environment_class
from ..envs.types import Task
from ..infra.sandbox.sync import Sandboxes
from ..verifiers.types import Verdict
from .episode import Budget, run_episode
from .errors import EngineError
from .types import Episode, Policy

Item = tuple[Task, int]
"""A task and the number of its sample."""
MakePolicy = Callable[[Sandboxes | None], Policy]


@dataclass(frozen=True)
class PoolConfig:
    """`chunk` episodes are handed out together and run concurrently; `tries` bounds how often a chunk may kill its
    worker.
    """

    workers: int = 2
    chunk: int = 32
    cpus_per_worker: float = 1.0
    threads: int = 1
    tries: int = 3
    sandbox: str | None = None
    budget: Budget = field(default_factory=Budget)


class RolloutWorker:
    """Plays episodes in one process. Built from picklable parts only, so that Ray can build it anywhere."""

    def __init__(self, make_policy: MakePolicy, config: PoolConfig) -> None:
        import torch

        torch.set_num_threads(config.threads)
        self._sandboxes = Sandboxes(config.sandbox) if config.sandbox else None
        self._policy = make_policy(self._sandboxes)
        self._budget = config.budget

    def load_weights(self, state: dict[str, Any], version: int) -> None:
        """Hand new weights to the policy's engine."""
        engine = getattr(self._policy, "engine", None)
        if engine is None:
            raise EngineError(f"policy {self._policy.id!r} has no weights to load")
        engine.load_weights(state, version)

    async def run(self, items: list[Item]) -> AsyncIterator[Episode]:
        """Play the items concurrently; episodes come in the order they finish."""
        running = [asyncio.ensure_future(self._play(task, sample)) for task, sample in items]
        for finished in asyncio.as_completed(running):
            yield await finished

    async def _play(self, task: Task, sample: int) -> Episode:
        env = environment_class(task.env)(self._sandboxes)
        return await run_episode(env, task, self._policy, sample, self._budget)


@dataclass
class _Chunk:
    items: list[Item]
    tries: int = 0


class RolloutPool:
    """Workers on the connected Ray cluster. `run` streams episodes; `load_weights` reaches every worker before later
    work.
    """

    def __init__(self, make_policy: MakePolicy, config: PoolConfig | None = None) -> None:
        self.config = config or PoolConfig()
        self._make_policy = make_policy
        self._actor = ray.remote(RolloutWorker).options(
            num_cpus=self.config.cpus_per_worker, max_concurrency=4, runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}}
        )
        self._workers = [self._spawn() for _ in range(self.config.workers)]
        self._weights: tuple[Any, int] | None = None

    def load_weights(self, state: dict[str, Any], version: int) -> None:
        """Send new weights to all workers and wait until they hold them."""
        self._weights = (ray.put(state), version)
        ray.get([worker.load_weights.remote(*self._weights) for worker in self._workers])

    def run(self, items: Iterable[Item]) -> Iterator[Episode]:
        """Play all items; every item yields exactly one episode, in the order they finish."""
        left = iter(items)
        again: deque[_Chunk] = deque()
        idle = deque(range(len(self._workers)))
        streams: dict[Any, tuple[int, _Chunk]] = {}
        while True:
            while idle and (chunk := self._next_chunk(again, left)):
                number = idle.popleft()
                stream = self._workers[number].run.options(num_returns="streaming").remote(chunk.items)
                streams[stream] = (number, chunk)
            if not streams:
                return
            ready, _ = ray.wait(list(streams), num_returns=1)
            for stream in ready:
                number, chunk = streams[stream]
                episode, over = self._receive(stream, number, chunk, again)
                if episode is not None:
                    yield episode
                if over:
                    del streams[stream]
                    idle.append(number)
                    yield from self._give_up(again)

    def close(self) -> None:
        """Stop the workers."""
        for worker in self._workers:
            ray.kill(worker)
        self._workers = []

    def _spawn(self) -> Any:
        return self._actor.remote(self._make_policy, self.config)

    def _next_chunk(self, again: deque[_Chunk], left: Iterator[Item]) -> _Chunk | None:
        if again:
            return again.popleft()
        items = list(islice(left, self.config.chunk))
        return _Chunk(items) if items else None

    def _receive(self, stream: Any, number: int, chunk: _Chunk, again: deque[_Chunk]) -> tuple[Episode | None, bool]:
        """The stream's next episode, and whether the stream is over; a dead worker is replaced and its rest queued
        again.
        """
        try:
            episode: Episode = ray.get(next(stream))
        except StopIteration:
            return None, True
        except ray.exceptions.RayActorError:
            self._workers[number] = self._spawn()
            if self._weights is not None:
                self._workers[number].load_weights.remote(*self._weights)
            if chunk.items:
                again.append(_Chunk(chunk.items, chunk.tries + 1))
            return None, True
        chunk.items = [item for item in chunk.items if (item[0].id, item[1]) != (episode.task.id, episode.sample)]
        return episode, False

    def _give_up(self, again: deque[_Chunk]) -> Iterator[Episode]:
        """Chunks that killed their worker too often come back as invalid episodes: data, never a crash."""
        for chunk in [chunk for chunk in again if chunk.tries >= self.config.tries]:
            again.remove(chunk)
            for task, sample in chunk.items:
                note = f"the worker died {chunk.tries} times while playing this episode's chunk"
                verdict = Verdict.invalid("invalid_infra", note)
                yield Episode(task, sample, "", "engine_failed", verdict, error=note)
