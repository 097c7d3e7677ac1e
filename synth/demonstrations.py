"""Oracle trajectories for supervised training: every task is new, every thought and tool call is the solver's own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from typing import Any, Self

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


class Demonstrations(Iterator[Trajectory]):
    """Endless right trajectories of environments that need no sandbox, drawn from `mixture` and spoken in each of
    `codecs` alike often. The same seed gives the same, and so does a state: what follows it was what followed then.

    Raises ValueError for an environment that needs a sandbox, or where the oracle fails again and again.
    """

    def __init__(self, codecs: Sequence[Codec], mixture: Mixture, seed: int) -> None:
        for name, _, _ in mixture:
            if environment_class(name).image is not None:
                raise ValueError(
                    f"{name} runs in sandboxes: demonstrations are made without; leave it out of the mixture"
                )
        self._rng = random.Random(f"demonstrations/{seed}")
        self._policies = [oracle_policy(codec) for codec in codecs]
        self._mixture, self._weights = mixture, [weight for _, _, weight in mixture]
        self._runner = asyncio.Runner()

    def __next__(self) -> Trajectory:
        why = ""
        for _ in range(HOPELESS):
            name, level, _ = self._rng.choices(self._mixture, self._weights)[0]
            policy = self._policies[0] if len(self._policies) == 1 else self._rng.choice(self._policies)
            try:
                trajectory, why = self._demonstrate(policy, environment_class(name), level)
            except ProposeFailed as error:
                trajectory, why = None, str(error)
            if trajectory is not None:
                return trajectory
        raise ValueError(f"{HOPELESS} attempts in a row gave no demonstration, the last of {name}: {why}")

    def _demonstrate(self, policy: Policy, cls: type[Environment], level: int) -> tuple[Trajectory | None, str]:
        task = cls().propose(self._rng, level)
        episode = self._runner.run(run_episode(cls(), task, policy))
        if episode.verdict.passed:
            return episode.segments[0], ""
        return None, episode.verdict.note or failures(episode.verdict)

    def state_dict(self) -> dict[str, Any]:
        """Where the stream is, as plain data."""
        return {"rng": self._rng.getstate()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        version, numbers, gauss = state["rng"]
        self._rng.setstate((version, tuple(numbers), gauss))

    def close(self) -> None:
        """Stop the event loop that episodes ran in."""
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
