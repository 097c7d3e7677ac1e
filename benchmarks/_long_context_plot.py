"""The picture of `long_context.py`: what is selected, what is answered and what it costs, over training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = {"warm-up": "C0", "sparse": "C0", "no warm-up": "C1", "window": "C2", "random": "C3"}
Found = Mapping[str, Any]
Value = Callable[[Mapping[str, Any]], float]


def plot(results: Sequence[Found], topk: int, path: Path) -> None:
    """Recall of attention mass by layer, exact ways of three hops, loss: a thin line per seed."""
    figure = Figure(figsize=(15, 4.5), layout="constrained")
    recall, exact, loss = figure.subplots(1, 3)
    for first, found in zip([True, *[False] * len(results)], results, strict=False):
        switch = found["warm-up"][-1]["step"]
        _draw_recall(recall, found, switch, label=first)
        _draw(exact, found, switch, lambda kinds: kinds["hops"]["exact"], label=first)
        _draw(loss, found, switch, _mean_loss, label=first)
        exact.axhline(found["scores"]["dense"]["hops"]["exact"], color="black", linestyle=":", linewidth=1)
        loss.axhline(_mean_loss(found["scores"]["dense"]), color="black", linestyle=":", linewidth=1)
    recall.set(title=f"attention mass held by {topk} positions", ylim=(0, 1.02))
    exact.set(title="three hops exact, held out (dotted: dense)", ylim=(-0.02, 1.02))
    loss.set(title="loss, nats per answer token, held out", yscale="log")
    for axes in (recall, exact, loss):
        axes.set_xlabel("step (grey line: attention turns sparse)")
        axes.axvline(switch, color="grey", linewidth=1)
        axes.grid(alpha=0.25)
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=110)


def _draw_recall(axes: Axes, found: Found, switch: int, *, label: bool) -> None:
    layers = len(found["warm-up"][0]["kinds"]["hops"]["recall"])
    for layer in range(layers):
        for stage, start in (("warm-up", 0), ("sparse", switch)):
            points = [(start + at["step"], at["kinds"]["hops"]["recall"][layer]) for at in found[stage]]
            name = f"layer {layer} (dotted: the best choice)" if label and stage == "warm-up" else None
            axes.plot(*zip(*points, strict=True), color=f"C{layer + 4}", linewidth=1.2, label=name)
        best = found["best_mass"]["hops"][layer]
        axes.axhline(best, color=f"C{layer + 4}", linestyle=":", linewidth=1)
    for arm in ("no warm-up", "window", "random"):
        points = [(switch + at["step"], sum(at["kinds"]["hops"]["recall"]) / layers) for at in found[arm]]
        name = f"{arm}, mean of layers" if label else None
        axes.plot(*zip(*points, strict=True), color=COLOURS[arm], linestyle="--", linewidth=1, label=name)


def _draw(axes: Axes, found: Found, switch: int, value: Value, *, label: bool) -> None:
    for stage, colour in COLOURS.items():
        start = 0 if stage == "warm-up" else switch
        points = [(start + at["step"], value(at["kinds"])) for at in found[stage]]
        style = ":" if stage == "warm-up" else "-"
        name = f"{stage} (seen sparse)" if stage == "warm-up" else stage
        axes.plot(
            *zip(*points, strict=True), color=colour, linestyle=style, linewidth=1.2, label=name if label else None
        )


def _mean_loss(kinds: Mapping[str, Any]) -> float:
    return sum(float(kind["loss"]) for kind in kinds.values()) / len(kinds)
