"""Reinforcement learning: roll groups out, turn verdicts into advantages, take GRPO steps, hand the new weights to
the workers.

An invalid episode leaves its group: it is never a zero. A group whose rewards are all equal carries no signal and is
not trained on; how many there were is reported.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ..envs.types import Task
from ..rollout.types import Episode
from .batches import Sample
from .grpo import GrpoConfig, advantages
from .learner import Learner


class Pool(Protocol):
    """Where episodes are played: `rollout.workers.RolloutPool` on Ray, or anything that acts like it."""

    def load_weights(self, state: dict[str, Any], version: int) -> None:
        """Play with these weights from now on."""
        ...

    def run(self, items: Iterable[tuple[Task, int]]) -> Iterator[Episode]:
        """One episode per (task, sample number)."""
        ...


@dataclass(frozen=True)
class ReinforceConfig:
    """`group` episodes of each of `tasks` tasks make one update, taken in `minibatches` optimiser steps. `warmup`
    updates raise the learning rate to its full value. `temperature` is the one the pool samples at.
    `shuffle_rewards` is a control: the same advantages, dealt out at random, so that they carry no information.
    """

    updates: int = 40
    tasks: int = 16
    group: int = 8
    minibatches: int = 2
    lr: float = 3e-4
    warmup: int = 3
    seed: int = 0
    temperature: float = 1.0
    shuffle_rewards: bool = False
    grpo: GrpoConfig = field(default_factory=GrpoConfig)


@dataclass(frozen=True)
class Update:
    """One update: its number, the episodes it was made from, and metrics by name."""

    step: int
    episodes: tuple[Episode, ...]
    metrics: dict[str, float]


def reinforce(learner: Learner, pool: Pool, tasks: Sequence[Task], config: ReinforceConfig) -> Iterator[Update]:
    """GRPO over `tasks` (each epoch in a new order). After each update the pool plays with the new weights.

    Samples of a task are numbered from `config.group` on and never twice, so that each is another episode. Where
    `config.grpo.kl` is on and the learner has no reference policy, the one it starts with becomes the reference.
    """
    rng = random.Random(f"reinforce/{config.seed}")
    stream = _epochs(rng, tasks)
    played: Counter[str] = Counter()
    if config.grpo.kl and learner.reference is None:
        learner.keep_reference()
    pool.load_weights(weights_of(learner), 0)
    for step in range(1, config.updates + 1):
        items: list[tuple[Task, int]] = []
        for task in (next(stream) for _ in range(config.tasks)):
            played[task.id] += config.group
            items += [(task, played[task.id] + number) for number in range(config.group)]
        episodes = tuple(pool.run(items))
        samples, metrics = samples_of(episodes, config.temperature)
        if config.shuffle_rewards:
            samples = dealt_out(rng, samples)
        learner.set_lr(config.lr * min(1.0, step / max(1, config.warmup)))
        metrics |= _learn(learner, rng, samples, config)
        pool.load_weights(weights_of(learner), step)
        yield Update(step, episodes, metrics)


def dealt_out(rng: random.Random, samples: Sequence[Sample]) -> list[Sample]:
    """The same samples with their advantages dealt out at random."""
    advantages_B = [sample.advantage for sample in samples]
    rng.shuffle(advantages_B)
    return [replace(sample, advantage=advantage) for sample, advantage in zip(samples, advantages_B, strict=True)]


def weights_of(learner: Learner) -> dict[str, Any]:
    """A copy of the model's weights that later steps do not change."""
    return {name: tensor.detach().clone() for name, tensor in learner.model.state_dict().items()}


def samples_of(episodes: Sequence[Episode], temperature: float = 1.0) -> tuple[list[Sample], dict[str, float]]:
    """Training samples of the groups that carry signal, and metrics over all groups."""
    groups: dict[str, list[Episode]] = defaultdict(list)
    for episode in episodes:
        groups[episode.task.id].append(episode)
    samples: list[Sample] = []
    flat = 0
    for group in groups.values():
        found = advantages([episode.verdict.reward for episode in group])
        if all(not advantage for advantage in found):
            flat += 1
            continue
        samples += [
            Sample.of(segment, advantage, kept, temperature)
            for episode, advantage in zip(group, found, strict=True)
            if advantage is not None
            for segment, kept in zip(episode.segments, kept_of(episode), strict=True)
            if any(segment.mask)
        ]
    return samples, _statistics(episodes) | {"groups_without_signal": flat / max(1, len(groups))}


def kept_of(episode: Episode) -> list[list[tuple[int, ...] | None] | None]:
    """For each segment the truncation masks of its sampled tokens, in order; None where nothing was cut off."""
    kept: dict[int, list[tuple[int, ...] | None]] = {}
    for turn in episode.turns:
        own = kept.setdefault(turn.move.segment, [])
        completion = turn.move.completion
        if completion is not None:
            own += completion.kept if completion.kept is not None else [None] * len(completion.tokens)
    return [own if any(ids is not None for ids in own) else None for own in kept.values()]


def _learn(learner: Learner, rng: random.Random, samples: list[Sample], config: ReinforceConfig) -> dict[str, float]:
    if not samples:
        return {}
    rng.shuffle(samples)
    size = -(-len(samples) // config.minibatches)
    steps = [learner.grpo_step(samples[at : at + size], config.grpo) for at in range(0, len(samples), size)]
    return {name: sum(step[name] for step in steps) / len(steps) for name in steps[0]}


def _statistics(episodes: Sequence[Episode]) -> dict[str, float]:
    rewards: dict[str, list[float]] = defaultdict(list)
    for episode in episodes:
        if episode.verdict.reward is not None:
            rewards["reward"].append(episode.verdict.reward)
            rewards[f"reward/{episode.task.env}"].append(episode.verdict.reward)
    metrics = {name: sum(values) / len(values) for name, values in rewards.items()}
    metrics["invalid"] = sum(episode.verdict.reward is None for episode in episodes) / max(1, len(episodes))
    metrics["tokens"] = sum(len(path.tokens) for episode in episodes for path in episode.segments) / max(
        1, len(episodes)
    )
    metrics["turns"] = sum(len(episode.turns) for episode in episodes) / max(1, len(episodes))
    sampled = [
        logprob
        for episode in episodes
        for turn in episode.turns
        if turn.move.completion
        for logprob in turn.move.completion.logprobs
    ]
    metrics["surprise"] = -sum(sampled) / max(1, len(sampled))
    return metrics


def _epochs(rng: random.Random, tasks: Sequence[Task]) -> Iterator[Task]:
    if not tasks:
        raise ValueError("there are no tasks to learn from: synthesise some first")
    while True:
        yield from rng.sample(list(tasks), len(tasks))
