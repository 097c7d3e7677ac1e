"""The trip example of the DeepSeek-V3.2 report as a fixed task: three days from Hangzhou, 2025-10-01 to 03.

The rules are the report's; the database (`hangzhou.json`) is ours, so that the answer can be checked. `python -m
palestra.envs.travel.example > trip.jsonl` writes the task for `palestra rollout travel --tasks trip.jsonl`.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING

from ..types import Task
from .country import Attraction, City, Connection, Country, Hotel, Restaurant, Weather
from .layout import Layout
from .proof import cheapest
from .rules import Rules, Step, Tiers
from .slack import count_plans

if TYPE_CHECKING:
    from .environment import Travel

RULES = Rules(
    start="2025-10-01",
    days=3,
    route={1: "Hangzhou"},
    tiers=(
        Tiers(
            day=2,
            steps=(
                Step(floor=800, meals_below=350, well_rated=2, rating=4.0, attraction_below=120),
                Step(floor=500, well_rated=1, rating=4.0, attraction_below=180),
                Step(floor=200, well_rated=1, rating=3.2),
            ),
        ),
    ),
)
PROMPT = """\
I am planning a three-day trip that starts in Hangzhou, from 2025-10-01 to 2025-10-03, and need an itinerary. I \
travel alone. Day 1 is spent in Hangzhou, and every day has a hotel, the last one too.

I do not want to repeat any city, hotel, attraction or restaurant during the whole trip (lunch and dinner are \
different restaurants, too). Every hotel, restaurant and attraction must be in the city where I stay that day.

On the second day I watch my budget. If the hotel of day 2 costs 800 CNY or more per night, lunch and dinner \
together must cost less than 350 CNY, both restaurants must be rated 4.0 or better, and the afternoon attraction \
must cost less than 120 CNY. If it costs 500 CNY or more but less than 800 CNY, at least one of the two \
restaurants must be rated 4.0 or better, and the attraction must cost less than 180 CNY. If it costs 200 CNY or \
more but less than 500 CNY, at least one of the two restaurants must be rated 3.2 or better. Below 200 CNY there \
is no such condition.

Opening hours, the ways between the places and the other days' prices need not be looked at.

Submit a list with one object per day, in order, each with exactly these fields, all of them texts: time, city, \
hotel, afternoon_restaurant, afternoon_attraction, evening_restaurant. time is the date (YYYY-MM-DD); names \
exactly as the tools give them."""
SEED = 20251001


def example_country() -> Country:
    """Six cities around Hangzhou: their places, trains, and the weather of the three days."""
    tables = json.loads(resources.files(__package__).joinpath("hangzhou.json").read_text("utf-8"))
    return Country.of(
        [City(*row) for row in tables["cities"]],
        [Hotel(*row) for row in tables["hotels"]],
        [Restaurant(*row) for row in tables["restaurants"]],
        [Attraction(*row) for row in tables["attractions"]],
        [Connection(*row) for row in tables["connections"]],
        [Weather(*row) for row in tables["weather"]],
    )


def example_task(env: Travel) -> Task:
    """The same task every time, at level 3."""
    country = example_country()
    layout = Layout(RULES, country)
    slack = count_plans(layout)
    key = {"rules": RULES.model_dump(), "slack": {**vars(slack), "least_cost": cheapest(layout).cost}}
    return env.task(seed=SEED, level=3, prompt=PROMPT, world=country.world(), key=key)


if __name__ == "__main__":
    from .environment import Travel as Environment

    print(Environment.example().model_dump_json())
