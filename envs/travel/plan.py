"""A plan as it is submitted, and as the judge reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ..types import Json
from .country import Attraction, Connection, Country, Hotel, Restaurant
from .rules import Rules

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)


class PlanDay(BaseModel):
    """One day of the plan. Places and connections are named exactly as the tools name them."""

    model_config = ConfigDict(extra="forbid")

    time: str = Field(description="The date of the day, YYYY-MM-DD.")
    city: str = Field(description="The city of the day.")
    hotel: str = Field(description="The hotel of the night; an empty text on a day that ends at home.")
    afternoon_restaurant: str = Field(description="Where lunch is eaten.")
    afternoon_attraction: str = Field(description="What is visited in the afternoon.")
    evening_restaurant: str = Field(description="Where dinner is eaten.")
    afternoon_restaurant_time: str = Field(default="", description="When lunch begins, HH:MM. Only where asked for.")
    afternoon_attraction_time: str = Field(default="", description="When the visit begins, HH:MM. Only if asked for.")
    evening_restaurant_time: str = Field(default="", description="When dinner begins, HH:MM. Only where asked for.")
    transport: str = Field(default="", description="Id of the connection taken into the city. Only where asked for.")
    return_transport: str = Field(
        default="",
        description="Id of the connection taken home: on the last day, else an empty text. Only where asked for.",
    )


@dataclass(frozen=True)
class Stay:
    """One day of a plan with what its names stand for in the country; None where they stand for nothing."""

    number: int
    given: dict[str, str]
    hotel: Hotel | None
    lunch: Restaurant | None
    sight: Attraction | None
    dinner: Restaurant | None
    arrival: Connection | None
    departure: Connection | None


def shape_problem(rules: Rules, answer: Json) -> str:
    """What is wrong with the form of a plan, or an empty text."""
    if not isinstance(answer, list):
        return f"the plan must be a list of {rules.days} objects, one per day"
    if len(answer) != rules.days:
        return f"the plan has {len(answer)} days, asked for are {rules.days}"
    for number, day in enumerate(answer, start=1):
        if not isinstance(day, dict):
            return f"day {number} is not an object"
        if problem := _fields_problem(rules, day):
            return f"day {number} {problem}"
    return ""


def _fields_problem(rules: Rules, day: dict[Any, Any]) -> str:
    if missing := [name for name in rules.fields if name not in day]:
        return f"lacks {', '.join(missing)}"
    if extra := sorted(str(name)[:40] for name in day if name not in rules.fields):
        return f"has fields that were not asked for: {', '.join(extra)[:200]}"
    if wrong := [name for name in rules.fields if not isinstance(day[name], str)]:
        return f"has no text in {', '.join(wrong)}"
    return ""


def read_stay(rules: Rules, country: Country, number: int, given: dict[str, str]) -> Stay:
    """Day `number` of a plan of the right shape."""
    leaves = number == rules.days
    return Stay(
        number,
        given,
        country.hotels.get(given["hotel"]) if rules.has_hotel(number) else None,
        country.restaurants.get(given["afternoon_restaurant"]),
        country.attractions.get(given["afternoon_attraction"]),
        country.restaurants.get(given["evening_restaurant"]),
        country.connections.get(given["transport"]) if rules.journey else None,
        country.connections.get(given["return_transport"]) if rules.journey and leaves else None,
    )


def minutes(text: str) -> int | None:
    """HH:MM as minutes after midnight; None for anything else."""
    found = _CLOCK.fullmatch(text)
    return int(found[1]) * 60 + int(found[2]) if found else None
