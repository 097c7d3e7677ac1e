"""What one task asks of a plan, as data: `wording.py` says it, `judge.py` checks it, `options.py` plans by it.

Days count from 1. Prices are listed prices (per room and night, per person) unless a field says otherwise.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cached_property

from pydantic import BaseModel, ConfigDict

from .country import WEEKDAYS, Connection, Hotel

NEEDS = {"pets": "no pets", "smoking": "no smoking", "children": "no children"}
"""What a party brings with it, and the house rule that forbids it."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Step(_Data):
    """One price range of hotels: from `floor` on, up to the next higher step's."""

    floor: int
    meals_below: int | None = None
    """Lunch and dinner together, per person."""
    well_rated: int = 0
    """How many of the two restaurants must have `rating`: 0, 1 (at least one) or 2."""
    rating: float = 0.0
    attraction_below: int | None = None


class Tiers(_Data):
    """What a day's hotel price means for the rest of that day. Steps from the dearest down; below all: nothing."""

    day: int
    steps: tuple[Step, ...]

    def step(self, price: int) -> Step | None:
        """The step a hotel of this price falls into."""
        return next((step for step in self.steps if price >= step.floor), None)


class Timetable(_Data):
    """Windows in which lunch, the visit and dinner begin, in minutes after midnight. Where both ends of every window
    are equal the plan names no times."""

    lunch: tuple[int, int]
    visit: tuple[int, int]
    dinner: tuple[int, int]
    lunch_minutes: int = 60
    dinner_minutes: int = 90

    @cached_property
    def chosen(self) -> bool:
        """True when the plan says when things begin."""
        return any(first != last for first, last in (self.lunch, self.visit, self.dinner))


class Journey(_Data):
    """Travel between the cities: from `home` in the first morning and back to it in the last evening."""

    home: str
    arrive_by: int
    leave_from: int
    home_by: int
    without: tuple[str, ...] = ()
    most_minutes: int | None = None

    def morning(self, one: Connection, weekday: str) -> bool:
        """Whether this connection may be taken into a day's city."""
        return one.arrives <= self.arrive_by and weekday in one.days and one.kind not in self.without

    def evening(self, one: Connection, weekday: str) -> bool:
        """Whether this connection may be taken home."""
        return (
            one.departs >= self.leave_from
            and one.arrives <= self.home_by
            and weekday in one.days
            and one.kind not in self.without
        )


class DearLunch(_Data):
    """A lunch that costs `floor` or more asks for a dinner below `dinner_below` on the same day."""

    floor: int
    dinner_below: int


class Rules(_Data):
    """Everything a task asks. None, empty and 0 mean: not asked."""

    start: str
    days: int
    party: int = 1
    route: dict[int, str] = {}
    """The city of some days."""
    visit: tuple[str, ...] = ()
    """Cities that must be among the days'."""
    avoid: tuple[str, ...] = ()
    journey: Journey | None = None
    timetable: Timetable | None = None
    mode: str = ""
    """How the party goes from place to place in a city."""
    needs: tuple[str, ...] = ()
    hotel_below: int | None = None
    hotel_rating: float | None = None
    meal_rating: float | None = None
    weekend_rating: float | None = None
    attraction_rating: float | None = None
    no_cuisines: tuple[str, ...] = ()
    dinner_cuisine: dict[int, str] = {}
    two_cuisines: bool = False
    """Lunch and dinner of a day are of different cuisines."""
    trip_cuisines: tuple[str, ...] = ()
    trip_categories: tuple[str, ...] = ()
    indoor_when: tuple[str, ...] = ()
    dear_lunch: DearLunch | None = None
    tiers: tuple[Tiers, ...] = ()
    day_budget: int | None = None
    budget: int | None = None

    @cached_property
    def dates(self) -> tuple[str, ...]:
        """The date of each day."""
        first = date.fromisoformat(self.start)
        return tuple((first + timedelta(days=day)).isoformat() for day in range(self.days))

    @cached_property
    def weekdays(self) -> tuple[str, ...]:
        """The weekday of each day."""
        return tuple(WEEKDAYS[date.fromisoformat(day).weekday()] for day in self.dates)

    def has_hotel(self, day: int) -> bool:
        """Whether a night follows this day: not when the party goes home in its evening."""
        return self.journey is None or day < self.days

    def rooms(self, hotel: Hotel) -> int:
        """How many rooms the party takes."""
        return -(-self.party // hotel.max_guests)

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The fields of a day in a plan, all texts."""
        found = ["time", "city", "hotel", "afternoon_restaurant", "afternoon_attraction", "evening_restaurant"]
        if self.timetable and self.timetable.chosen:
            found += ["afternoon_restaurant_time", "afternoon_attraction_time", "evening_restaurant_time"]
        if self.journey:
            found += ["transport", "return_transport"]
        return tuple(found)
