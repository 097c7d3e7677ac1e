"""Travel: tools, tasks and the fixed example."""

import itertools
import json
import os
import random
import re
import subprocess
import sys

import pytest

from palestra.envs.environment import SolverTools
from palestra.envs.errors import ProposeFailed
from palestra.envs.travel.country import Place, ride
from palestra.envs.travel.environment import Travel
from palestra.envs.types import Task, ToolCall, canonical

from .checker import passes

LEVELS = list(Travel.levels)
TOOLS = [
    "get_all_cities",
    "get_all_attractions_by_city",
    "get_all_hotels_by_city",
    "get_all_restaurants_by_city",
    "get_city_by_attraction",
    "get_city_by_hotel",
    "get_city_by_restaurant",
    "get_city_transport",
    "get_infos_by_attraction",
    "get_infos_by_city",
    "get_infos_by_hotel",
    "get_infos_by_restaurant",
    "get_inter_city_transport",
    "get_weather_by_city_date",
    "submit_result",
]


DAY = dict.fromkeys(
    ("time", "city", "hotel", "afternoon_restaurant", "afternoon_attraction", "evening_restaurant"), "x"
)


def make(level: int, seed: int) -> Task:
    rng = random.Random(seed)
    while True:
        try:
            return Travel().propose(rng, level)
        except ProposeFailed:
            continue


def started(task: Task) -> Travel:
    env = Travel()
    env.start(task)
    return env


def said(env: Travel, name: str, **arguments: object) -> str:
    result = env.call(ToolCall(name=name, arguments=arguments))
    return result.text if result.ok else f"refused: {result.text}"


def test_the_tools_are_the_fifteen_of_the_trip_example() -> None:
    assert list(Travel.toolset) == TOOLS
    assert [schema.name for schema in Travel.schemas() if schema.submits] == ["submit_result"]


def test_look_ups_agree_with_each_other() -> None:
    env = started(make(6, 1))
    for city in json.loads(said(env, "get_all_cities")):
        for kind in ("hotel", "restaurant", "attraction"):
            names = json.loads(said(env, f"get_all_{kind}s_by_city", city=city))
            assert len(names) >= 6
            for name in names:
                assert said(env, f"get_city_by_{kind}", **{kind: name}) == city
                infos = json.loads(said(env, f"get_infos_by_{kind}", **{kind: name}, info_keywords=[]))
                assert infos["city"] == city
                price = json.loads(said(env, f"get_infos_by_{kind}", **{kind: name}, info_keywords=["price"]))
                assert price == {"name": name, "price": infos["price"]}


def test_the_tariff_gives_every_ride() -> None:
    """Minutes and prices computed from the tariff and the coordinates, as the tool's text says."""
    env = started(make(7, 2))
    for city in env.get_all_cities():
        tariff = env.get_city_transport(city)["transport"]
        one, other = env.get_all_hotels_by_city(city)[0], env.get_all_attractions_by_city(city)[1]
        rides = env.get_city_transport(city, one, other)["transport"]
        points = [
            env.get_infos_by_hotel(one, [])["coordinates_km"],
            env.get_infos_by_attraction(other, [])["coordinates_km"],
        ]
        tenths = round(sum(abs(a - b) for a, b in zip(*points, strict=True)) * 10)
        assert set(rides) == set(tariff)
        for mode, about in tariff.items():
            assert rides[mode]["minutes"] == about["base_minutes"] + about["minutes_per_km"] * tenths // 10
            assert rides[mode]["price"] == about["base_price"] + about["price_per_10_km"] * tenths // 100


def test_connections_and_weather_are_those_of_the_country() -> None:
    task = make(5, 4)
    env = started(task)
    cities = env.get_all_cities()
    seen = 0
    for one, other in itertools.permutations(cities, 2):
        for way in env.get_inter_city_transport(one, other):
            hours = [int(way[end][:2]) * 60 + int(way[end][3:]) for end in ("departs", "arrives")]
            assert hours[1] - hours[0] == way["minutes"] > 0
            assert hours[1] < 24 * 60
            seen += 1
    assert seen == len(env.country.connections)
    first = str(task.key["rules"]["start"])
    assert env.get_weather_by_city_date(cities[0], first)["weather"] in ("sunny", "cloudy", "rain", "storm")


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("get_all_hotels_by_city", {"city": "Nowhere"}, "no city called 'Nowhere'"),
        ("get_city_by_hotel", {"hotel": "x"}, "no hotel called 'x'"),
        ("get_infos_by_hotel", {"hotel": "x", "info_keywords": []}, "no hotel called 'x'"),
        ("get_infos_by_city", {"city": "CITY", "info_keywords": ["prize"]}, "unknown info keyword prize; there are"),
        ("get_infos_by_city", {"city": "CITY"}, "info_keywords: Field required"),
        ("get_city_transport", {"city": "CITY", "origin": "x", "destination": "y"}, "origin: no hotel, restaurant"),
        ("get_weather_by_city_date", {"city": "CITY", "date": "1999-01-01"}, "there is a forecast from 20"),
        ("get_inter_city_transport", {"origin": "CITY", "destination": "Nowhere"}, "no city called 'Nowhere'"),
        ("submit_result", {"plan": "day 1"}, "plan: Input should be a valid list"),
        ("submit_result", {"plan": [{"city": "CITY"}]}, "plan.0.time: Field required"),
        ("submit_result", {"plan": [DAY | {"citty": "x"}]}, "plan.0.citty: Extra inputs are not permitted"),
        ("submit_result", {"plan": [DAY | {"hotel": 3}]}, "plan.0.hotel: Input should be a valid string"),
    ],
)
def test_refusals_say_why(name: str, arguments: dict[str, object], why: str) -> None:
    env = started(make(4, 0))
    city = env.get_all_cities()[0]
    text = said(env, name, **{key: city if value == "CITY" else value for key, value in arguments.items()})
    assert text.startswith("refused: Error:")
    assert why in text
    assert not env.submitted


@pytest.mark.parametrize("level", LEVELS)
def test_the_oracle_passes_through_submit_result_and_knows_nothing_but_the_tools(level: int) -> None:
    for seed in range(6):
        task = make(level, 200 + seed)
        env = started(task)
        tools = SolverTools(env)
        plan = env.solve(task.model_copy(update={"world": {}}), tools)
        for _, call, result in tools.steps:
            assert env.call(call) == result
        assert env.submitted
        assert env.answer == plan
        verdict = env.verify(task, plan, env.world)
        assert verdict.passed, [part for part in verdict.parts if not part.passed]


@pytest.mark.parametrize("level", LEVELS)
def test_at_least_five_distinct_mutants_and_all_are_wrong(level: int) -> None:
    for seed in range(4):
        task = make(level, 300 + seed)
        env = started(task)
        right = env.solve(task, SolverTools(env))
        before, rng = canonical(right), random.Random(seed)
        mutants = [env.mutate(rng, task, right) for _ in range(25)]
        assert canonical(right) == before
        assert len({canonical(mutant) for mutant in mutants}) >= 5
        broken: set[str] = set()
        for mutant in mutants:
            failed = [part.name for part in env.verify(task, mutant, {}).parts if not part.passed]
            assert failed
            broken.update(re.sub(r"\d", "", name) for name in failed)
        assert len(broken) >= 4


def test_cheats_earn_nothing() -> None:
    for level in (1, 5, 9):
        task = make(level, 7)
        cheats = list(Travel().cheats(random.Random(0), task))
        assert len({cheat.name for cheat in cheats}) >= 4
        for cheat in cheats:
            assert Travel().verify(task, cheat.answer, {}).reward == 0.0


def test_levels_grow() -> None:
    tasks = [make(level, 11) for level in LEVELS]
    days = [task.key["rules"]["days"] for task in tasks]
    assert days == sorted(days)
    assert (days[0], days[-1]) == (1, 6)
    assert len(tasks[-1].prompt) > 2 * len(tasks[0].prompt)
    for task in tasks[1:]:
        least, budget = task.key["slack"]["least_cost"], task.key["rules"]["budget"]
        assert least <= budget <= least * 1.2 + 10
        assert task.key["slack"]["plans"] >= 1


def ids_in_another_process(hash_seed: str) -> list[str]:
    code = (
        "import random; from palestra.envs.travel.environment import Travel\n"
        "for level in Travel.levels: print(Travel().propose(random.Random(level), level).id)\n"
        "print(Travel.example().id)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": hash_seed}, capture_output=True, check=True
    )
    return done.stdout.decode().split()


def test_tasks_are_the_same_in_any_process() -> None:
    one, other = ids_in_another_process("1"), ids_in_another_process("77")
    here = [Travel().propose(random.Random(level), level).id for level in LEVELS] + [Travel.example().id]
    assert one == other == here
    assert len(set(here)) == len(here)


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_prompts_are_not_near_duplicates(level: int) -> None:
    """No two of 300 prompts share 80 % of their shingles of five words; every pair is compared."""
    texts = [make(level, 1000 + seed).prompt for seed in range(300)]
    shingled = []
    for text in texts:
        words = re.findall(r"\w+", text.lower())
        shingled.append({tuple(words[at : at + 5]) for at in range(len(words) - 4)})
    likeness = (len(one & other) / len(one | other) for one, other in itertools.combinations(shingled, 2))
    assert max(likeness) < 0.8


def test_the_trip_example_is_one_fixed_task() -> None:
    task = Travel.example()
    assert task == Travel.example()
    env = started(task)
    assert "Hangzhou" in env.get_all_cities()
    plan = env.solve(task, SolverTools(env))
    assert env.verify(task, plan, {}).passed
    assert [day["time"] for day in plan] == ["2025-10-01", "2025-10-02", "2025-10-03"]


def example_rules_hold(env: Travel, plan: list[dict[str, str]]) -> bool:
    """The rules of the report, written down once more."""
    slots = ("hotel", "afternoon_restaurant", "afternoon_attraction", "evening_restaurant")
    country = env.country
    places: dict[str, Place] = {**country.hotels, **country.restaurants, **country.attractions}
    names = [day[slot] for day in plan for slot in slots] + [day["city"] for day in plan]
    if len(set(names)) != len(names) or plan[0]["city"] != "Hangzhou":
        return False
    if any(places[day[slot]].city != day["city"] for day in plan for slot in slots):
        return False
    hotel, lunch, sight, dinner = (places[plan[1][slot]] for slot in slots)
    ratings = sorted([lunch.rating, dinner.rating])
    if hotel.price >= 800:
        return lunch.price + dinner.price < 350 and ratings[0] >= 4.0 and sight.price < 120
    if hotel.price >= 500:
        return ratings[1] >= 4.0 and sight.price < 180
    return hotel.price < 200 or ratings[1] >= 3.2


def test_every_second_day_of_the_example_is_judged_by_the_rules_of_the_report() -> None:
    """All days 2 in all cities, with the first and third day of the oracle."""
    task = Travel.example()
    env = started(task)
    plan = env.solve(task, SolverTools(env))
    told = []
    for city in env.get_all_cities():
        meals = env.get_all_restaurants_by_city(city)
        kinds = (env.get_all_hotels_by_city(city), meals, env.get_all_attractions_by_city(city), meals)
        for hotel, lunch, sight, dinner in itertools.product(*kinds):
            day = plan[1] | {
                "city": city,
                "hotel": hotel,
                "afternoon_restaurant": lunch,
                "afternoon_attraction": sight,
                "evening_restaurant": dinner,
            }
            trial = [plan[0], day, plan[2]]
            told.append(example_rules_hold(env, trial))
            assert env.verify(task, trial, {}).passed == told[-1]
    assert 0 < sum(told) < len(told)


def test_malformed_plans_of_the_example_are_wrong() -> None:
    task = Travel.example()
    assert Travel().verify(task, [{}] * 3, {}).reward == 0.0
    assert not passes(make(1, 0).prompt, started(make(1, 0)).call, [{}])


def test_rides_are_the_same_both_ways() -> None:
    country = started(make(6, 9)).country
    city = next(iter(country.cities))
    meal, sight = country.restaurants_in[city][0], country.attractions_in[city][0]
    for mode in ("bus", "metro", "taxi"):
        assert ride(mode, meal, sight) == ride(mode, sight, meal)
