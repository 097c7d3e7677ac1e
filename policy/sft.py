"""Supervised cold start: a fresh model learns the chat grammar, the tools and sparse attention from demonstrations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from ..rollout.types import Trajectory
from .batches import Sample
from .learner import TakesSteps


@dataclass(frozen=True)
class SftConfig:
    """`batch` trajectories a step; attention is dense for `dense_steps`, then sparse. The learning rate rises over
    the first `warmup` steps and falls linearly from `lr` to `final_lr`.
    """

    steps: int = 2000
    dense_steps: int = 1000
    batch: int = 12
    lr: float = 2e-3
    final_lr: float = 2e-4
    warmup: int = 100

    def lr_at(self, step: int) -> float:
        """The learning rate of step `step` (from 0)."""
        falling = self.lr + (self.final_lr - self.lr) * step / self.steps
        return falling * min(1.0, (step + 1) / max(1, self.warmup))


def fine_tune(
    learner: TakesSteps, trajectories: Iterator[Trajectory], config: SftConfig, first: int = 0
) -> Iterator[dict[str, float]]:
    """Train step by step from step `first` on; yields the metrics of each, `tokens` among them (since then, in all).
    Ends early where the trajectories do.
    """
    tokens = 0
    for step in range(first, config.steps):
        learner.sparse = step >= config.dense_steps
        learner.set_lr(config.lr_at(step))
        samples = [Sample.of(trajectory) for trajectory in islice(trajectories, config.batch)]
        if not samples:
            return
        tokens += sum(len(sample.tokens) for sample in samples)
        yield learner.sft_step(samples) | {"tokens": float(tokens)}
