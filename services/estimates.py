"""Estimates from samples, each with the interval that says how far to trust it."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

Z_95 = 1.959963984540054
_RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; all three are NaN where there was nothing to estimate from. `n` counts tasks."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        if self.n == 0:
            return "n/a"
        return f"{100 * self.value:.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}]"


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that at least one of `k` samples passes, unbiased, from `c` passes in `n` samples.

    1 - C(n-c, k) / C(n, k) (Chen et al. 2021, "Evaluating Large Language Models Trained on Code", eq. 1).
    Raises ValueError unless 0 <= c <= n and 1 <= k <= n.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(
            f"pass@{k} cannot be estimated from {c} passes in {n} samples: it needs 0 <= c <= n, 1 <= k <= n"
        )
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def wilson(passes: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927); raises ValueError unless 0 <= passes <= n and n > 0."""
    if n <= 0 or not 0 <= passes <= n:
        raise ValueError(f"{passes} passes in {n} trials have no interval: it needs 0 <= passes <= n, n > 0")
    p = passes / n
    scale = 1 + z * z / n
    middle = (p + z * z / (2 * n)) / scale
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / scale
    return (0.0 if passes == 0 else middle - half), (1.0 if passes == n else middle + half)


def bootstrap(values: Sequence[float], resamples: int = _RESAMPLES, seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the mean (Efron 1979); the same values give the same interval."""
    if not values:
        raise ValueError("a bootstrap needs at least one value")
    rng = random.Random(seed)
    means = sorted(math.fsum(rng.choices(values, k=len(values))) / len(values) for _ in range(resamples))
    return means[int(0.025 * (resamples - 1))], means[math.ceil(0.975 * (resamples - 1))]


def mean_of(values: Sequence[float]) -> Estimate:
    """The mean over tasks: Wilson's interval where every value is 0 or 1, else the bootstrap over tasks."""
    if not values:
        return Estimate(math.nan, math.nan, math.nan, 0)
    mean = math.fsum(values) / len(values)
    binary = all(value in (0.0, 1.0) for value in values)
    low, high = wilson(round(sum(values)), len(values)) if binary else bootstrap(values)
    return Estimate(mean, low, high, len(values))
