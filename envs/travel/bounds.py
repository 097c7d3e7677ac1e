"""What the days before and after a day cost at least, were cities allowed twice: shortest ways through the days.

A bound from below on every plan, so that nothing which cannot be part of a plan within a limit need be looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..errors import ProposeFailed
from .country import Connection

Node = tuple[int, str]
"""A day and its city; day 0 and the day after the last are at home, or nowhere ("") where the trip has no home."""
Fare = Callable[[int, str, str], int | None]
"""The least that is paid into a day's city from another; None where nothing goes there."""


class Bounds:
    """`before[node]` is the least that is paid until one has arrived there, the stay not counted; `after[node]` the
    least from the next connection on; `onward[node]` where one can go next, and the least of all that follows then.
    Nodes through which no way leads have no entry. ProposeFailed: there is no way.
    """

    def __init__(self, places: Sequence[Sequence[str]], fare: Fare, stay: Mapping[Node, int]) -> None:
        self.stay = stay
        self.start, self.end = (0, places[0][0]), (len(places) - 1, places[-1][0])
        self.after: dict[Node, int] = {self.end: 0}
        self.before: dict[Node, int] = {self.start: 0}
        self.onward: dict[Node, list[tuple[str, int]]] = {}
        for day in range(len(places) - 2, -1, -1):
            self._look_back(day, places, fare)
        if self.start not in self.after:
            raise ProposeFailed("no way through the days")
        for day in range(len(places) - 1):
            for city in places[day]:
                if (day, city) in self.before and (day, city) in self.onward:
                    self._reach((day, city))

    def _look_back(self, day: int, places: Sequence[Sequence[str]], fare: Fare) -> None:
        rests = [(end, self._rest((day + 1, end))) for end in places[day + 1] if (day + 1, end) in self.after]
        for city in places[day]:
            fares = [(end, fare(day + 1, city, end), rest) for end, rest in rests]
            if found := [(end, paid + rest) for end, paid, rest in fares if paid is not None]:
                self.onward[day, city] = found
                self.after[day, city] = min(cost for _, cost in found)

    def _rest(self, node: Node) -> int:
        """The least from the moment one has arrived."""
        return self.stay.get(node, 0) + self.after[node]

    def _reach(self, node: Node) -> None:
        here = self.before[node] + self.stay.get(node, 0)
        for end, cost in self.onward[node]:
            key = (node[0] + 1, end)
            paid = here + cost - self._rest(key)
            self.before[key] = min(paid, self.before.get(key, paid))

    @property
    def least(self) -> int:
        """The least of the whole trip."""
        return self.after[self.start]

    def through(self, node: Node) -> int | None:
        """The least of a trip through a node, its stay not counted; None where no way leads through it."""
        if node not in self.before or node not in self.after:
            return None
        return self.before[node] + self.after[node]

    def along(self, day: int, one: Connection, price: int) -> int | None:
        """The least of a trip that takes this connection into a day's city and pays `price` for it."""
        start, end = (day - 1, one.origin), (day, one.destination)
        if start not in self.before or end not in self.after:
            return None
        return self.before[start] + self.stay.get(start, 0) + price + self._rest(end)
