"""The learning curve as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .estimates import Estimate


def plot_learning(
    path: Path, rewards: Mapping[str, Sequence[float]], held_out: Mapping[str, Mapping[int, Estimate]], title: str
) -> None:
    """Reward per update (left) and held-out pass@1 with its 95 % interval (right), one colour per environment;
    written as PNG.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for number, (env, values) in enumerate(rewards.items()):
        updates = range(1, len(values) + 1)
        left.plot(updates, values, color=f"C{number}", alpha=0.35, linewidth=1)
        left.plot(updates, _smooth(values), color=f"C{number}", label=env, linewidth=2)
    for number, (env, points) in enumerate(held_out.items()):
        steps = sorted(points)
        means = [points[step].value for step in steps]
        right.plot(steps, means, marker="o", color=f"C{number}", label=env)
        lows, highs = [points[step].low for step in steps], [points[step].high for step in steps]
        right.fill_between(steps, lows, highs, color=f"C{number}", alpha=0.15, linewidth=0)
    left.set(title="reward while training", xlabel="update", ylabel="fraction of episodes that pass", ylim=(0, 1.02))
    right.set(title="pass@1 on held-out tasks", xlabel="update")
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.legend(loc="lower right")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.suptitle(title)
    figure.savefig(path, dpi=120)


def _smooth(values: Sequence[float], weight: float = 0.7) -> list[float]:
    smoothed: list[float] = []
    for value in values:
        smoothed.append(value if not smoothed else weight * smoothed[-1] + (1 - weight) * value)
    return smoothed
