"""An invented country from a random generator: cities on a map, places in them, connections between them, weather."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import TypeVar

from ..names import Names
from .country import WEEKDAYS, Attraction, City, Connection, Country, Hotel, Restaurant, Weather

T = TypeVar("T")

CUISINES = ("Sichuan", "Cantonese", "Hunan", "Huaiyang", "noodle", "hotpot", "vegetarian", "seafood", "barbecue")
CATEGORIES = {
    "museum": "indoor",
    "gallery": "indoor",
    "aquarium": "indoor",
    "theatre": "indoor",
    "temple": "outdoor",
    "park": "outdoor",
    "lake": "outdoor",
    "old town": "outdoor",
}
"""Category and setting."""
SKIES = ("sunny", "sunny", "cloudy", "cloudy", "rain", "storm")
_SPEED = {"train": 240, "flight": 700, "coach": 90}
_BOARDING = {"train": 10, "flight": 60, "coach": 10}
_FARE = {"train": 45, "flight": 85, "coach": 28}
_SHAPES = {
    "hotel": ("Hotel {}", "{} Inn", "{} House", "Grand {}", "{} Lodge"),
    "restaurant": ("{} Kitchen", "{} Table", "House of {}", "{} Garden", "Old {}"),
}


def _pick(rng: random.Random, values: Sequence[T]) -> T:
    """Several times as fast as `choice`, and a country takes thousands."""
    return values[int(rng.random() * len(values))]


def _step(rng: random.Random, low: int, high: int, step: int = 1) -> int:
    """One of range(low, high, step)."""
    return low + step * int(rng.random() * -((low - high) // step))


def make_country(rng: random.Random, cities: int, dates: Sequence[str]) -> Country:
    """A country of so many cities, with weather for `dates`. Every name in it is unique."""
    names = Names(rng)
    towns = [_city(rng, names) for _ in range(cities)]
    return Country.of(
        towns,
        [_hotel(rng, names, town) for town in towns for _ in range(6)],
        [_restaurant(rng, names, town) for town in towns for _ in range(8)],
        [_attraction(rng, names, town) for town in towns for _ in range(7)],
        _connections(rng, towns),
        [_weather(rng, town, day) for town in towns for day in dates],
    )


def _city(rng: random.Random, names: Names) -> City:
    modes = "bus,metro,taxi" if rng.random() < 0.7 else "bus,taxi"
    return City(names.draw(), _step(rng, 0, 400), _step(rng, 0, 400), _step(rng, 20, 900) * 10_000, modes)


def _rating(rng: random.Random) -> float:
    return _step(rng, 28, 50) / 10


def _hotel(rng: random.Random, names: Names, town: City) -> Hotel:
    rules = ", ".join(rule for rule in ("no pets", "no smoking", "no children") if rng.random() < 0.3)
    name = _pick(rng, _SHAPES["hotel"]).format(names.draw())
    guests = _pick(rng, (1, 2, 2, 3, 4))
    price = _step(rng, 180, 1180, 10)
    return Hotel(name, town.name, _step(rng, 0, 100), _step(rng, 0, 100), price, _rating(rng), guests, rules)


def _closed(rng: random.Random) -> str:
    return _pick(rng, WEEKDAYS) if rng.random() < 0.45 else ""


def _restaurant(rng: random.Random, names: Names, town: City) -> Restaurant:
    opens, closes = _pick(rng, ((10, 22), (11, 21), (11, 22), (12, 23), (16, 23), (9, 15), (11, 20)))
    name = _pick(rng, _SHAPES["restaurant"]).format(names.draw())
    where = (_step(rng, 0, 100), _step(rng, 0, 100))
    price, rating, cuisine = _step(rng, 25, 260, 5), _rating(rng), _pick(rng, CUISINES)
    return Restaurant(name, town.name, *where, price, rating, cuisine, opens * 60, closes * 60, _closed(rng))


def _attraction(rng: random.Random, names: Names, town: City) -> Attraction:
    category = _pick(rng, tuple(CATEGORIES))
    name = f"{names.draw()} {category.title()}"
    where = (_step(rng, 0, 100), _step(rng, 0, 100))
    price, rating, minutes = _step(rng, 0, 280, 10), _rating(rng), _step(rng, 60, 151, 30)
    opens, closes = _pick(rng, ((8, 17), (9, 17), (9, 18), (10, 19), (13, 20), (7, 15), (10, 22)))
    setting = CATEGORIES[category]
    closed = _closed(rng)
    return Attraction(
        name, town.name, *where, price, rating, category, setting, minutes, opens * 60, closes * 60, closed
    )


def _connections(rng: random.Random, towns: list[City]) -> Iterator[Connection]:
    """For most pairs of cities one early in the morning, often another later, and often one in the evening."""
    numbers = iter(rng.sample(range(100, 999), 3 * len(towns) * (len(towns) - 1)))
    for one, other in permutations(towns, 2):
        if rng.random() < 0.15:
            continue
        yield _connection(rng, next(numbers), one, other, first=6 * 60)
        if rng.random() < 0.6:
            yield _connection(rng, next(numbers), one, other, first=_pick(rng, (6 * 60, 7 * 60, 13 * 60)))
        if rng.random() < 0.7:
            yield _connection(rng, next(numbers), one, other, first=20 * 60)


def _connection(rng: random.Random, number: int, one: City, other: City, first: int) -> Connection:
    """By train, flight or coach; slower kinds only where they arrive on the same day."""
    far = round(((one.x - other.x) ** 2 + (one.y - other.y) ** 2) ** 0.5)
    kind = _pick(rng, ("train", "train", "flight", "coach"))
    if kind == "coach" and far > 220:
        kind = "train"
    minutes = _BOARDING[kind] + far * 60 // _SPEED[kind] + _step(rng, 0, 30, 5)
    price = 10 + far * _FARE[kind] // 100 + _step(rng, 0, 40, 5)
    days = ", ".join(WEEKDAYS) if rng.random() < 0.65 else ", ".join(day for day in WEEKDAYS if rng.random() < 0.65)
    departs = first + _step(rng, 0, 100, 5)
    return Connection(f"{kind[0].upper()}{number}", kind, one.name, other.name, departs, minutes, price, days)


def _weather(rng: random.Random, town: City, day: str) -> Weather:
    low = _step(rng, 2, 24)
    return Weather(town.name, day, _pick(rng, SKIES), low + _step(rng, 3, 12), low)
