"""How many plans pass: counted by walking over the routes, each with histograms of what its days can cost.

Plans that differ only in times of day count once. CP-SAT takes no part, so that the proof and the count are each a
check on the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .country import Connection
from .layout import Layout

CAP = 10_000
"""Counting stops here: so many plans are enough to call a task loose."""
STEPS = 200
"""Routes looked at before counting stops; a number of steps and no time, so that every machine counts alike."""

Counts = npt.NDArray[np.float64]
"""Whole numbers below 2**53, exact far beyond CAP; floats are convolved several times as fast."""
Histograms = dict[int, Counts]


@dataclass(frozen=True)
class Slack:
    """`plans` pass, or more where not `exact`."""

    plans: int
    exact: bool


def count_plans(layout: Layout) -> Slack:
    """Exact, up to CAP plans and STEPS routes."""
    walk = _Walk(layout)
    walk.go((layout.home,), 0, 0)
    return Slack(min(walk.found, CAP), walk.found < CAP and walk.steps < STEPS)


def least_minutes(layout: Layout) -> int:
    """A bound from below on the minutes between cities. ProposeFailed where there is no way."""
    return layout.fast.least


class _Walk:
    """Depth first over the cities of the days, the cheapest next city first; every whole route within the limits is
    then counted with histograms of what its days cost more than their least.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout, self.rules, self.least = layout, layout.rules, layout.least
        self.found = self.steps = 0
        self.wanted = (1 << (len(self.rules.trip_cuisines) + len(self.rules.trip_categories))) - 1
        self.order = {
            node: sorted(ways, key=lambda one: (one[1], one[0])) for node, ways in layout.cheap.onward.items()
        }
        self.cached: dict[tuple[int, str], Histograms] = {}

    def go(self, route: tuple[str, ...], spent: int, minutes: int) -> None:
        """`route` begins at home (or nowhere); `spent` is the least that it costs so far."""
        day, journey = len(route) - 1, self.rules.journey
        if day > self.rules.days:
            self._count(route, spent)
            return
        for end, _ in self.order.get((day, route[-1]), ()):
            if end in route[1:]:
                continue
            for one in self.layout.arrivals(day + 1, route[-1], end) if journey else (None,):
                self._take(route, end, spent, minutes, one)

    def _take(self, route: tuple[str, ...], end: str, spent: int, minutes: int, one: Connection | None) -> None:
        day, journey, budget = len(route), self.rules.journey, self.rules.budget
        if one:
            spent, minutes = spent + self.layout.fare(one), minutes + one.minutes
        if day <= self.rules.days:
            spent += self.least[day, end]
        limit = journey.most_minutes if journey else None
        if budget is not None and spent + self.layout.cheap.after[day, end] > budget:
            return
        if limit is not None and minutes + self.layout.fast.after[day, end] > limit:
            return
        if self.found < CAP and self.steps < STEPS:
            self.go((*route, end), spent, minutes)

    def _count(self, route: tuple[str, ...], spent: int) -> None:
        self.steps += 1
        if not set(self.rules.visit).issubset(route[1:]):
            return
        width = 1 if self.rules.budget is None else self.rules.budget - spent + 1
        ways: Histograms = {0: np.ones(1)}
        for day in range(1, self.rules.days + 1):
            ways = self._joined(ways, self._day(day, route[day]), width)
        if self.wanted in ways:
            self.found += int(ways[self.wanted].sum())

    def _joined(self, ways: Histograms, day: Histograms, width: int) -> Histograms:
        found: Histograms = {}
        for marks, counts in ways.items():
            for more, others in day.items():
                both = np.convolve(counts, others[:width])[:width]
                before = found.get(marks | more)
                found[marks | more] = both if before is None else _added(before, both)
        return found

    def _day(self, day: int, city: str) -> Histograms:
        """How many options of one day cost so much more than its least, per set of marks."""
        if (day, city) not in self.cached:
            options = self.layout.options[day, city]
            cost_N = options.cost_N - self.least[day, city] if self.rules.budget is not None else options.cost_N * 0
            self.cached[day, city] = {
                int(marks): np.bincount(cost_N[options.marks_N == marks]).astype(np.float64)
                for marks in np.unique(options.marks_N)
            }
        return self.cached[day, city]


def _added(one: Counts, other: Counts) -> Counts:
    if len(one) < len(other):
        one, other = other, one
    total = one.copy()
    total[: len(other)] += other
    return total
