"""Rollouts on Ray: actors that play episodes, and a pool that hands out work and survives their death.

Work is handed out in chunks, one per worker at a time, and every finished episode comes back at once; what a dead
worker had not yet returned is given to its successor.

A worker is an asyncio actor: all its methods, synchronous ones too, run in one event loop, so that `load_weights` falls
between two steps of an engine. Ray may start the calls of such an actor in any order, which is why a successor gets its
weights when it is built.
"""

from __future__ import annotations

import asyncio
import sys
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
from .episode import Budget, broken_episode, run_episode
from .errors import EngineError
from .types import Episode, Policy

Item = tuple[Task, int]
"""A task and the number of its sample."""
MakePolicy = Callable[[Sandboxes | None], Policy]
CLOSE_SECONDS = 10.0


@dataclass(frozen=True)
class PoolConfig:
    """`chunk` episodes are handed out together and run concurrently; `tries` bounds how often an episode may be in a
    chunk that kills its worker. The last try of each is alone, so that one deadly episode takes no others with it.
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

    def __init__(
        self, make_policy: MakePolicy, config: PoolConfig, state: dict[str, Any] | None = None, version: int = 0
    ) -> None:
        self._sandboxes = Sandboxes(config.sandbox) if config.sandbox else None
        self._policy = make_policy(self._sandboxes)
        self._budget = config.budget
        if "torch" in sys.modules:  # scripted policies do without, and start seconds sooner
            import torch

            torch.set_num_threads(config.threads)
        if state is not None:
            self.load_weights(state, version)

    def load_weights(self, state: dict[str, Any], version: int) -> None:
        """Hand new weights to the policy's engine. EngineError where the policy has none."""
        engine: Any = getattr(self._policy, "engine", None)
        if not hasattr(engine, "load_weights"):
            raise EngineError(f"policy {self._policy.id!r} has no weights to load")
        engine.load_weights(state, version)

    async def run(self, items: list[tuple[int, Item]]) -> AsyncIterator[tuple[int, Episode]]:
        """Play the numbered items concurrently; episodes come with their numbers, in the order they finish."""
        running = [asyncio.ensure_future(self._play(number, item)) for number, item in items]
        try:
            for finished in asyncio.as_completed(running):
                yield await finished
        finally:  # cancelled by the pool, or one of them raised: leave nothing running
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def close(self) -> None:
        """Give back what the policy and the sandboxes hold."""
        await self._policy.close()
        if self._sandboxes is not None:
            await asyncio.to_thread(self._sandboxes.close)

    async def _play(self, number: int, item: Item) -> tuple[int, Episode]:
        task, sample = item
        try:
            env = environment_class(task.env)(self._sandboxes)
        except Exception as error:
            return number, broken_episode(task, sample, error)
        return number, await run_episode(env, task, self._policy, sample, self._budget)


@dataclass
class _Chunk:
    """Items by number, less those whose episodes came back; `tries` counts the workers that failed it."""

    items: dict[int, Item]
    tries: int = 0
    problem: str = ""


@dataclass
class _Running:
    """A chunk at work: the actor that plays it, as the worker of that number."""

    number: int
    actor: Any
    chunk: _Chunk


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
        self._weights: tuple[Any, int] = (None, 0)
        self._workers = [self._spawn() for _ in range(self.config.workers)]

    def load_weights(self, state: dict[str, Any], version: int) -> None:
        """Send new weights to all workers and wait until they hold them; a dead worker's successor begins with them.

        Raises EngineError where the policy takes no weights.
        """
        before, self._weights = self._weights, (ray.put(state), version)
        loading = [(actor, actor.load_weights.remote(*self._weights)) for actor in self._workers]
        for number, (actor, done) in enumerate(loading):
            try:
                ray.get(done)
            except ray.exceptions.RayActorError as error:
                self._replace(number, actor, error)
            except ray.exceptions.RayTaskError:
                self._weights = before
                raise

    def run(self, items: Iterable[Item]) -> Iterator[Episode]:
        """Play all items; every item yields exactly one episode, in the order they finish.

        Closing the iterator cancels what still runs. EngineError where the policy cannot be built at all.
        """
        left = enumerate(items)
        again: deque[_Chunk] = deque()
        idle = deque(range(len(self._workers)))
        streams: dict[Any, _Running] = {}
        try:
            while True:
                while idle and (chunk := self._next_chunk(again, left)):
                    number = idle.popleft()
                    actor = self._workers[number]
                    stream = actor.run.options(num_returns="streaming").remote(list(chunk.items.items()))
                    streams[stream] = _Running(number, actor, chunk)
                if not streams:
                    return
                for stream in ray.wait(list(streams), num_returns=1)[0]:
                    episode, over = self._receive(stream, streams[stream])
                    if over:
                        ended = streams.pop(stream)
                        idle.append(ended.number)
                        again.extend(self._split(ended.chunk))
                    if episode is not None:
                        yield episode
                yield from self._give_up(again)
        finally:
            for stream in streams:
                ray.cancel(stream)

    def close(self) -> None:
        """Stop the workers, after they gave back what they hold."""
        actors, self._workers = self._workers, []
        if actors and ray.is_initialized():
            ray.wait([actor.close.remote() for actor in actors], num_returns=len(actors), timeout=CLOSE_SECONDS)
            for actor in actors:
                ray.kill(actor)

    def _spawn(self) -> Any:
        return self._actor.remote(self._make_policy, self.config, *self._weights)

    def _replace(self, number: int, actor: Any, error: ray.exceptions.RayActorError) -> None:
        """A successor in the place of `actor`, unless it has one. EngineError where `actor` could not be built."""
        if error.actor_init_failed:
            raise EngineError(f"a rollout worker cannot be built: {str(error).strip().splitlines()[-1]}") from error
        if self._workers[number] is actor:
            ray.kill(actor)  # one that only seems dead must not go on beside its successor
            self._workers[number] = self._spawn()

    def _next_chunk(self, again: deque[_Chunk], left: Iterator[tuple[int, Item]]) -> _Chunk | None:
        if again:
            return again.popleft()
        items = dict(islice(left, self.config.chunk))
        return _Chunk(items) if items else None

    def _receive(self, stream: Any, running: _Running) -> tuple[Episode | None, bool]:
        """The stream's next episode, and whether the stream is over; a dead worker is replaced at once."""
        chunk = running.chunk
        try:
            number, episode = ray.get(next(stream))
        except StopIteration:
            chunk.tries += bool(chunk.items)
            return None, True
        except ray.exceptions.RayError as error:
            if isinstance(error, ray.exceptions.RayActorError):
                self._replace(running.number, running.actor, error)
            chunk.tries += 1
            chunk.problem = str(error).strip()
            return None, True
        del chunk.items[number]
        return episode, False

    def _split(self, chunk: _Chunk) -> Iterator[_Chunk]:
        """What is left of a chunk as it shall be tried again: together, or one by one where it is the last time."""
        if chunk.items and chunk.tries < self.config.tries - 1:
            yield chunk
        else:
            for number, item in chunk.items.items():
                yield _Chunk({number: item}, chunk.tries, chunk.problem)

    def _give_up(self, again: deque[_Chunk]) -> Iterator[Episode]:
        """What was tried often enough comes back as an invalid episode: data, never a crash."""
        for chunk in [chunk for chunk in again if chunk.tries >= self.config.tries]:
            again.remove(chunk)
            for task, sample in chunk.items.values():
                note = f"the worker failed {chunk.tries} times while playing this episode"
                verdict = Verdict.invalid("invalid_infra", note)
                yield Episode(task, sample, "", "engine_failed", verdict, error=f"{note}\n{chunk.problem}")
