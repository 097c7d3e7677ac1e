"""Keeps a run from learning itself to pieces: evaluations between updates, and the way back from a bad one.

The policy is judged now and then on one of several held-out sets, chosen at random, so that none of them is the one
thing it is kept for. Where it falls clearly below the best it has done on that set, the weights and the optimiser of
the last good evaluation come back, and learning goes on more slowly.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

from .errors import PolicyError
from .learner import TakesSteps


class Diverged(PolicyError):
    """The policy fell again after every rollback that was allowed. It has the last good weights then."""


@dataclass(frozen=True)
class GuardConfig:
    """An evaluation `every` so many updates (0: none). A mean reward more than `tolerance` below the best on that set
    is a fall, which multiplies the learning rate by `slower`; after `most_rollbacks` of them the run ends.
    """

    every: int = 10
    tolerance: float = 0.1
    slower: float = 0.5
    most_rollbacks: int = 3

    def __post_init__(self) -> None:
        for name in ("every", "tolerance", "most_rollbacks"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be 0 or more, and finite")
        if not 0 < self.slower <= 1:
            raise ValueError(f"slower is {self.slower}: it must be above 0 and at most 1")


class Guard:
    """Told the score after each evaluation, decides between keeping this policy as good and going back to the last that
    was. `lr_scale` is what the learning rate is to be multiplied by, `rollbacks` how often it went back.
    """

    def __init__(self, config: GuardConfig | None = None) -> None:
        self.config = config or GuardConfig()
        self.lr_scale = 1.0
        self.rollbacks = 0
        self.good_step = 0
        self._best: dict[str, float] = {}
        self._good: dict[str, Any] | None = None

    def keep(self, learner: TakesSteps, step: int) -> None:
        """The learner as it is now is good."""
        self.good_step = step
        state = learner.state_dict()
        self._good = {name: copy.deepcopy(state[name]) for name in ("model", "optimiser")}

    def judge(self, learner: TakesSteps, scores: dict[str, float | None], step: int, *, broken: bool = False) -> bool:
        """Scores in [0, 1] by held-out set, None where no episode was valid: keep the learner as good, or roll it back
        (True). `broken` says that since the last time some update came to nothing: a step was not finite, or there was
        no valid episode.

        A set without a score is evidence of nothing (the machine may be at fault) unless `broken`. Raises Diverged,
        with the learner rolled back, once `most_rollbacks` are spent.
        """
        assert self._good is not None, "keep() comes first"
        known = {name: score for name, score in scores.items() if score is not None}
        fallen = {name for name, score in known.items() if score < self._best.get(name, 0.0) - self.config.tolerance}
        if fallen or (broken and not known):
            self._roll_back(learner, step, known, fallen)
            return True
        for name, score in known.items():
            self._best[name] = max(score, self._best.get(name, score))
        if known:
            self.keep(learner, step)
        return False

    def state_dict(self) -> dict[str, Any]:
        """Everything a resumed run needs to decide the same, as plain data and tensors."""
        return {
            "lr_scale": self.lr_scale,
            "rollbacks": self.rollbacks,
            "good_step": self.good_step,
            "best": dict(self._best),
            "good": copy.deepcopy(self._good),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        self.lr_scale, self.rollbacks, self.good_step = state["lr_scale"], state["rollbacks"], state["good_step"]
        self._best, self._good = dict(state["best"]), copy.deepcopy(state["good"])

    def _roll_back(self, learner: TakesSteps, step: int, known: dict[str, float], fallen: set[str]) -> None:
        assert self._good is not None
        learner.load_state_dict(copy.deepcopy(self._good))
        if self.rollbacks >= self.config.most_rollbacks:
            fell = ", ".join(f"{name} from {self._best[name]:.3f} to {known[name]:.3f}" for name in sorted(fallen))
            raise Diverged(
                f"update {step}: held-out reward fell again ({fell or 'nothing could be played'}) after "
                f"{self.rollbacks} rollbacks: lower lr, or allow more with most_rollbacks"
            )
        self.rollbacks += 1
        self.lr_scale *= self.config.slower
