"""Opening hours and the clock of one day: lunch, visit and dinner within their windows, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from ...verifiers.checks import check
from ...verifiers.types import Part
from .country import Attraction, Restaurant, clock, ride
from .plan import Stay, minutes
from .rules import Rules, Timetable

Begins = tuple[int | None, int | None, int | None]


def time_parts(rules: Rules, stay: Stay, weekday: str) -> Iterator[Part]:
    """Nothing where the task has no timetable."""
    table = rules.timetable
    if table is None:
        return
    begins = _begins(table, stay)
    windows = (table.lunch, table.visit, table.dinner)
    lasts = (table.lunch_minutes, stay.sight.minutes if stay.sight else None, table.dinner_minutes)
    slots = ("afternoon_restaurant", "afternoon_attraction", "evening_restaurant")
    places = (stay.lunch, stay.sight, stay.dinner)
    for slot, place, begin, window, last in zip(slots, places, begins, windows, lasts, strict=True):
        name = f"day{stay.number}.{slot}"
        if table.chosen:
            yield _in_window(f"{name}_time", stay.given[f"{slot}_time"], begin, window)
        if place and last is not None:
            yield check(f"{name}.weekday", place.closed != weekday, f"{weekday}; closed on {place.closed or 'no day'}")
            yield _open(name, place, begin, last)
    yield from _in_turn(rules, stay, begins, lasts)


def _begins(table: Timetable, stay: Stay) -> Begins:
    if not table.chosen:
        return (table.lunch[0], table.visit[0], table.dinner[0])
    given = stay.given
    return (
        minutes(given["afternoon_restaurant_time"]),
        minutes(given["afternoon_attraction_time"]),
        minutes(given["evening_restaurant_time"]),
    )


def _in_window(name: str, given: str, begin: int | None, window: tuple[int, int]) -> Part:
    fits = begin is not None and window[0] <= begin <= window[1]
    return check(name, fits, f"{given!r} (from {clock(window[0])} to {clock(window[1])})")


def _open(name: str, place: Restaurant | Attraction, begin: int | None, last: int) -> Part:
    if begin is None:
        return check(f"{name}.open", False, "no time")
    fits = place.opens <= begin and begin + last <= place.closes
    stays = f"{clock(begin)} and {last} minutes"
    return check(f"{name}.open", fits, f"{stays}; open from {clock(place.opens)} to {clock(place.closes)}")


def _in_turn(rules: Rules, stay: Stay, begins: Begins, lasts: tuple[int, int | None, int]) -> Iterator[Part]:
    """The visit begins after lunch and the way there, dinner after the visit and the way there."""
    places = (stay.lunch, stay.sight, stay.dinner)
    for at, name in ((0, "visit_after_lunch"), (1, "dinner_after_visit")):
        here, there, begin, then, last = places[at], places[at + 1], begins[at], begins[at + 1], lasts[at]
        name = f"day{stay.number}.{name}"
        if here is None or there is None or begin is None or then is None or last is None:
            yield check(name, False, "cannot be told")
            continue
        way = ride(rules.mode, here, there)[0] if rules.mode else 0
        yield check(name, begin + last + way <= then, f"{clock(begin)} + {last} + {way} minutes, then {clock(then)}")
