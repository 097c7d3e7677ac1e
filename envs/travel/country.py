"""A country as the tools know it: typed rows, kept in a task's world as CSV tables.

Tables are texts because a world is copied, hashed and stored many times and read only: a text costs nothing to copy.
Times are minutes after midnight, places' coordinates hundreds of metres, cities' coordinates kilometres, prices CNY.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, TypeVar, get_type_hints

from ..types import World

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Tariff(NamedTuple):
    """Rides in a city, over the distance |dx| + |dy|; minutes and price are rounded down."""

    base_minutes: int
    minutes_per_km: int
    base_price: int
    price_per_10_km: int
    per: str


TARIFFS = {
    "bus": Tariff(8, 4, 2, 1, "person"),
    "metro": Tariff(10, 2, 3, 2, "person"),
    "taxi": Tariff(4, 2, 12, 25, "car of up to four people"),
}


class City(NamedTuple):
    """A city, its place on the map and what drives in it (`modes`, comma-separated)."""

    name: str
    x: int
    y: int
    population: int
    modes: str


class Hotel(NamedTuple):
    """`price` is per room and night; `rules` is what the house forbids ("no pets, no smoking", or nothing)."""

    name: str
    city: str
    x: int
    y: int
    price: int
    rating: float
    max_guests: int
    rules: str


class Restaurant(NamedTuple):
    """`price` is per person and meal; `closed` is the weekday it does not open on, or nothing."""

    name: str
    city: str
    x: int
    y: int
    price: int
    rating: float
    cuisine: str
    opens: int
    closes: int
    closed: str


class Attraction(NamedTuple):
    """`price` is per person, `minutes` how long a visit takes, `setting` indoor or outdoor."""

    name: str
    city: str
    x: int
    y: int
    price: int
    rating: float
    category: str
    setting: str
    minutes: int
    opens: int
    closes: int
    closed: str


class Connection(NamedTuple):
    """A train, flight or coach between two cities; `price` is per person, `days` the weekdays it runs on."""

    id: str
    kind: str
    origin: str
    destination: str
    departs: int
    minutes: int
    price: int
    days: str

    @property
    def arrives(self) -> int:
        """Always on the day of departure."""
        return self.departs + self.minutes


class Weather(NamedTuple):
    """`sky` is sunny, cloudy, rain or storm; temperatures in degrees Celsius."""

    city: str
    date: str
    sky: str
    high: int
    low: int


Place = Hotel | Restaurant | Attraction
Row = TypeVar("Row", City, Hotel, Restaurant, Attraction, Connection, Weather)


@dataclass(frozen=True)
class Country:
    """All rows by name. Read only, and shared between everybody who looks at the same world."""

    cities: dict[str, City]
    hotels: dict[str, Hotel]
    restaurants: dict[str, Restaurant]
    attractions: dict[str, Attraction]
    connections: dict[str, Connection]
    weather: dict[tuple[str, str], Weather]
    hotels_in: dict[str, list[Hotel]] = field(init=False)
    restaurants_in: dict[str, list[Restaurant]] = field(init=False)
    attractions_in: dict[str, list[Attraction]] = field(init=False)
    between: dict[tuple[str, str], list[Connection]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hotels_in", _by_city(self.cities, self.hotels.values()))
        object.__setattr__(self, "restaurants_in", _by_city(self.cities, self.restaurants.values()))
        object.__setattr__(self, "attractions_in", _by_city(self.cities, self.attractions.values()))
        between: dict[tuple[str, str], list[Connection]] = {}
        for one in self.connections.values():
            between.setdefault((one.origin, one.destination), []).append(one)
        object.__setattr__(self, "between", between)

    @classmethod
    def of(
        cls,
        cities: Iterable[City],
        hotels: Iterable[Hotel],
        restaurants: Iterable[Restaurant],
        attractions: Iterable[Attraction],
        connections: Iterable[Connection] = (),
        weather: Iterable[Weather] = (),
    ) -> Country:
        """A country of these rows."""
        return cls(
            {row.name: row for row in cities},
            {row.name: row for row in hotels},
            {row.name: row for row in restaurants},
            {row.name: row for row in attractions},
            {row.id: row for row in connections},
            {(row.city, row.date): row for row in weather},
        )

    def world(self) -> World:
        """The tables as a task's world."""
        return {
            "cities": _table(City, self.cities.values()),
            "hotels": _table(Hotel, self.hotels.values()),
            "restaurants": _table(Restaurant, self.restaurants.values()),
            "attractions": _table(Attraction, self.attractions.values()),
            "connections": _table(Connection, self.connections.values()),
            "weather": _table(Weather, self.weather.values()),
        }


def read_country(world: World) -> Country:
    """The country in a task's world. KeyError or ValueError where a table is missing or broken."""
    return _read(
        world["cities"],
        world["hotels"],
        world["restaurants"],
        world["attractions"],
        world["connections"],
        world["weather"],
    )


@lru_cache(maxsize=64)  # a task is looked at many times in a row, and its tables are texts
def _read(cities: str, hotels: str, restaurants: str, attractions: str, connections: str, weather: str) -> Country:
    return Country.of(
        _rows(City, cities),
        _rows(Hotel, hotels),
        _rows(Restaurant, restaurants),
        _rows(Attraction, attractions),
        _rows(Connection, connections),
        _rows(Weather, weather),
    )


def _by_city(cities: dict[str, City], places: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {name: [] for name in cities}
    for place in places:
        assert not isinstance(place, City | Connection)
        found[place.city].append(place)
    return found


def _table(kind: type[Row], rows: Iterable[Row]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(kind._fields)
    writer.writerows(rows)
    return out.getvalue()


def _rows(kind: type[Row], table: str) -> list[Row]:
    reader = csv.reader(io.StringIO(table))
    if tuple(next(reader, ())) != kind._fields:
        raise ValueError(f"a table of {kind.__name__} must begin with the line {','.join(kind._fields)}")
    types = tuple(get_type_hints(kind).values())
    return [kind(*[read(text) for read, text in zip(types, row, strict=True)]) for row in reader]


@lru_cache(maxsize=2048)
def clock(minutes: int) -> str:
    """Minutes after midnight as HH:MM."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def ride(mode: str, one: Place, other: Place) -> tuple[int, int]:
    """(minutes, price) from place to place by the tariff of `mode`."""
    way = abs(one.x - other.x) + abs(one.y - other.y)
    tariff = TARIFFS[mode]
    minutes = tariff.base_minutes + way * tariff.minutes_per_km // 10
    return minutes, tariff.base_price + way * tariff.price_per_10_km // 100
