"""Steps over Ray: pools that send whole episodes home, beside actors that are called once per step."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from _rollout_world import Echo, echo_policy, installed, spoken_echo_policy

from palestra.envs.types import ToolCall
from palestra.rollout.cluster import connect
from palestra.rollout.episode import Budget
from palestra.rollout.workers import PoolConfig, RolloutPool

WORKERS = 2
CHUNK = 64
STEPS = 16  # an episode's
FLIGHT = 64  # environments of an actor


class Stepper:
    """Holds environments in an actor; every step is a call."""

    def __init__(self, count: int) -> None:
        self._envs = [Echo() for _ in range(count)]

    def step(self, number: int, message: str) -> str:
        """One step of environment `number`; plain texts, which cost Ray the least."""
        return self._envs[number].call(ToolCall(name="echo", arguments={"message": message})).text


@dataclass
class Cluster:
    """All sides on one local Ray, with as many processes each: `spoken` plays messages, `sampled` token ids."""

    spoken: RolloutPool
    sampled: RolloutPool
    actors: list[Any]

    def __post_init__(self) -> None:
        self._rng = random.Random(0)

    def episodes(self, pool: RolloutPool, count: int) -> float:
        """Steps per second of `count` episodes by a pool: every call validated and made, the answer verified, and the
        whole episode brought home; by `sampled` also parsed from ids, and every result tokenised."""
        items = [(Echo().propose(self._rng, STEPS), 0) for _ in range(count)]
        began = time.perf_counter()
        for episode in pool.run(items):
            assert episode.verdict.passed
            assert len(episode.turns) == STEPS + 1
        return count * STEPS / (time.perf_counter() - began)

    async def calls(self, count: int, envs: int) -> float:
        """Steps per second of actor calls: `count` on each of `envs` environments an actor, one in flight on each."""

        async def play(actor: Any, number: int) -> None:
            for _ in range(count):
                assert (await actor.step.remote(number, "hello")).startswith("hello")

        began = time.perf_counter()
        await asyncio.gather(*(play(actor, number) for actor in self.actors for number in range(envs)))
        return count * envs * len(self.actors) / (time.perf_counter() - began)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A local Ray that ends with the block."""
    with installed():
        connect(cpus=3 * WORKERS)
        config = PoolConfig(workers=WORKERS, chunk=CHUNK, budget=Budget(turns=STEPS + 1))
        pools = [RolloutPool(policy, config) for policy in (spoken_echo_policy, echo_policy)]
        actor = ray.remote(Stepper).options(num_cpus=1)
        try:
            yield Cluster(*pools, [actor.remote(FLIGHT) for _ in range(WORKERS)])
        finally:
            for pool in pools:
                pool.close()
            ray.shutdown()
