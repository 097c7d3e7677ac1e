"""What a plan must satisfy, as plain functions from (rules, plan, country) to named parts.

A rule set is data: `{"days": [{"city", "hotel_below", "cuisine", "tiers": bool}], "budget": int | None}`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...verifiers.checks import check
from ...verifiers.types import Part

SLOTS = {"hotel": "hotels", "evening_restaurant": "restaurants", "afternoon_attraction": "attractions"}
TIERS = ((800, 120), (500, 180), (0, 300))
"""(hotel price from, attraction price below): the dearer the hotel, the cheaper the afternoon."""

Rules = dict[str, Any]
Country = dict[str, Any]


def attraction_cap(hotel_price: int) -> int:
    """The price an attraction must stay below, given what that day's hotel costs."""
    return next(cap for floor, cap in TIERS if hotel_price >= floor)


def day_slots(day: dict[str, Any]) -> list[str]:
    """The slots a plan must fill on this day."""
    return ["hotel", "evening_restaurant", "afternoon_attraction"] if day["tiers"] else ["hotel", "evening_restaurant"]


def judge(rules: Rules, plan: Any, country: Country) -> list[Part]:
    """Every constraint by name, with what was found. A plan of the wrong shape fails `shape` and nothing else is
    looked at.
    """
    problem = _shape_problem(rules, plan)
    if problem:
        return [check("shape", False, problem)]
    parts = [check("shape", True)]
    for index, (day, given) in enumerate(zip(rules["days"], plan, strict=True), start=1):
        parts += _judge_day(f"day{index}", day, given, country)
    parts.append(_no_repeats(rules, plan))
    if rules.get("budget") is not None:
        parts.append(_budget(rules, plan, country))
    return parts


def cost(plan: list[dict[str, Any]], country: Country) -> int:
    """What the whole plan costs; unknown places cost nothing (other parts name them)."""
    return sum(place["price"] for _, place in _places(plan, country) if place is not None)


def _shape_problem(rules: Rules, plan: Any) -> str:
    if not isinstance(plan, list) or not all(isinstance(day, dict) for day in plan):
        return "the plan must be a list of days, each an object"
    if len(plan) != len(rules["days"]):
        return f"the plan has {len(plan)} days, wanted {len(rules['days'])}"
    for index, (day, given) in enumerate(zip(rules["days"], plan, strict=True), start=1):
        for slot in ("city", *day_slots(day)):
            if not isinstance(given.get(slot), str):
                return f"day {index} has no text for {slot!r}"
    return ""


def _judge_day(name: str, day: dict[str, Any], given: dict[str, Any], country: Country) -> Iterator[Part]:
    yield check(f"{name}.city", given["city"] == day["city"], f"{given['city']} (wanted {day['city']})")
    city = country["cities"].get(given["city"], {})
    found = {slot: city.get(SLOTS[slot], {}).get(given[slot]) for slot in day_slots(day)}
    for slot, place in found.items():
        yield check(f"{name}.{slot}.exists", place is not None, f"{given[slot]} in {given['city']}")
    hotel, restaurant = found["hotel"], found["evening_restaurant"]
    price = hotel["price"] if hotel else None
    yield check(
        f"{name}.hotel.price", price is not None and price < day["hotel_below"], f"{price} < {day['hotel_below']}"
    )
    cuisine = restaurant["cuisine"] if restaurant else None
    yield check(f"{name}.evening_restaurant.cuisine", cuisine == day["cuisine"], f"{cuisine} (wanted {day['cuisine']})")
    if day["tiers"]:
        attraction = found["afternoon_attraction"]
        cap = attraction_cap(price) if price is not None else 0
        fee = attraction["price"] if attraction else None
        yield check(
            f"{name}.afternoon_attraction.price",
            fee is not None and fee < cap,
            f"{fee} < {cap} as the hotel costs {price}",
        )


def _places(plan: list[dict[str, Any]], country: Country) -> Iterator[tuple[str, dict[str, Any] | None]]:
    for given in plan:
        city = country["cities"].get(given.get("city"), {})
        for slot, kind in SLOTS.items():
            if slot in given:
                yield given[slot], city.get(kind, {}).get(given[slot])


def _no_repeats(rules: Rules, plan: list[dict[str, Any]]) -> Part:
    used = [given[slot] for day, given in zip(rules["days"], plan, strict=True) for slot in day_slots(day)]
    repeated = sorted({name for name in used if used.count(name) > 1})
    return check("no_repeats", not repeated, f"repeated: {', '.join(repeated)}" if repeated else "")


def _budget(rules: Rules, plan: list[dict[str, Any]], country: Country) -> Part:
    total = cost(plan, country)
    return check("budget", total <= rules["budget"], f"{total} <= {rules['budget']}")
