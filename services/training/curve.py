"""What was seen while a policy learnt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from ...rollout.types import Episode
from ..estimates import Estimate, mean_of


@dataclass
class Curve:
    """Held-out pass@1 by environment and update, and the reward of each update."""

    held_out: dict[str, dict[int, Estimate]] = field(default_factory=lambda: defaultdict(dict))
    rewards: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def before(self, env: str) -> Estimate:
        """pass@1 before the first update."""
        return self.held_out[env][0]

    def after(self, env: str) -> Estimate:
        """pass@1 after the last update."""
        return self.held_out[env][max(self.held_out[env])]

    def judge(self, step: int, episodes: Iterable[Episode]) -> dict[str, float]:
        """Take over held-out episodes, one per task; those without a valid verdict count for nothing. Returns what a
        run logs of them.
        """
        scores: dict[str, list[float]] = defaultdict(list)
        invalid = 0
        for episode in episodes:
            if episode.verdict.reward is None:
                invalid += 1
            else:
                scores[episode.task.env].append(float(episode.verdict.passed))
        metrics: dict[str, float] = {"invalid": invalid}
        for env, values in sorted(scores.items()):
            found = self.held_out[env][step] = mean_of(values)
            metrics |= {f"{env}/pass@1": found.value, f"{env}/pass@1_low": found.low, f"{env}/pass@1_high": found.high}
        return metrics

    def learn(self, metrics: dict[str, float]) -> None:
        """Take over the rewards of an update."""
        for name, value in metrics.items():
            if name.startswith("reward/"):
                self.rewards[name.removeprefix("reward/")].append(value)

    def scores(self) -> dict[str, dict[str, dict[str, float]]]:
        """pass@1 before and after, by environment, as plain data."""
        return {
            env: {"before": asdict(self.before(env)), "after": asdict(self.after(env))}
            for env in sorted(self.held_out)
            if 0 in self.held_out[env]
        }

    def state_dict(self) -> dict[str, Any]:
        """As plain data."""
        judged = {env: {step: asdict(found) for step, found in steps.items()} for env, steps in self.held_out.items()}
        return {"held_out": judged, "rewards": {env: list(values) for env, values in self.rewards.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        for env, steps in state["held_out"].items():
            self.held_out[env] = {int(step): Estimate(**found) for step, found in steps.items()}
        self.rewards.update(state["rewards"])
