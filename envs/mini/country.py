"""A small invented country per task: cities with hotels, restaurants and attractions, priced and rated."""

from __future__ import annotations

import random
from typing import Any

from ..names import Names

CUISINES = ("noodle", "grill", "fish", "curry", "vegan")

Place = dict[str, Any]


def make_country(rng: random.Random, cities: int) -> dict[str, Any]:
    """`{"cities": {name: {"hotels": {...}, "restaurants": {...}, "attractions": {...}}}}`; every name is unique in
    the country.
    """
    names = Names(rng)
    return {"cities": {names.draw(): _make_city(rng, names) for _ in range(cities)}}


def _make_city(rng: random.Random, names: Names) -> dict[str, dict[str, Place]]:
    hotels = {names.draw(): _place(rng, 200, 990) for _ in range(5)}
    cuisines = rng.sample(CUISINES, 4)
    restaurants = {names.draw(): {**_place(rng, 40, 240), "cuisine": cuisines[i % 4]} for i in range(6)}
    attractions = {names.draw(): _place(rng, 20, 290) for _ in range(5)}
    return {"hotels": hotels, "restaurants": restaurants, "attractions": attractions}


def _place(rng: random.Random, low: int, high: int) -> Place:
    return {"price": rng.randrange(low, high + 1, 10), "rating": rng.randrange(25, 50) / 10}


def best(places: dict[str, Place], **wanted: Any) -> tuple[str, Place] | None:
    """The best rated place with `price < below` and every other wanted value equal; ties go to the first name."""
    below = wanted.pop("below", None)
    fitting = [
        (name, place)
        for name, place in places.items()
        if (below is None or place["price"] < below) and all(place.get(key) == value for key, value in wanted.items())
    ]
    return min(fitting, key=lambda item: (-item[1]["rating"], item[0]), default=None)
