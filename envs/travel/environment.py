"""Travel planning: look an invented country up, and submit a plan that keeps every rule of the task."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from ...verifiers.checks import all_of
from ...verifiers.types import Verdict
from ..environment import Environment
from ..types import Answer, Cheat, Task, World
from .country import read_country
from .drawing import LEVELS, draw_problem
from .judge import judge
from .mutants import mutate_plan
from .rules import Rules
from .solving import plan_trip
from .tools import TravelTools
from .wording import describe


class Travel(TravelTools, Environment):
    """Plan days in an invented country: cities, hotels, meals, attractions and connections, under many rules.

    Levels 1 and 2 name the cities; level 3 is like the trip example; from 4 on the trip leaves from home and returns,
    from 6 on with rides within the cities, from 7 on with times of day, from 8 on with a limit on travel time. The
    higher the level, the more days, cities and rules, and the less room in the budget.
    """

    id = "travel"
    version = "1"
    system = "Plan the trip with the tools: look places and connections up, then submit the plan with submit_result."
    levels = range(min(LEVELS), max(LEVELS) + 1)

    def propose(self, rng: random.Random, level: int) -> Task:
        seed = rng.getrandbits(32)
        draw = random.Random(seed)
        drawn = draw_problem(draw, level)
        slack = {**vars(drawn.slack), "least_cost": drawn.least_cost}
        return self.task(
            seed=seed,
            level=level,
            prompt=describe(draw, drawn.rules),
            world=drawn.country.world(),
            key={"rules": drawn.rules.model_dump(), "slack": slack},
        )

    @classmethod
    def example(cls) -> Task:
        """The trip example: three days from Hangzhou, 2025-10-01 to 03, in a small database of the region."""
        from .example import example_task

        return example_task(cls())

    def start(self, task: Task) -> None:
        self.world = task.world
        self.country = read_country(task.world)

    def solve(self, task: Task, tools: Any) -> Answer:
        return plan_trip(Rules.model_validate(task.key["rules"]), tools)

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        slack = task.key["slack"]
        plans = f"{'' if slack['exact'] else 'at least '}{slack['plans']} plans pass"
        return all_of(judge(Rules.model_validate(task.key["rules"]), answer, read_country(task.world), plans))

    def mutate(self, rng: random.Random, task: Task, answer: Answer) -> Answer:
        return mutate_plan(rng, Rules.model_validate(task.key["rules"]), read_country(task.world), answer)

    def cheats(self, rng: random.Random, task: Task) -> Iterable[Cheat]:
        """Plans that are empty words: right in form and invented, priced by the agent itself, or a verdict instead."""
        rules = Rules.model_validate(task.key["rules"])
        blank = [dict.fromkeys(rules.fields, "") | {"time": date} for date in rules.dates]
        yield Cheat(name="blank_plan", answer=blank)
        yield Cheat(name="anywhere", answer=[day | dict.fromkeys(("city", "hotel"), "*") for day in blank])
        yield Cheat(name="own_prices", answer=[day | {"price": 0, "rating": 5.0} for day in blank])
        yield Cheat(name="own_verdict", answer={"plan": blank, "passed": True, "reward": 1.0})
        yield Cheat(name="days_of_days", answer=[[blank] * rules.days] * rules.days)
