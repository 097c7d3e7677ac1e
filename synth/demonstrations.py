"""Oracle trajectories for a cold start: every task is new, every thought and tool call is the solver's own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence

from ..envs.errors import ProposeFailed
from ..envs.registry import environment_class
from ..rollout.codec import Codec
from ..rollout.episode import run_episode
from ..rollout.scripts import oracle_policy
from ..rollout.types import Trajectory

Mixture = Sequence[tuple[str, int, float]]
"""(environment id, level, weight)."""


def demonstrations(codec: Codec, mixture: Mixture, seed: int) -> Iterator[Trajectory]:
    """Endless right trajectories of environments that need no sandbox, drawn from `mixture`."""
    rng = random.Random(f"demonstrations/{seed}")
    weights = [weight for _, _, weight in mixture]
    policy = oracle_policy(codec)
    with asyncio.Runner() as runner:
        while True:
            name, level, _ = rng.choices(mixture, weights)[0]
            cls = environment_class(name)
            try:
                task = cls().propose(rng, level)
            except ProposeFailed:
                continue
            episode = runner.run(run_episode(cls(), task, policy))
            if episode.verdict.passed:
                yield episode.trajectory
