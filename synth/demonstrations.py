"""Oracle trajectories for a cold start: every task is new, every thought and tool call is the solver's own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence

from ..envs.environment import Environment
from ..envs.errors import ProposeFailed
from ..envs.registry import environment_class
from ..rollout.codec import Codec
from ..rollout.episode import run_episode
from ..rollout.scripts import oracle_policy
from ..rollout.types import Policy, Trajectory
from .certify import failures

Mixture = Sequence[tuple[str, int, float]]
"""(environment id, level, weight)."""
HOPELESS = 200
"""After so many attempts in a row without a right trajectory, more will not help."""


def demonstrations(codec: Codec, mixture: Mixture, seed: int) -> Iterator[Trajectory]:
    """Endless right trajectories of environments that need no sandbox, drawn from `mixture`; the same seed gives the
    same.

    Raises ValueError for an environment that needs a sandbox, or where the oracle fails again and again.
    """
    rng = random.Random(f"demonstrations/{seed}")
    weights = [weight for _, _, weight in mixture]
    for name, _, _ in mixture:
        if environment_class(name).image is not None:
            raise ValueError(f"{name} runs in sandboxes: demonstrations are made without; leave it out of the mixture")
    policy = oracle_policy(codec)
    failed = 0
    with asyncio.Runner() as runner:
        while True:
            name, level, _ = rng.choices(mixture, weights)[0]
            try:
                trajectory, why = _demonstrate(runner, policy, environment_class(name), rng, level)
            except ProposeFailed as error:
                trajectory, why = None, str(error)
            failed = 0 if trajectory else failed + 1
            if trajectory:
                yield trajectory
            elif failed == HOPELESS:
                raise ValueError(f"{failed} attempts in a row gave no demonstration, the last of {name}: {why}")


def _demonstrate(
    runner: asyncio.Runner, policy: Policy, cls: type[Environment], rng: random.Random, level: int
) -> tuple[Trajectory | None, str]:
    task = cls().propose(rng, level)
    episode = runner.run(run_episode(cls(), task, policy))
    if episode.verdict.passed:
        return episode.segments[0], ""
    return None, episode.verdict.note or failures(episode.verdict)
