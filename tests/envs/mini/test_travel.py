"""The small travel: verdicts against a checker written from the task's text and the country alone, and by brute force
over all plans.
"""

import itertools
import random
import re
from typing import Any

import pytest

from palestra.envs.environment import SolverTools
from palestra.envs.errors import ProposeFailed
from palestra.envs.mini.travel import TravelMini
from palestra.envs.types import Task, ToolCall
from palestra.verifiers.types import Verdict

LEVELS = list(TravelMini.levels)


def make(level: int, seed: int) -> Task:
    rng = random.Random(seed)
    while True:
        try:
            return TravelMini().propose(rng, level)
        except ProposeFailed:
            continue


def solve(task: Task) -> tuple[Any, Verdict]:
    env = TravelMini()
    env.start(task)
    answer = env.solve(task, SolverTools(env))
    return answer, env.verify(task, answer, env.finish(answer))


def independent_check(prompt: str, country: dict[str, Any], plan: Any) -> bool:
    """Reads only the task's text: an independent second opinion on a plan."""
    wanted = re.findall(r"Day \d+: (\w+), hotel below (\d+), (\w+) dinner\.", prompt)
    if not isinstance(plan, list) or len(plan) != len(wanted):
        return False
    used, spent = [], 0
    for (city, below, cuisine), day in zip(wanted, plan, strict=True):
        if not isinstance(day, dict) or day.get("city") != city:
            return False
        places = country["cities"][city]
        hotel = places["hotels"].get(day.get("hotel"))
        dinner = places["restaurants"].get(day.get("evening_restaurant"))
        if hotel is None or dinner is None or hotel["price"] >= int(below) or dinner["cuisine"] != cuisine:
            return False
        used += [day["hotel"], day["evening_restaurant"]]
        spent += hotel["price"] + dinner["price"]
        if "Attraction:" in prompt:
            fun = places["attractions"].get(day.get("afternoon_attraction"))
            limit = 120 if hotel["price"] >= 800 else 180 if hotel["price"] >= 500 else 300
            if fun is None or fun["price"] >= limit:
                return False
            used.append(day["afternoon_attraction"])
            spent += fun["price"]
    budget = re.search(r"Spend at most (\d+)", prompt)
    return len(set(used)) == len(used) and (budget is None or spent <= int(budget.group(1)))


@pytest.mark.parametrize("level", LEVELS)
def test_the_solver_passes_and_the_same_seed_gives_the_same_task(level: int) -> None:
    for seed in range(30):
        task = make(level, seed)
        assert task.id == make(level, seed).id
        answer, verdict = solve(task)
        assert verdict.passed, verdict
        assert answer == task.key["plan"]


@pytest.mark.parametrize("level", LEVELS)
def test_mutants_are_wrong(level: int) -> None:
    rng = random.Random(level)
    for seed in range(20):
        task = make(level, seed)
        answer, _ = solve(task)
        for _ in range(10):
            mutant = TravelMini().mutate(rng, task, answer)
            assert not TravelMini().verify(task, mutant, task.world).passed
            assert not independent_check(task.prompt, task.world, mutant)


def test_every_plan_of_one_day_is_judged_as_the_text_says() -> None:
    """Brute force: all plans over one city's places, judged by both."""
    agreed, passing = 0, 0
    for seed in range(6):
        task = make(2, seed)
        city = task.key["rules"]["days"][0]["city"]
        places = task.world["cities"][city]
        for hotel, dinner, fun in itertools.product(places["hotels"], places["restaurants"], places["attractions"]):
            plan = [{"city": city, "hotel": hotel, "evening_restaurant": dinner, "afternoon_attraction": fun}]
            expected = independent_check(task.prompt, task.world, plan)
            assert TravelMini().verify(task, plan, task.world).passed == expected
            agreed, passing = agreed + 1, passing + expected
    assert 0 < passing < agreed


@pytest.mark.parametrize("level", LEVELS)
def test_random_plans_are_judged_as_the_text_says(level: int) -> None:
    rng = random.Random(100 + level)
    verdicts = set()
    for seed in range(10):
        task = make(level, seed)
        for _ in range(100):
            plan = [random_day(rng, task, day) for day in task.key["plan"]]
            expected = independent_check(task.prompt, task.world, plan)
            assert TravelMini().verify(task, plan, task.world).passed == expected
            verdicts.add(expected)
    assert verdicts == {True, False}


def random_day(rng: random.Random, task: Task, right: dict[str, str]) -> dict[str, str]:
    """The right day, with some slots drawn anew from the country's places."""
    city = task.world["cities"][right["city"]]
    kinds = {"hotel": "hotels", "evening_restaurant": "restaurants", "afternoon_attraction": "attractions"}
    return {slot: rng.choice(sorted(city[kinds[slot]])) if slot in kinds and rng.random() < 0.2 else value
            for slot, value in right.items()}  # fmt: skip


@pytest.mark.parametrize("answer", [None, "", [], {}, [1], [{}], [{"city": 1}], "plan", [[]], [{"city": ["x"]}], 7])
def test_malformed_answers_are_wrong_not_invalid(answer: object) -> None:
    verdict = TravelMini().verify(make(1, 0), answer, {})
    assert verdict.reward == 0.0
    assert verdict.validity == "valid"


def test_the_key_is_not_in_what_the_agent_sees() -> None:
    task = make(2, 3)
    plan = task.key["plan"][0]
    for slot in ("hotel", "evening_restaurant", "afternoon_attraction"):
        assert plan[slot] not in task.prompt


def test_refused_look_ups_say_why() -> None:
    env = TravelMini()
    env.start(make(1, 0))
    city = next(iter(env.world["cities"]))
    for call, expected in (
        (ToolCall(name="find_hotel", arguments={"city": "Nowhere", "below": 500}), "no city called Nowhere"),
        (ToolCall(name="find_restaurant", arguments={"city": city, "cuisine": "stone"}), "no cuisine called stone"),
        (ToolCall(name="find_hotel", arguments={"city": city, "below": 1}), "nothing fits"),
        (ToolCall(name="get_infos", arguments={"city": city, "name": "Nowhere"}), "no place called Nowhere"),
    ):
        result = env.call(call)
        assert not result.ok
        assert expected in result.text


def test_the_database_tools_agree_with_the_country() -> None:
    env = TravelMini()
    env.start(make(3, 1))
    for city in env.get_all_cities():
        for name in [*env.get_all_hotels_by_city(city), *env.get_all_restaurants_by_city(city)]:
            assert env.get_infos(city, name)["price"] > 0
        assert set(env.get_all_attractions_by_city(city)) == set(env.world["cities"][city]["attractions"])
