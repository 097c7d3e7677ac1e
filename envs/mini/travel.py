"""Travel planning under constraints: look places up, obey rules that depend on what was found, submit a plan by day."""

from __future__ import annotations

import random
from typing import Any

from ...verifiers.checks import all_of
from ...verifiers.types import Verdict
from ..environment import Environment
from ..errors import ProposeFailed, ToolError
from ..tools import tool
from ..types import Answer, Task, World
from .country import CUISINES, best, make_country
from .rules import TIERS, attraction_cap, cost, day_slots, judge

_TIER_TEXT = (
    f"Attraction: below {TIERS[0][1]} if the hotel costs {TIERS[0][0]} or more, "
    f"below {TIERS[1][1]} if {TIERS[1][0]} or more, else below {TIERS[2][1]}."
)


class TravelMini(Environment):
    """Plan days in an invented country: hotel, dinner and attraction, each within the rules.

    Level 1: one day, a hotel below a price and a dinner of one cuisine. Level 2: an attraction whose price limit
    depends on what the hotel costs. Level 3: two days in two cities. Level 4: three days and a budget for the whole
    trip.
    """

    id = "travel-mini"
    version = "1"
    system = "Plan the trip with the tools. Submit one object per day."
    levels = range(1, 5)

    def propose(self, rng: random.Random, level: int) -> Task:
        seed = rng.getrandbits(32)
        draw = random.Random(seed)
        country = make_country(draw, cities=max(3, level))
        count = {1: 1, 2: 1, 3: 2, 4: 3}[level]
        cities = draw.sample(sorted(country["cities"]), count)
        days = [_make_day(draw, country, city, tiers=level >= 2) for city in cities]
        rules: dict[str, Any] = {"days": days, "budget": None}
        plan = [_plan_day(country, day) for day in days]
        if level >= 4:
            rules |= {"budget": cost(plan, country) + draw.randrange(0, 100, 10)}
        return self.task(
            seed=seed, level=level, prompt=_describe(rules), world=country, key={"rules": rules, "plan": plan}
        )

    def solve(self, task: Task, tools: Any) -> Answer:
        plan = []
        for number, day in enumerate(task.key["rules"]["days"], start=1):
            city = day["city"]
            tools.think(f"Day {number}: hotel in {city} below {day['hotel_below']}.")
            hotel = tools.find_hotel(city=city, below=day["hotel_below"])
            given = {"city": city, "hotel": hotel["name"]}
            tools.think(f"{day['cuisine']} dinner in {city}.")
            given["evening_restaurant"] = tools.find_restaurant(city=city, cuisine=day["cuisine"])["name"]
            if day["tiers"]:
                cap = attraction_cap(hotel["price"])
                tools.think(f"The hotel costs {hotel['price']}, so an attraction in {city} below {cap}.")
                given["afternoon_attraction"] = tools.find_attraction(city=city, below=cap)["name"]
            plan.append(given)
        tools.think("All found.")
        tools.submit_result(plan=plan)
        return plan

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of(judge(task.key["rules"], answer, task.world))

    def mutate(self, rng: random.Random, task: Task, answer: Answer) -> Answer:
        """Break one rule: a place of another city, a hotel over the limit, the wrong cuisine, a missing day, a wrong
        city.
        """
        wrong = [dict(day) for day in answer]
        index = rng.randrange(len(wrong))
        day, rule = wrong[index], task.key["rules"]["days"][index]
        slot = rng.choice(["city", *day_slots(rule)])
        here = task.world["cities"][rule["city"]]
        elsewhere = rng.choice(sorted(set(task.world["cities"]) - {rule["city"]}))
        kind = {"hotel": "hotels", "evening_restaurant": "restaurants", "afternoon_attraction": "attractions"}
        if slot == "city":
            day["city"] = elsewhere
        elif slot == "hotel" and (
            dear := [name for name, place in here["hotels"].items() if place["price"] >= rule["hotel_below"]]
        ):
            day["hotel"] = rng.choice(sorted(dear))
        elif slot == "evening_restaurant" and rng.random() < 0.5:
            day[slot] = rng.choice(
                [name for name, place in here["restaurants"].items() if place["cuisine"] != rule["cuisine"]]
            )
        else:
            day[slot] = rng.choice(sorted(task.world["cities"][elsewhere][kind[slot]]))
        return wrong

    @tool
    def get_all_cities(self) -> list[str]:
        """List the cities of the country."""
        return list(self.world["cities"])

    @tool
    def get_all_hotels_by_city(self, city: str) -> list[str]:
        """List the hotels of a city."""
        return list(self._city(city)["hotels"])

    @tool
    def get_all_restaurants_by_city(self, city: str) -> list[str]:
        """List the restaurants of a city."""
        return list(self._city(city)["restaurants"])

    @tool
    def get_all_attractions_by_city(self, city: str) -> list[str]:
        """List the attractions of a city."""
        return list(self._city(city)["attractions"])

    @tool
    def get_infos(self, city: str, name: str) -> dict[str, Any]:
        """Price, rating and (for restaurants) cuisine of a place in a city."""
        for places in self._city(city).values():
            if name in places:
                return {"name": name, **places[name]}
        raise ToolError(f"no place called {name} in {city}")

    @tool
    def find_hotel(self, city: str, below: int) -> dict[str, Any]:
        """The best rated hotel of a city with a price below a limit."""
        return self._best(city, "hotels", below=below)

    @tool
    def find_restaurant(self, city: str, cuisine: str) -> dict[str, Any]:
        """The best rated restaurant of a city with a cuisine."""
        if cuisine not in CUISINES:
            raise ToolError(f"no cuisine called {cuisine}; there are {', '.join(CUISINES)}")
        return self._best(city, "restaurants", cuisine=cuisine)

    @tool
    def find_attraction(self, city: str, below: int) -> dict[str, Any]:
        """The best rated attraction of a city with a price below a limit."""
        return self._best(city, "attractions", below=below)

    @tool(submits=True)
    def submit_result(self, plan: list[dict[str, str]]) -> list[dict[str, str]]:
        """Submit the plan: for each day its city, hotel, evening_restaurant and, where asked for,
        afternoon_attraction.
        """
        return plan

    def _city(self, city: str) -> dict[str, Any]:
        if city not in self.world["cities"]:
            raise ToolError(f"no city called {city}")
        found: dict[str, Any] = self.world["cities"][city]
        return found

    def _best(self, city: str, kind: str, **wanted: Any) -> dict[str, Any]:
        found = best(self._city(city)[kind], **wanted)
        if found is None:
            raise ToolError(f"nothing fits in {city}")
        return {"name": found[0], "price": found[1]["price"]}


def _make_day(rng: random.Random, country: dict[str, Any], city: str, tiers: bool) -> dict[str, Any]:
    places = country["cities"][city]
    cheapest = min(place["price"] for place in places["hotels"].values())
    below = rng.randrange(cheapest // 100 * 100 + 100, 1001, 100)
    cuisine = rng.choice(sorted({place["cuisine"] for place in places["restaurants"].values()}))
    return {"city": city, "hotel_below": below, "cuisine": cuisine, "tiers": tiers}


def _plan_day(country: dict[str, Any], day: dict[str, Any]) -> dict[str, str]:
    """The plan the solver finds; ProposeFailed where the day cannot be planned."""
    places = country["cities"][day["city"]]
    hotel = best(places["hotels"], below=day["hotel_below"])
    dinner = best(places["restaurants"], cuisine=day["cuisine"])
    if hotel is None or dinner is None:
        raise ProposeFailed(f"no hotel or dinner fits in {day['city']}")
    plan = {"city": day["city"], "hotel": hotel[0], "evening_restaurant": dinner[0]}
    if day["tiers"]:
        attraction = best(places["attractions"], below=attraction_cap(hotel[1]["price"]))
        if attraction is None:
            raise ProposeFailed(f"no attraction fits the hotel in {day['city']}")
        plan["afternoon_attraction"] = attraction[0]
    return plan


def _describe(rules: dict[str, Any]) -> str:
    days = rules["days"]
    lines = [f"Plan {len(days)} {'day' if len(days) == 1 else 'days'}."]
    for number, day in enumerate(days, start=1):
        lines.append(f"Day {number}: {day['city']}, hotel below {day['hotel_below']}, {day['cuisine']} dinner.")
    if days[0]["tiers"]:
        lines.append(_TIER_TEXT)
    if len(days) > 1:
        lines.append("No place twice.")
    if rules["budget"] is not None:
        lines.append(f"Spend at most {rules['budget']} in all.")
    return "\n".join(lines)
