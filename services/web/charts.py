"""Curves as SVG, drawn on the server: plain functions from numbers to markup, coloured by the style sheet."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from .text import visible

WIDTH, HEIGHT = 640, 250
_RIGHT, _TOP, _BOTTOM = 16, 12, 34
_COLOURS = 6
_MOST_POINTS = 400


@dataclass(frozen=True)
class Point:
    """A value at a step, with the ends of its confidence interval where they are known."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """A named curve; its points are in order of x."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Scale:
    """A linear map from data to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        part = (value - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)


def thin(points: Sequence[Point], most: int = _MOST_POINTS) -> tuple[Point, ...]:
    """At most `most` of the points, evenly taken, the last among them."""
    if len(points) <= most:
        return tuple(points)
    step = (len(points) - 1) / (most - 1)
    return tuple(points[round(index * step)] for index in range(most))


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers within [low, high], about `wanted` of them."""
    span = high - low
    if not (span > 0 and math.isfinite(span)):
        return [low]
    unit = 10.0 ** math.floor(math.log10(span / wanted))
    step = next(unit * factor for factor in (1, 2, 5, 10, 20) if span / (unit * factor) <= wanted)
    first = math.ceil(low / step - 1e-9)
    return [round((first + index) * step, 12) for index in range(int((high - first * step) / step + 1e-9) + 1)]


def curves(label: str, series: Sequence[Series], *, share: bool = False, small: bool = False) -> Markup:
    """An SVG of all series by update; no points give empty markup.

    `share`: the values are shares, shown as 0 to 100 %. `small`: shown at half the size, so its letters are doubled.
    """
    shown = [Series(one.name, thin(one.points)) for one in series if one.points]
    if not shown:
        return Markup("")
    xs = [point.x for one in shown for point in one.points]
    y = Scale(*((0.0, 1.0) if share else _range(shown)), HEIGHT - _BOTTOM, _TOP)
    longest = max(len(value_text(value, share)) for value in ticks(y.low, y.high))
    left = 12 + longest * (12.5 if small else 6.8)
    x = Scale(min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1, left, WIDTH - _RIGHT)
    parts = [*_grid(x, y, share, 4 if small else 8)]
    for index, one in enumerate(shown):
        parts += _band(one, x, y, index % _COLOURS)
    for index, one in enumerate(shown):
        parts += _line(one, x, y, index % _COLOURS, share)
    head = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
        WIDTH, HEIGHT, visible(label)
    )
    return head + Markup("").join(parts) + Markup("</svg>")


def value_text(value: float, share: bool) -> str:
    """A value as an axis or a legend writes it."""
    return f"{value * 100:.0f} %" if share else f"{value:.4g}"


def _range(series: Iterable[Series]) -> tuple[float, float]:
    values = [value for one in series for p in one.points for value in (p.y, p.low, p.high) if value is not None]
    low, high = min(values), max(values)
    if low >= 0 and low < 0.5 * high:
        low = 0.0
    pad = (high - low) * 0.06 or max(abs(high) * 0.1, 0.5)
    return (low if low == 0.0 else low - pad), high + pad


def _grid(x: Scale, y: Scale, share: bool, steps: int) -> Iterable[Markup]:
    for value in ticks(y.low, y.high):
        at = round(y(value), 1)
        yield Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(x.start, x.end, at, at)
        text = value_text(value, share)
        yield Markup('<text class="tick" x="{}" y="{}" text-anchor="end">{}</text>').format(x.start - 7, at + 4, text)
    for value in ticks(x.low, x.high, steps):
        if value == int(value):
            at = round(x(value), 1)
            text = f"{int(value):,}"
            yield Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                at, HEIGHT - 16, text
            )
    yield Markup('<text class="tick axis" x="{}" y="{}" text-anchor="end">{}</text>').format(
        x.end, HEIGHT - 3, "update"
    )


def _band(one: Series, x: Scale, y: Scale, colour: int) -> list[Markup]:
    ends = [(x(p.x), y(p.low), y(p.high)) for p in one.points if p.low is not None and p.high is not None]
    if len(ends) < 2:
        return []
    upper = [f"{at:.1f},{high:.1f}" for at, _, high in ends]
    lower = [f"{at:.1f},{low:.1f}" for at, low, _ in reversed(ends)]
    return [Markup('<polygon class="band c{}" points="{}"/>').format(colour, " ".join(upper + lower))]


def _line(one: Series, x: Scale, y: Scale, colour: int, share: bool) -> list[Markup]:
    places = " ".join(f"{x(p.x):.1f},{y(p.y):.1f}" for p in one.points)
    parts = [Markup('<polyline class="line c{}" points="{}"/>').format(colour, places)]
    if len(one.points) <= 40:
        for p in one.points:
            title = visible(f"{one.name}: {value_text(p.y, share)} at {p.x:g}")
            parts.append(
                Markup('<circle class="dot c{}" cx="{:.1f}" cy="{:.1f}" r="2.6"><title>{}</title></circle>').format(
                    colour, x(p.x), y(p.y), title
                )
            )
    return parts
