"""What the days before and after a day cost at least, were cities allowed twice: shortest ways through the days.

A bound from below on every plan, so that nothing which cannot be part of a plan within a limit need be looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..errors import ProposeFailed
from .country import Connection
from .layout import Layout

Node = tuple[int, str]
"""A day and its city; day 0 and the day after the last are at home, or nowhere ("") where the trip has no home."""


def minutes_of(one: Connection) -> int:
    """The price of a connection where time is what is paid."""
    return one.minutes


class Bounds:
    """`before[node]` is the least that is paid until one has arrived there, the stay not counted; `after[node]` the
    least from the next connection on. Nodes through which no way leads have no entry. ProposeFailed: there is no way.
    """

    def __init__(self, layout: Layout, price: Callable[[Connection], int], stay: dict[Node, int]) -> None:
        self.layout, self.price, self.stay = layout, price, stay
        self._fares: dict[tuple[Node, str], int | None] = {}
        self.start, self.end = (0, layout.home), (layout.rules.days + 1, layout.home)
        self.after: dict[Node, int] = {self.end: 0}
        self.before: dict[Node, int] = {self.start: 0}
        for day in range(layout.rules.days, -1, -1):
            for city in layout.places(day):
                found = [cost for _, cost in self.onward((day, city))]
                if found:
                    self.after[day, city] = min(found)
        if self.start not in self.after:
            raise ProposeFailed("no way through the days")
        for day in range(layout.rules.days + 1):
            for city in layout.places(day):
                if (day, city) in self.before:
                    self._reach((day, city))

    @property
    def least(self) -> int:
        """The least of the whole trip."""
        return self.after[self.start]

    def onward(self, node: Node) -> Iterator[tuple[str, int]]:
        """Where one can go next, and the least of all that follows then."""
        for end in self.layout.places(node[0] + 1):
            after, fare = self.after.get((node[0] + 1, end)), self._fare(node, end)
            if after is not None and fare is not None:
                yield end, fare + self.stay.get((node[0] + 1, end), 0) + after

    def _reach(self, node: Node) -> None:
        for end, _ in self.onward(node):
            fare = self._fare(node, end)
            assert fare is not None
            cost = self.before[node] + self.stay.get(node, 0) + fare
            key = (node[0] + 1, end)
            self.before[key] = min(cost, self.before.get(key, cost))

    def _fare(self, node: Node, end: str) -> int | None:
        """The least fare to the next day's city; None where nothing goes there."""
        if self.layout.rules.journey is None:
            return 0
        key = (node, end)
        if key not in self._fares:
            self._fares[key] = min(map(self.price, self.layout.arrivals(node[0] + 1, node[1], end)), default=None)
        return self._fares[key]

    def through(self, node: Node) -> int | None:
        """The least of a trip through a node, its stay not counted; None where no way leads through it."""
        if node not in self.before or node not in self.after:
            return None
        return self.before[node] + self.after[node]

    def along(self, day: int, one: Connection) -> int | None:
        """The least of a trip that takes this connection into a day's city."""
        start, end = (day - 1, one.origin), (day, one.destination)
        if start not in self.before or end not in self.after:
            return None
        stays = self.stay.get(start, 0) + self.stay.get(end, 0)
        return self.before[start] + stays + self.price(one) + self.after[end]
