"""Reinforcement learning: roll groups out, turn verdicts into advantages, take GRPO steps, hand the new weights to
the workers, and look now and then whether it helps.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..envs.types import Task
from ..rollout.types import Episode
from .batches import Sample
from .groups import Domain, samples_of
from .grpo import GrpoConfig
from .learner import TakesSteps
from .pipeline import Alternating, Pipelined, Pool, Rounds, Source, TaskStream
from .stability import Diverged, Guard, GuardConfig


@dataclass(frozen=True)
class ReinforceConfig:
    """`group` episodes of each of `tasks` tasks make one update, taken in `minibatches` optimiser steps. `max_refills`
    further tasks at most are drawn for it in place of those whose group carries no signal. `warmup` updates raise the
    learning rate to its full value. `temperature` is the one the pool samples at. With `staleness` k the pool plays
    while the learner learns, with weights at most k updates old. `domains` says by environment what is rewarded and
    how strong the KL term is; `guard` when the policy is judged on held-out tasks, where there are any.
    `shuffle_rewards` is a control: the same advantages, dealt out at random, so that they carry no information.

    ValueError for a value that cannot be meant.
    """

    updates: int = 40
    tasks: int = 16
    group: int = 8
    minibatches: int = 2
    max_refills: int = 0
    lr: float = 3e-4
    warmup: int = 3
    seed: int = 0
    temperature: float = 1.0
    staleness: int = 0
    shuffle_rewards: bool = False
    grpo: GrpoConfig = field(default_factory=GrpoConfig)
    domains: Mapping[str, Domain] = field(default_factory=dict)
    guard: GuardConfig = field(default_factory=GuardConfig)

    def __post_init__(self) -> None:
        least = {"updates": 0, "tasks": 1, "group": 2, "minibatches": 1, "max_refills": 0, "lr": 0, "staleness": 0}
        for name, value in least.items():
            if not value <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be {value} or more, and finite")
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature is {self.temperature}: it must be above 0, and finite")

    @property
    def needs_reference(self) -> bool:
        """Whether some term of the objective is measured against a reference policy."""
        return bool(self.grpo.kl or self.grpo.forward_kl or any(domain.kl for domain in self.domains.values()))


@dataclass(frozen=True)
class Evaluation:
    """Episodes on the held-out set `name`, and the mean of their rewards (None: none was valid)."""

    name: str
    episodes: tuple[Episode, ...]

    @property
    def score(self) -> float | None:
        """The mean reward of the valid episodes."""
        rewards = [episode.verdict.reward for episode in self.episodes if episode.verdict.reward is not None]
        return sum(rewards) / len(rewards) if rewards else None


@dataclass(frozen=True)
class Update:
    """One update: its number, every episode that was played for it, metrics by name, and what followed it. Update 0 is
    the policy before the first one.
    """

    step: int
    episodes: tuple[Episode, ...]
    metrics: dict[str, float]
    evaluations: tuple[Evaluation, ...] = ()


def reinforce(
    learner: TakesSteps,
    pool: Pool,
    tasks: Sequence[Task],
    config: ReinforceConfig,
    held_out: Mapping[str, Sequence[Task]] | None = None,
) -> Iterator[Update]:
    """GRPO over `tasks` (each epoch in a new order) from beginning to end. See `Reinforcer`."""
    yield from Reinforcer(learner, pool, tasks, config, held_out).updates()


class Reinforcer:
    """A run that can be saved and resumed. After each update the pool plays with the new weights.

    With `held_out` sets (by name) the policy is judged on all of them at first and on one at random every
    `config.guard.every` updates, and rolled back where it fell. Where a KL term is on and the learner has no reference
    policy, the one it starts with becomes the reference.
    """

    def __init__(
        self,
        learner: TakesSteps,
        pool: Pool,
        tasks: Sequence[Task],
        config: ReinforceConfig,
        held_out: Mapping[str, Sequence[Task]] | None = None,
    ) -> None:
        self.learner, self.pool, self.config = learner, pool, config
        self.held_out = dict(held_out or {}) if config.guard.every else {}
        for name, some in self.held_out.items():
            if not some:
                raise ValueError(f"held-out set {name!r} has no tasks: give it some or leave it out")
        self.guard = Guard(config.guard)
        self.step = 0
        self.version = 0
        self._rng = random.Random(f"reinforce/{config.seed}")
        self._stream = TaskStream(tasks, config.group, config.seed)
        self._drawn = self._stream.state_dict()
        self._judged = False
        self._broken = False

    def updates(self) -> Iterator[Update]:
        """Go on to the last update. Raises Diverged (of `stability`) after the update that was one fall too many."""
        self._keep_reference()
        config = self.config
        self._stream.load_state_dict(self._drawn)
        rounds = Rounds(self.pool, self._stream, config.tasks, config.group, config.max_refills, config.domains)
        source: Source = Alternating(rounds)
        if config.staleness:
            source = Pipelined(rounds, config.staleness, config.updates - self.step)
        try:
            source.load(weights_of(self.learner), self.version)
            if self.held_out and not self._judged:
                yield self._begin(source)
            while self.step < config.updates:
                done, diverged = self._update(source)
                yield done
                if diverged is not None:
                    raise diverged
        finally:
            source.close()

    def state_dict(self) -> dict[str, Any]:
        """Everything of the run but the learner's own (weights, optimiser, reference), as plain data and tensors. Taken
        after an update, a resumed run continues with the same tasks, samples and choices; with `staleness`, what was
        being played is played again.
        """
        return {
            "step": self.step,
            "version": self.version,
            "rng": self._rng.getstate(),
            "stream": self._drawn,
            "judged": self._judged,
            "broken": self._broken,
            "guard": self.guard.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`; the learner is restored by who saved it. ValueError where the tasks are others."""
        self._stream.load_state_dict(state["stream"])
        self._rng.setstate(state["rng"])
        self.step, self.version, self._drawn = state["step"], state["version"], state["stream"]
        self._judged, self._broken = state["judged"], state["broken"]
        self.guard.load_state_dict(state["guard"])

    def _keep_reference(self) -> None:
        if not self.config.needs_reference or self.learner.reference is not None:
            return
        if self.step:
            raise ValueError(f"the run resumes at update {self.step} without its reference policy: restore it as well")
        self.learner.keep_reference()

    def _begin(self, source: Source) -> Update:
        """Judge the policy that the run starts with, on all sets."""
        evaluations = tuple(self._evaluate(source, name) for name in sorted(self.held_out))
        self.guard.keep(self.learner, 0)
        self.guard.judge(self.learner, {one.name: one.score for one in evaluations}, 0)
        self._judged = True
        return Update(0, (), _scores(evaluations), evaluations)

    def _update(self, source: Source) -> tuple[Update, Diverged | None]:
        config, found = self.config, source.take()
        samples, metrics = samples_of(
            found.episodes,
            config.temperature,
            size=config.group,
            domains=config.domains,
            divide_std=config.grpo.divide_std,
        )
        if config.shuffle_rewards:
            samples = dealt_out(self._rng, samples)
        lr = config.lr * min(1.0, (self.step + 1) / max(1, config.warmup)) * self.guard.lr_scale
        self.learner.set_lr(lr)
        metrics |= self._learn(samples) | {"lr": lr, "refills": found.refills, "unused": len(found.unused)}
        self._broken |= metrics.get("skipped", 0.0) > 0 or metrics["invalid"] == 1.0
        self._drawn = found.after
        self.step, self.version = self.step + 1, self.version + 1
        source.load(weights_of(self.learner), self.version)
        evaluations: tuple[Evaluation, ...] = ()
        diverged = None
        if self.held_out and self.step % config.guard.every == 0:
            evaluations = (self._evaluate(source, self._rng.choice(sorted(self.held_out))),)
            diverged = self._judge(source, evaluations)
            metrics |= _scores(evaluations) | {"rollbacks": self.guard.rollbacks}
        return Update(self.step, found.unused + found.episodes, metrics, evaluations), diverged

    def _evaluate(self, source: Source, name: str) -> Evaluation:
        """One episode per task of a held-out set, under the sample number that training leaves alone."""
        return Evaluation(name, tuple(source.play([(task, 0) for task in self.held_out[name]])))

    def _judge(self, source: Source, evaluations: Sequence[Evaluation]) -> Diverged | None:
        scores = {one.name: one.score for one in evaluations}
        diverged = None
        try:
            fell = self.guard.judge(self.learner, scores, self.step, broken=self._broken)
        except Diverged as error:
            fell, diverged = True, error
        self._broken = False
        if fell:
            self.version += 1
            source.load(weights_of(self.learner), self.version, anew=True)
        return diverged

    def _learn(self, samples: list[Sample]) -> dict[str, float]:
        if not samples:
            return {}
        self.learner.version = self.version
        if self.config.grpo.importance_cap is not None:
            samples = self.learner.recomputed(samples)
        self._rng.shuffle(samples)
        size = -(-len(samples) // self.config.minibatches)
        parts = [samples[at : at + size] for at in range(0, len(samples), size)]
        return _over_steps([self.learner.grpo_step(part, self.config.grpo) for part in parts])


def dealt_out(rng: random.Random, samples: Sequence[Sample]) -> list[Sample]:
    """The same samples with their advantages dealt out at random."""
    advantages_B = [sample.advantage for sample in samples]
    rng.shuffle(advantages_B)
    return [replace(sample, advantage=advantage) for sample, advantage in zip(samples, advantages_B, strict=True)]


def weights_of(learner: TakesSteps) -> dict[str, Any]:
    """A copy of the model's weights that later steps do not change."""
    return {name: tensor.detach().clone() for name, tensor in learner.model.state_dict().items()}


def _over_steps(steps: Sequence[dict[str, float]]) -> dict[str, float]:
    """Means over the optimiser steps of an update, the largest of what ends with `_max`; numbers of a step that was
    not finite are left out.
    """
    found = {name: [step[name] for step in steps if math.isfinite(step[name])] for name in steps[0]}
    return {
        name: max(values) if name.endswith("_max") else sum(values) / len(values)
        for name, values in found.items()
        if values
    }


def _scores(evaluations: Sequence[Evaluation]) -> dict[str, float]:
    return {f"held_out/{one.name}": one.score for one in evaluations if one.score is not None}
