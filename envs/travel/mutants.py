"""Plausible wrong plans made from right ones: each breaks one rule, as a hasty planner would."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

from .country import Country, Place
from .judge import judge
from .plan import minutes
from .rules import Rules

Plan = list[dict[str, Any]]
CANDIDATES = 2
"""Wrong plans made for each one returned: the one that breaks the fewest rules."""
_SLOTS = ("hotel", "afternoon_restaurant", "afternoon_attraction", "evening_restaurant")


def mutate_plan(rng: random.Random, rules: Rules, country: Country, plan: Plan) -> Plan:
    """A plan that `judge` refuses. Every change is tried on the judge: a plan that still passes is never returned."""
    found: list[tuple[int, Plan]] = []
    for _ in range(10 * CANDIDATES):
        changed = copy.deepcopy(plan)
        rng.choice(_CHANGES)(rng, rules, country, changed)
        broken = sum(not part.passed for part in judge(rules, changed, country))
        if broken:
            found.append((broken, changed))
        if len(found) == CANDIDATES:
            break
    return min(found, key=lambda one: one[0])[1] if found else plan[:-1]


def _day(rng: random.Random, plan: Plan) -> dict[str, Any]:
    return rng.choice(plan)


def _names(country: Country, city: str, slot: str) -> list[str]:
    if slot == "hotel":
        return [one.name for one in country.hotels_in.get(city, ())]
    if slot == "afternoon_attraction":
        return [one.name for one in country.attractions_in.get(city, ())]
    return [one.name for one in country.restaurants_in.get(city, ())]


def _another_here(rng: random.Random, rules: Rules, country: Country, plan: Plan) -> None:
    """Another place of the same city: too dear, badly rated, closed, of the wrong kind."""
    day, slot = _day(rng, plan), rng.choice(_SLOTS)
    day[slot] = rng.choice(_names(country, day["city"], slot))


def _dearest_here(rng: random.Random, rules: Rules, country: Country, plan: Plan) -> None:
    """The dearest hotel or meal."""
    day, slot = _day(rng, plan), rng.choice(_SLOTS)
    if day[slot]:
        places: dict[str, Place] = {**country.hotels, **country.restaurants, **country.attractions}
        day[slot] = max(_names(country, day["city"], slot), key=lambda name: places[name].price)


def _elsewhere(rng: random.Random, rules: Rules, country: Country, plan: Plan) -> None:
    """A place of another city."""
    day, slot = _day(rng, plan), rng.choice(_SLOTS)
    other = rng.choice([name for name in country.cities if name != day["city"]])
    if day[slot]:
        day[slot] = rng.choice(_names(country, other, slot))


def _same_twice(rng: random.Random, rules: Rules, country: Country, plan: Plan) -> None:
    """Dinner where lunch was."""
    day = _day(rng, plan)
    day["evening_restaurant"] = day["afternoon_restaurant"]


def _meals_swapped(rng: random.Random, rules: Rules, country: Country, plan: Plan) -> None:
    """Lunch where dinner was, and the other way round."""
    day = _day(rng, plan)
    day["evening_restaurant"], day["afternoon_restaurant"] = day["afternoon_restaurant"], day["evening_restaurant"]


def _other_city(rng: random.Random, rules: Rules, country: Country, plan: Plan) -> None:
    """The right places under the name of another city."""
    day = _day(rng, plan)
    day["city"] = rng.choice([name for name in country.cities if name != day["city"]])


def _wrong_date(rng: random.Random, rules: Rules, country: Country, plan: Plan) -> None:
    day = _day(rng, plan)
    day["time"] = rng.choice([f"{day['time'][:-2]}{rng.randrange(1, 29):02d}", day["time"].replace("-", "/")])


def _days_swapped(rng: random.Random, rules: Rules, country: Country, plan: Plan) -> None:
    """Two days in the wrong order, each under its new date; a plan of one day is said twice."""
    if len(plan) == 1:
        plan.append(dict(plan[0]))
        return
    one, other = sorted(rng.sample(range(len(plan)), 2))
    plan[one], plan[other] = plan[other] | {"time": plan[one]["time"]}, plan[one] | {"time": plan[other]["time"]}


def _day_missing(rng: random.Random, rules: Rules, country: Country, plan: Plan) -> None:
    del plan[rng.randrange(len(plan))]


def _invented(rng: random.Random, rules: Rules, country: Country, plan: Plan) -> None:
    """A name with a slip in it."""
    day, slot = _day(rng, plan), rng.choice(_SLOTS)
    if day[slot]:
        day[slot] = rng.choice((day[slot].lower(), f"{day[slot]} II", day[slot][:-1]))


def _connection(rng: random.Random, rules: Rules, country: Country, plan: Plan) -> None:
    """Another connection: too late, on another weekday, too dear, somewhere else."""
    if rules.journey is None:
        _another_here(rng, rules, country, plan)
        return
    at = rng.randrange(len(plan))
    origin = plan[at - 1]["city"] if at else rules.journey.home
    here = country.between.get((origin, plan[at]["city"]), [])
    others = here if rng.random() < 0.7 else list(country.connections.values())
    plan[at]["transport"] = rng.choice(others).id


def _stays_away(rng: random.Random, rules: Rules, country: Country, plan: Plan) -> None:
    """No way home; without a journey, no hotel for a night."""
    if rules.journey is None:
        _day(rng, plan)["hotel"] = ""
    else:
        plan[-1]["return_transport"] = rng.choice(("", plan[-1]["transport"]))


def _odd_hours(rng: random.Random, rules: Rules, country: Country, plan: Plan) -> None:
    """A meal or visit at another time."""
    if rules.timetable is None or not rules.timetable.chosen:
        _meals_swapped(rng, rules, country, plan)
        return
    day, slot = _day(rng, plan), f"{rng.choice(_SLOTS[1:])}_time"
    begin = minutes(day[slot]) or 0
    later = min(23 * 60 + 45, max(0, begin + rng.choice((-240, -120, -60, -30, 30, 60, 120, 240))))
    day[slot] = f"{later // 60:02d}:{later % 60:02d}"


_CHANGES: tuple[Callable[[random.Random, Rules, Country, Plan], None], ...] = (
    _another_here,
    _another_here,
    _dearest_here,
    _elsewhere,
    _same_twice,
    _meals_swapped,
    _other_city,
    _wrong_date,
    _days_swapped,
    _day_missing,
    _invented,
    _connection,
    _stays_away,
    _odd_hours,
)
