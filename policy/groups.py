"""Episodes as training samples: those of one task share a baseline, and each domain has rewards and a KL of its own.

An invalid episode leaves its group: it is never a zero. A group with fewer than two valid episodes has no baseline and
is dropped; one whose rewards are all equal carries no signal and is not trained on. Both are counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..envs.types import Task
from ..rollout.types import Episode
from .batches import Sample
from .grpo import advantages
from .rewards import RewardConfig, reward_of


@dataclass(frozen=True)
class Domain:
    """What is particular to one environment's tasks: how an episode is rewarded, and the strength of the KL term (None:
    the objective's own).
    """

    rewards: RewardConfig = field(default_factory=RewardConfig)
    kl: float | None = None

    def __post_init__(self) -> None:
        if self.kl is not None and not self.kl >= 0:
            raise ValueError(f"kl of a domain is {self.kl}: it must be 0 or more")


Domains = Mapping[str, Domain]
PLAIN = Domain()
"""The domain of an environment that has none: the verdict's own reward."""


@dataclass(frozen=True)
class Group:
    """Episodes of one task, their rewards (None: invalid), and the terms these are made of."""

    task: Task
    episodes: tuple[Episode, ...]
    rewards: tuple[float | None, ...]
    terms: tuple[dict[str, float], ...]

    @property
    def valid(self) -> int:
        """How many episodes have a reward."""
        return sum(reward is not None for reward in self.rewards)

    @property
    def has_signal(self) -> bool:
        """Whether there is a baseline, and some episode is off it."""
        return self.valid > 1 and any(advantages(self.rewards))

    def samples(self, temperature: float, kl: float | None, divide_std: bool) -> list[Sample]:
        """One for each segment of a valid episode in which something was sampled."""
        return [
            Sample.of(segment, advantage=advantage, temperature=temperature, kl=kl)
            for episode, advantage in zip(self.episodes, advantages(self.rewards, divide_std), strict=True)
            if advantage is not None
            for segment in episode.segments
            if any(segment.mask)
        ]


def groups_of(episodes: Iterable[Episode], size: int | None = None, domains: Domains | None = None) -> list[Group]:
    """The groups, in the order their first episodes came.

    With `size`, samples of a task were drawn so many at a time, from a multiple of it on, and each draw is a group;
    without, all episodes of a task are one.
    """
    found: dict[tuple[str, int], list[Episode]] = defaultdict(list)
    for episode in episodes:
        found[episode.task.id, episode.sample // size if size else 0].append(episode)
    return [_group(group, (domains or {}).get(group[0].task.env, PLAIN)) for group in found.values()]


def _group(episodes: Sequence[Episode], domain: Domain) -> Group:
    rewards, terms = zip(*(reward_of(episode, domain.rewards) for episode in episodes), strict=True)
    return Group(episodes[0].task, tuple(episodes), rewards, terms)


def samples_of(
    episodes: Sequence[Episode],
    temperature: float = 1.0,
    *,
    size: int | None = None,
    domains: Domains | None = None,
    divide_std: bool = False,
) -> tuple[list[Sample], dict[str, float]]:
    """Training samples of the groups that carry signal, and metrics over all groups."""
    groups = groups_of(episodes, size, domains)
    samples = [
        sample
        for group in groups
        if group.has_signal
        for sample in group.samples(temperature, (domains or {}).get(group.task.env, PLAIN).kl, divide_std)
    ]
    return samples, metrics_of(groups)


def metrics_of(groups: Sequence[Group]) -> dict[str, float]:
    """`groups`: how many. `groups_dropped`: the share with fewer than two valid episodes; `groups_without_signal`: the
    share of those whose rewards are all equal.

    `reward`, `reward/ENV` and their terms are means over valid episodes, `terms/ENV/NAME` where there is more than the
    outcome; `invalid` a share of episodes; `tokens` and `turns` means per episode; `surprise` nats per sampled token.
    """
    episodes = [episode for group in groups for episode in group.episodes]
    count, dropped = len(groups), sum(group.valid < 2 for group in groups)
    flat = sum(group.valid > 1 and not group.has_signal for group in groups)
    completions = [turn.move.completion for episode in episodes for turn in episode.turns if turn.move.completion]
    sampled = [logprob for completion in completions for logprob in completion.logprobs]
    rewards = _rewards(groups)
    return {name: sum(values) / len(values) for name, values in rewards.items()} | {
        "groups": float(count),
        "groups_dropped": dropped / max(1, count),
        "groups_without_signal": flat / max(1, count),
        "invalid": sum(episode.verdict.reward is None for episode in episodes) / max(1, len(episodes)),
        "tokens": sum(len(path.tokens) for episode in episodes for path in episode.segments) / max(1, len(episodes)),
        "turns": sum(len(episode.turns) for episode in episodes) / max(1, len(episodes)),
        "surprise": -sum(sampled) / max(1, len(sampled)),
    }


def _rewards(groups: Sequence[Group]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for group in groups:
        for reward, terms in zip(group.rewards, group.terms, strict=True):
            if reward is None:
                continue
            found["reward"].append(reward)
            found[f"reward/{group.task.env}"].append(reward)
            if len(terms) > 1:
                for name, value in terms.items():
                    found[f"terms/{group.task.env}/{name}"].append(value)
    return found
