"""CP-SAT's optimum and the count of plans beside enumeration of every plan of small countries."""

import itertools
import random
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from palestra.envs.errors import ProposeFailed
from palestra.envs.travel.country import Connection, Country, clock
from palestra.envs.travel.generator import CATEGORIES, make_country
from palestra.envs.travel.judge import judge, trip_cost
from palestra.envs.travel.layout import Layout
from palestra.envs.travel.plan import read_stay
from palestra.envs.travel.proof import cheapest
from palestra.envs.travel.rules import DearLunch, Journey, Rules, Step, Tiers, Timetable
from palestra.envs.travel.slack import count_plans

Plan = list[dict[str, Any]]
FIXED = Timetable(lunch=(720, 720), visit=(840, 840), dinner=(1080, 1080))


def small_country(rng: random.Random, cities: int, dates: tuple[str, ...]) -> Country:
    """Two hotels, three restaurants and two attractions per city, and every connection."""
    whole = make_country(rng, cities, dates)
    return Country.of(
        whole.cities.values(),
        [one for city in whole.cities for one in whole.hotels_in[city][:2]],
        [one._replace(opens=660, closes=1320) for city in whole.cities for one in whole.restaurants_in[city][:3]],
        [one._replace(opens=600, closes=1200) for city in whole.cities for one in whole.attractions_in[city][:2]],
        whole.connections.values(),
        whole.weather.values(),
    )


def some_rules(rng: random.Random, seed: int) -> tuple[Rules, Country]:
    """Two days in four cities, with or without a home, under a few rules at random."""
    draft = Rules(start="2026-05-01", days=2)
    journey = seed % 2 == 0
    country = small_country(rng, 4, draft.dates)
    restaurants = sorted({one.cuisine for one in country.restaurants.values()})
    wanted: dict[str, Any] = {
        "party": rng.choice((1, 2, 3)),
        "mode": rng.choice(("", "bus", "taxi")),
        "trip_cuisines": tuple(sorted(rng.sample(restaurants, rng.choice((0, 1))))),
        "trip_categories": tuple(rng.sample(sorted(CATEGORIES), rng.choice((0, 0, 0, 1)))),
        "two_cuisines": rng.random() < 0.2,
        "meal_rating": rng.choice((None, 2.9)),
        "indoor_when": rng.choice(((), ("rain", "storm"))),
        "no_cuisines": tuple(rng.sample(restaurants, rng.choice((0, 0, 1)))),
        "dear_lunch": rng.choice((None, DearLunch(floor=100, dinner_below=120))),
        "timetable": rng.choice((None, None, FIXED)),
        "tiers": rng.choice(((), (Tiers(day=1, steps=STEPS),))),
    }
    if journey:
        most = rng.choice((None, 400))
        home = next(iter(country.cities))
        wanted["journey"] = Journey(home=home, arrive_by=720, leave_from=1200, home_by=1439, most_minutes=most)
    return Rules(start="2026-05-01", days=2, **wanted), country


STEPS = (
    Step(floor=700, meals_below=300, well_rated=2, rating=3.2, attraction_below=150),
    Step(floor=300, well_rated=1, rating=3.5, attraction_below=200),
)


def every_plan(rules: Rules, country: Country) -> Iterator[Plan]:
    home = rules.journey.home if rules.journey else None
    cities = [city for city in country.cities if city != home]
    for route in itertools.permutations(cities, rules.days):
        stays = [list(every_day(rules, country, number, city)) for number, city in enumerate(route, start=1)]
        for days in itertools.product(*stays):
            plan = list(days)
            if home is None:
                yield plan
                continue
            ends = [home, *route, home]
            for ways in itertools.product(*[ways_between(country, *pair) for pair in itertools.pairwise(ends)]):
                legs = [{"transport": one.id, "return_transport": ""} for one in ways[:-1]]
                legs[-1]["return_transport"] = ways[-1].id
                yield [day | leg for day, leg in zip(plan, legs, strict=True)]


def ways_between(country: Country, origin: str, end: str) -> list[Connection]:
    return [one for one in country.connections.values() if (one.origin, one.destination) == (origin, end)]


def every_day(rules: Rules, country: Country, number: int, city: str) -> Iterator[dict[str, str]]:
    meals = [one.name for one in country.restaurants_in[city]]
    hotels = [one.name for one in country.hotels_in[city]] if rules.has_hotel(number) else [""]
    sights = [one.name for one in country.attractions_in[city]]
    for hotel, lunch, sight, dinner in itertools.product(hotels, meals, sights, meals):
        yield {
            "time": rules.dates[number - 1],
            "city": city,
            "hotel": hotel,
            "afternoon_restaurant": lunch,
            "afternoon_attraction": sight,
            "evening_restaurant": dinner,
        }


def right(rules: Rules, country: Country, plan: Plan) -> bool:
    return all(part.passed for part in judge(rules, plan, country))


def cost_of(rules: Rules, country: Country, plan: Plan) -> int:
    cost = trip_cost(rules, [read_stay(rules, country, at, day) for at, day in enumerate(plan, start=1)])
    assert cost is not None
    return cost


@cache
def enumerated(seed: int) -> tuple[Rules, Country, list[int]]:
    """Rules, a country, and what each plan that passes costs."""
    rules, country = some_rules(random.Random(seed), seed)
    plans = (plan for plan in every_plan(rules, country) if right(rules, country, plan))
    return rules, country, sorted(cost_of(rules, country, plan) for plan in plans)


@pytest.mark.parametrize("seed", range(16))
def test_optimum_and_count_equal_enumeration(seed: int) -> None:
    rules, country, costs = enumerated(seed)
    layout = Layout(rules, country)
    if not costs:
        with pytest.raises(ProposeFailed):
            cheapest(layout)
        return
    assert cheapest(layout).cost == costs[0]
    for budget in (None, costs[0], costs[0] + 100, costs[len(costs) // 2]):
        limited = layout.limited(rules.model_copy(update={"budget": budget}))
        slack = count_plans(limited)
        assert slack.exact
        assert slack.plans == sum(budget is None or cost <= budget for cost in costs)
        assert cheapest(limited).cost == costs[0]
    short = layout.limited(rules.model_copy(update={"budget": costs[0] - 1}))
    assert count_plans(short).plans == 0
    with pytest.raises(ProposeFailed, match="no plan"):
        cheapest(short)


def test_enumeration_finds_plans_in_most_of_the_small_countries() -> None:
    """Else the test above would compare nothing with nothing."""
    assert sum(bool(enumerated(seed)[2]) for seed in range(16)) >= 8


def test_chosen_times_exist_exactly_where_some_minute_fits() -> None:
    """Every minute of small windows is tried for lunch, visit and dinner."""
    table = Timetable(lunch=(700, 704), visit=(790, 799), dinner=(930, 939), lunch_minutes=60, dinner_minutes=90)
    told: list[bool] = []
    for seed in range(3):
        rng = random.Random(seed)
        rules = Rules(start="2026-05-01", days=1, timetable=table, mode="bus", route={1: "x"})
        country = small_country(rng, 1, rules.dates)
        city = next(iter(country.cities))
        rules = rules.model_copy(update={"route": {1: city}})
        possible = 0
        for day in every_day(rules, country, 1, city):
            fits = any(right(rules, country, [day | times]) for times in likely_minutes(rules, country, day))
            told.append(fits)
            possible += fits
        layout = Layout(rules, country)
        assert sum(len(options) for options in layout.options.values()) == possible
    assert set(told) == {True, False}


def likely_minutes(rules: Rules, country: Country, day: dict[str, str]) -> Iterator[dict[str, str]]:
    """Every minute of each window, the later ones only where the earlier ones leave time: a filter on order alone."""
    table, sight = rules.timetable, country.attractions[day["afternoon_attraction"]]
    assert table is not None
    windows = [range(first, last + 1) for first, last in (table.lunch, table.visit, table.dinner)]
    for lunch, visit, dinner in itertools.product(*windows):
        if lunch + table.lunch_minutes <= visit and visit + sight.minutes <= dinner:
            yield {
                "afternoon_restaurant_time": clock(lunch),
                "afternoon_attraction_time": clock(visit),
                "evening_restaurant_time": clock(dinner),
            }


def test_bounds_are_never_above_the_optimum() -> None:
    for seed in range(0, 16, 2):
        rules, country = some_rules(random.Random(seed), seed)
        layout = Layout(rules, country)
        try:
            trip = cheapest(layout)
        except ProposeFailed:
            continue
        cost, slow = layout.cheap, layout.fast
        assert cost.least <= trip.cost
        assert slow.least <= sum(one.minutes for one in trip.connections)
        for day, city in enumerate(trip.cities, start=1):
            through = cost.through((day, city))
            assert through is not None
            assert through + layout.least[day, city] <= trip.cost
