"""Rules for a level, drawn so that a country is likely to allow them; `proof.py` then says whether it does.

Budgets and the limit on travel time are set from the optimum that CP-SAT proves, with a margin that shrinks by level.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from ..errors import ProposeFailed
from .country import Country
from .generator import CATEGORIES, CUISINES, make_country
from .layout import Layout
from .proof import cheapest
from .rules import DearLunch, Journey, Rules, Step, Tiers, Timetable
from .slack import Slack, count_plans, least_minutes

Draw = dict[str, Any]


@dataclass(frozen=True)
class Level:
    """How hard: days, cities of the country, optional rules drawn, and what room the limits leave (in percent)."""

    days: int
    cities: int
    extras: int
    margin: int
    journey: bool = False
    chosen_times: bool = False
    rides: bool = False
    travel_limit: bool = False


LEVELS = {
    1: Level(1, 3, 3, 40),
    2: Level(2, 3, 3, 20),
    3: Level(3, 4, 3, 12),
    4: Level(3, 5, 3, 8, journey=True),
    5: Level(3, 6, 4, 6, journey=True),
    6: Level(4, 6, 4, 5, journey=True, rides=True),
    7: Level(4, 7, 5, 4, journey=True, rides=True, chosen_times=True),
    8: Level(5, 8, 5, 3, journey=True, rides=True, chosen_times=True, travel_limit=True),
    9: Level(5, 8, 7, 2, journey=True, rides=True, chosen_times=True, travel_limit=True),
    10: Level(6, 9, 8, 1, journey=True, rides=True, chosen_times=True, travel_limit=True),
}
TRIES = 12
"""Countries and rules drawn before a level is given up for this rng."""


@dataclass(frozen=True)
class Drawn:
    """A country, rules it allows, the cost of the cheapest plan, and how many plans pass."""

    country: Country
    rules: Rules
    least_cost: int
    slack: Slack


def draw_problem(rng: random.Random, level: int) -> Drawn:
    """Draw until CP-SAT proves that there is a plan. ProposeFailed after TRIES."""
    for _ in range(TRIES):
        try:
            return _draw(rng, LEVELS[level], level)
        except ProposeFailed:
            continue
    raise ProposeFailed(f"no plan in {TRIES} countries at level {level}")


def _draw(rng: random.Random, level: Level, number: int) -> Drawn:
    first = date(2026, 1, 1) + timedelta(days=rng.randrange(730))
    days = [(first + timedelta(days=day)).isoformat() for day in range(level.days)]
    country = make_country(rng, level.cities + level.journey, days)
    rules = _rules(rng, level, number, days[0], country)
    layout = Layout(rules, country)
    if rules.journey and level.travel_limit:
        most = _up(least_minutes(layout) * (115 + 2 * level.margin) // 100, 10)
        rules = rules.model_copy(update={"journey": rules.journey.model_copy(update={"most_minutes": most})})
        layout = layout.limited(rules)
    least = cheapest(layout).cost
    if number >= 2:
        rules = rules.model_copy(update={"budget": _up(least * (100 + level.margin) // 100, 10)})
        layout = layout.limited(rules)
    slack = count_plans(layout)
    assert slack.plans > 0 or not slack.exact, f"CP-SAT finds a plan for {least} CNY and counting finds none"
    return Drawn(country, rules, least, slack)


def _up(value: int, step: int) -> int:
    return -(-value // step) * step


def _rules(rng: random.Random, level: Level, number: int, start: str, country: Country) -> Rules:
    names = list(country.cities)
    draw: Draw = {"start": start, "days": level.days, "timetable": _timetable(rng, level.chosen_times)}
    if level.journey:
        draw["journey"] = _journey(rng, names.pop(rng.randrange(len(names))))
        draw["party"] = rng.choice((1, 2, 2, 3, 4))
    if level.rides:
        draw["mode"] = rng.choice(("bus", "taxi", "taxi", "metro"))
    if number <= 2:
        draw["route"] = dict(enumerate(rng.sample(names, level.days), start=1))
    draw["tiers"] = [_tiers(rng, day) for day in _tier_days(rng, level, number)]
    pool = [extra for least, extra in _EXTRAS if number >= least]
    for extra in rng.sample(pool, min(level.extras, len(pool))):
        extra(rng, draw, names)
    return Rules.model_validate(draw)


def _timetable(rng: random.Random, chosen: bool) -> Timetable:
    lunch, visit, dinner = rng.choice((690, 705, 720)), rng.choice((840, 855, 870)), rng.choice((1050, 1065, 1080))
    if not chosen:
        return Timetable(lunch=(lunch, lunch), visit=(visit, visit), dinner=(dinner, dinner))
    return Timetable(lunch=(lunch, lunch + 75), visit=(780, 930), dinner=(dinner, dinner + 60))


def _journey(rng: random.Random, home: str) -> Journey:
    return Journey(home=home, arrive_by=rng.choice((645, 660, 675)), leave_from=1230, home_by=rng.choice((1425, 1439)))


def _tier_days(rng: random.Random, level: Level, number: int) -> list[int]:
    nights = level.days - level.journey
    count = 0 if number == 1 else 1 if number < 6 else 2
    return sorted(rng.sample(range(1, nights + 1), min(count, nights)))


def _tiers(rng: random.Random, day: int) -> Tiers:
    """Like the trip example: the dearer the hotel, the more modest the rest of the day."""
    dear, middle, low = rng.choice((700, 800, 900)), rng.choice((450, 500, 550)), rng.choice((200, 250, 300))
    return Tiers(
        day=day,
        steps=(
            Step(
                floor=dear,
                meals_below=rng.randrange(200, 361, 10),
                well_rated=2,
                rating=rng.choice((3.5, 3.8, 4.0)),
                attraction_below=rng.randrange(80, 141, 10),
            ),
            Step(
                floor=middle,
                well_rated=1,
                rating=rng.choice((3.8, 4.0, 4.2)),
                attraction_below=rng.randrange(150, 211, 10),
            ),
            Step(floor=low, well_rated=1, rating=rng.choice((3.2, 3.4, 3.6))),
        ),
    )


def _hotel_below(rng: random.Random, draw: Draw, names: list[str]) -> None:
    draw["hotel_below"] = rng.randrange(500, 1001, 20)


def _hotel_rating(rng: random.Random, draw: Draw, names: list[str]) -> None:
    draw["hotel_rating"] = rng.choice((3.2, 3.4, 3.5, 3.6))


def _meal_rating(rng: random.Random, draw: Draw, names: list[str]) -> None:
    draw["meal_rating"] = rng.choice((3.0, 3.1, 3.2, 3.3))


def _attraction_rating(rng: random.Random, draw: Draw, names: list[str]) -> None:
    draw["attraction_rating"] = rng.choice((3.2, 3.4, 3.5))


def _no_cuisines(rng: random.Random, draw: Draw, names: list[str]) -> None:
    wanted = {*draw.get("trip_cuisines", ()), *draw.get("dinner_cuisine", {}).values()}
    draw["no_cuisines"] = sorted(rng.sample([one for one in CUISINES if one not in wanted], rng.choice((1, 2))))


def _dinner_cuisine(rng: random.Random, draw: Draw, names: list[str]) -> None:
    allowed = [one for one in CUISINES if one not in draw.get("no_cuisines", ())]
    draw["dinner_cuisine"] = {rng.randrange(1, draw["days"] + 1): rng.choice(allowed)}


def _two_cuisines(rng: random.Random, draw: Draw, names: list[str]) -> None:
    draw["two_cuisines"] = True


def _dear_lunch(rng: random.Random, draw: Draw, names: list[str]) -> None:
    draw["dear_lunch"] = DearLunch(floor=rng.randrange(80, 131, 10), dinner_below=rng.randrange(100, 161, 10))


def _needs(rng: random.Random, draw: Draw, names: list[str]) -> None:
    draw["needs"] = [rng.choice(("pets", "smoking", "children"))]
    if "children" in draw["needs"] and draw.get("party", 1) == 1:
        draw["needs"] = ["pets"]


def _weather(rng: random.Random, draw: Draw, names: list[str]) -> None:
    draw["indoor_when"] = rng.choice((["rain"], ["storm"], ["rain", "storm"]))


def _trip_cuisines(rng: random.Random, draw: Draw, names: list[str]) -> None:
    allowed = [one for one in CUISINES if one not in draw.get("no_cuisines", ())]
    draw["trip_cuisines"] = sorted(rng.sample(allowed, rng.choice((1, 2))))


def _trip_categories(rng: random.Random, draw: Draw, names: list[str]) -> None:
    draw["trip_categories"] = [rng.choice(tuple(CATEGORIES))]


def _weekend(rng: random.Random, draw: Draw, names: list[str]) -> None:
    if {6, 7}.intersection(
        (date.fromisoformat(draw["start"]) + timedelta(days=day)).isoweekday() for day in range(draw["days"])
    ):
        draw["weekend_rating"] = rng.choice((3.4, 3.5, 3.6))
    else:
        _two_cuisines(rng, draw, names)


def _visit(rng: random.Random, draw: Draw, names: list[str]) -> None:
    draw["visit"] = [rng.choice([name for name in names if name not in draw.get("avoid", ())])]


def _avoid(rng: random.Random, draw: Draw, names: list[str]) -> None:
    draw["avoid"] = [rng.choice([name for name in names if name not in draw.get("visit", ())])]


def _day_budget(rng: random.Random, draw: Draw, names: list[str]) -> None:
    draw["day_budget"] = rng.randrange(1000, 1401, 20) + 500 * (draw.get("party", 1) - 1)


def _without(rng: random.Random, draw: Draw, names: list[str]) -> None:
    kind = rng.choice(("flight", "coach"))
    draw["journey"] = draw["journey"].model_copy(update={"without": (kind,)})


_EXTRAS: tuple[tuple[int, Callable[[random.Random, Draw, list[str]], None]], ...] = (
    (1, _hotel_below),
    (1, _hotel_rating),
    (1, _meal_rating),
    (1, _attraction_rating),
    (1, _no_cuisines),
    (1, _dinner_cuisine),
    (1, _two_cuisines),
    (1, _needs),
    (2, _dear_lunch),
    (3, _visit),
    (3, _weekend),
    (4, _trip_cuisines),
    (4, _avoid),
    (4, _without),
    (5, _weather),
    (5, _day_budget),
    (6, _trip_categories),
)
"""The lowest level of each optional rule."""
