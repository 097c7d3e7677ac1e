"""Several kinds of reward in one number: the verdict's outcome, a penalty on length, the language of the reasoning, and
parts of a rubric that the verifier has judged.

Every term is plain arithmetic on an episode. An invalid verdict has no reward whatever else the episode did well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..rollout.types import Episode
from ..verifiers.style import SCRIPTS, language_consistency, length_penalty
from ..verifiers.types import Verdict


@dataclass(frozen=True)
class RewardConfig:
    """What each term weighs: the reward is `outcome` times the verdict's reward, plus `length` times `length_penalty`
    of the sampled tokens (free up to `free_tokens`, -1 from `most_tokens` on), plus `consistency` times the share of
    the reasoning's letters in the script of `language`, plus each judged part of `rubric` times its weight.

    ValueError for a value that cannot be meant.
    """

    outcome: float = 1.0
    length: float = 0.0
    free_tokens: int = 0
    most_tokens: int = 0
    consistency: float = 0.0
    language: str = "en"
    rubric: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        weights = {"outcome": self.outcome, "length": self.length, "consistency": self.consistency}
        for name, value in [*weights.items(), *((f"rubric.{part}", weight) for part, weight in self.rubric.items())]:
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} is {value}: a weight must be 0 or more, and finite")
        if self.length and not 0 <= self.free_tokens < self.most_tokens:
            raise ValueError(
                f"free_tokens is {self.free_tokens} and most_tokens {self.most_tokens}: "
                "a length penalty needs 0 <= free_tokens < most_tokens"
            )
        if self.language not in SCRIPTS:
            raise ValueError(f"language is {self.language!r}: it must be one of {', '.join(SCRIPTS)}")


def reward_of(episode: Episode, config: RewardConfig) -> tuple[float | None, dict[str, float]]:
    """The reward of an episode and its terms by name, unweighted; None and no terms where its verdict is invalid.

    Terms without a weight are not looked at.
    """
    if episode.verdict.reward is None:
        return None, {}
    terms = {"outcome": episode.verdict.reward}
    total = config.outcome * terms["outcome"]
    if config.length:
        terms["length"] = length_penalty(sampled_tokens(episode), config.free_tokens, config.most_tokens)
        total += config.length * terms["length"]
    if config.consistency:
        terms["consistency"] = language_consistency(reasoning_of(episode), config.language)
        total += config.consistency * terms["consistency"]
    for name, score in rubric_scores(episode.verdict, config.rubric).items():
        terms[f"rubric/{name}"] = score
        total += config.rubric[name] * score
    return total, terms


def rubric_scores(verdict: Verdict, names: Iterable[str]) -> dict[str, float]:
    """The scores of named parts of a verdict; 0 for one it lacks, as where the episode ended before it could be judged.

    Where several parts have one name, their mean.
    """
    scores: dict[str, float] = {}
    for name in names:
        found = [part.score for part in verdict.parts if part.name == name]
        scores[name] = sum(found) / len(found) if found else 0.0
    return scores


def sampled_tokens(episode: Episode) -> int:
    """How many tokens the policy sampled in an episode."""
    return sum(len(turn.move.completion.tokens) for turn in episode.turns if turn.move.completion is not None)


def reasoning_of(episode: Episode) -> str:
    """What the policy thought, turn by turn, a line break between."""
    messages = (turn.move.message or {} for turn in episode.turns)
    return "\n".join(thought for message in messages if (thought := message.get("reasoning_content")))
