"""Travel verdicts beside a checker written from the prompt's text and the tools' answers alone."""

import copy
import random
from typing import Any

import pytest

from palestra.envs.environment import SolverTools
from palestra.envs.errors import ProposeFailed
from palestra.envs.travel.environment import Travel
from palestra.envs.types import Task

from .checker import passes

LEVELS = list(Travel.levels)


def make(level: int, seed: int) -> Task:
    rng = random.Random(seed)
    while True:
        try:
            return Travel().propose(rng, level)
        except ProposeFailed:
            continue


def solve(task: Task) -> tuple[Travel, Any]:
    env = Travel()
    env.start(task)
    return env, env.solve(task, SolverTools(env))


def agree(env: Travel, task: Task, plan: Any) -> bool:
    verdict = env.verify(task, plan, env.world)
    assert verdict.validity == "valid"
    told = passes(task.prompt, env.call, plan)
    failed = [f"{part.name}: {part.detail}" for part in verdict.parts if not part.passed]
    assert verdict.passed == told, f"{task.prompt}\n{plan}\nverdict {verdict.passed} {failed}"
    return told


@pytest.mark.parametrize("level", LEVELS)
def test_right_and_wrong_plans_are_judged_as_the_text_says(level: int) -> None:
    rng = random.Random(level)
    for seed in range(12):
        task = make(level, seed)
        env, right = solve(task)
        assert agree(env, task, right)
        for _ in range(12):
            mutant = env.mutate(rng, task, right)
            assert not agree(env, task, mutant)


@pytest.mark.parametrize("level", LEVELS)
def test_slightly_changed_plans_are_judged_as_the_text_says(level: int) -> None:
    """One or two places exchanged for others of the same city: some of these plans pass, too."""
    rng, seen = random.Random(100 + level), set()
    for seed in range(12):
        task = make(level, 50 + seed)
        env, right = solve(task)
        for _ in range(25):
            plan = copy.deepcopy(right)
            for _ in range(rng.choice((1, 1, 2))):
                change(rng, env, rng.choice(plan))
            seen.add(agree(env, task, plan))
    assert seen == {True, False}


def change(rng: random.Random, env: Travel, day: dict[str, str]) -> None:
    city = day["city"]
    kinds = {
        "hotel": env.get_all_hotels_by_city,
        "afternoon_restaurant": env.get_all_restaurants_by_city,
        "afternoon_attraction": env.get_all_attractions_by_city,
        "evening_restaurant": env.get_all_restaurants_by_city,
    }
    slot = rng.choice([slot for slot in day if slot in kinds or slot.endswith("_time")])
    if not day[slot]:
        return
    if slot in kinds:
        day[slot] = rng.choice(kinds[slot](city))
    else:
        minutes = int(day[slot][:2]) * 60 + int(day[slot][3:]) + rng.choice((-30, -15, 1, 5, 15, 30))
        day[slot] = f"{minutes // 60:02d}:{minutes % 60:02d}"


MALFORMED: list[Any] = [
    None, "", "plan", [], {}, [1], [{}], [[]], 7, True, [None] * 3, [{"city": 1}], [{"time": {}}] * 3, {"plan": []},
    [{"time": "\ud800", "city": "x"}], [["a"] * 6] * 3, 1e300, [{"city": ["x"]}] * 6,
]  # fmt: skip


@pytest.mark.parametrize("level", [1, 4, 10])
@pytest.mark.parametrize("answer", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_answers_are_wrong_not_invalid(level: int, answer: object) -> None:
    verdict = Travel().verify(make(level, 0), answer, {})
    assert (verdict.reward, verdict.validity) == (0.0, "valid")


JUNK: list[Any] = [None, 3, [], {}, "", "nowhere", " ", "１２:３０", "99:99"]


@pytest.mark.parametrize("level", [3, 7])
def test_any_field_of_any_day_may_hold_anything(level: int) -> None:
    task = make(level, 1)
    env, right = solve(task)
    for day in range(len(right)):
        for field in right[day]:
            for junk in (*JUNK, right[day]["city"]):
                plan = copy.deepcopy(right)
                plan[day][field] = junk
                agree(env, task, plan)
            plan = copy.deepcopy(right)
            del plan[day][field]
            assert not agree(env, task, plan)
        plan = copy.deepcopy(right)
        plan[day]["note"] = "extra"
        assert not agree(env, task, plan)


def test_parts_name_the_constraint_and_say_why() -> None:
    task = make(6, 3)
    env, right = solve(task)
    plan = copy.deepcopy(right)
    plan[0]["hotel"] = max(env.get_all_hotels_by_city(plan[0]["city"]), key=lambda name: env.country.hotels[name].price)
    verdict = env.verify(task, plan, env.world)
    names = [part.name for part in verdict.parts]
    assert len(set(names)) == len(names)
    failed = {part.name: part.detail for part in verdict.parts if not part.passed}
    assert "trip.budget" in failed
    assert "at most" in failed["trip.budget"]
    assert all(part.detail for part in verdict.parts if not part.passed)
