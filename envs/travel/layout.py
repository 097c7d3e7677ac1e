"""The plans of a task, laid out by day and city: what one can do where on each day, and what goes from city to city."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property

from .bounds import Bounds, Fare
from .country import Connection, Country
from .options import CityDays, Options
from .rules import Rules


class Layout:
    """`options[day, city]` are the ways to spend a day there; days and cities that cannot be reached, or where no way
    obeys the rules, have no entry. `home` is "" where the trip has none.
    """

    def __init__(self, rules: Rules, country: Country) -> None:
        self.rules, self.country = rules, country
        self.home = rules.journey.home if rules.journey else ""
        names = [name for name in country.cities if name != self.home and name not in rules.avoid]
        self.cities = {name: CityDays(rules, country, name) for name in names}
        self.options: dict[tuple[int, str], Options] = {}
        self._arrivals: dict[tuple[int, str, str], list[Connection]] = {}
        self._lay_out()

    def _lay_out(self) -> None:
        before = [self.home]
        for day in range(1, self.rules.days + 1):
            here = []
            for name, city in self.cities.items():
                if self.rules.journey and not any(self.arrivals(day, one, name) for one in before):
                    continue
                found = city.on(day)
                if len(found):
                    self.options[day, name] = found
                    here.append(name)
            before = here

    def limited(self, rules: Rules) -> Layout:
        """The same layout, and what is known of it, under rules that differ in the limits on cost and minutes of the
        whole trip alone.
        """
        other = copy.copy(self)
        other.rules = rules
        return other

    @cached_property
    def _places(self) -> list[list[str]]:
        days = range(1, self.rules.days + 1)
        return [[self.home], *([city for at, city in self.options if at == day] for day in days), [self.home]]

    def places(self, day: int) -> list[str]:
        """Where one can be on a day: at home on day 0 and on the one after the last."""
        return self._places[day]

    def arrivals(self, day: int, origin: str, destination: str) -> list[Connection]:
        """The connections that may be taken into this day's city; on the day after the last, home. Only asked for
        where the trip has a journey.
        """
        key = (day, origin, destination)
        if key not in self._arrivals:
            journey = self.rules.journey
            assert journey is not None
            fits = journey.morning if day <= self.rules.days else journey.evening
            weekday = self.rules.weekdays[min(day, self.rules.days) - 1]
            between = self.country.between.get((origin, destination), [])
            self._arrivals[key] = [one for one in between if fits(one, weekday)]
        return self._arrivals[key]

    def fare(self, one: Connection) -> int:
        """What the party pays for a connection."""
        return one.price * self.rules.party

    @cached_property
    def least(self) -> dict[tuple[int, str], int]:
        """The cheapest way to spend a day in a city."""
        return {key: int(options.cost_N.min()) for key, options in self.options.items()}

    @cached_property
    def cheap(self) -> Bounds:
        """The bounds of what a trip costs. ProposeFailed where there is no way through the days."""
        return Bounds(self._places, self._lowest(self.fare), self.least)

    @cached_property
    def fast(self) -> Bounds:
        """The bounds of the minutes between cities. ProposeFailed where there is no way through the days."""
        return Bounds(self._places, self._lowest(lambda one: one.minutes), {})

    def _lowest(self, price: Callable[[Connection], int]) -> Fare:
        if not self.rules.journey:
            return lambda day, origin, end: 0
        return lambda day, origin, end: min(map(price, self.arrivals(day, origin, end)), default=None)
