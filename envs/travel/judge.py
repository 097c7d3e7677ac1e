"""What a plan satisfies and what it does not: every constraint as a named part, with what was found.

Names are `trip.CONSTRAINT`, `dayN.CONSTRAINT` or `dayN.SLOT.CONSTRAINT`. Where a name in the plan stands for nothing,
`exists` fails and so does every constraint that would have looked at it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...verifiers.checks import check
from ...verifiers.types import Part
from ..types import Json
from .clocks import time_parts
from .country import Attraction, Connection, Country, Hotel, Restaurant, clock, ride
from .plan import Stay, read_stay, shape_problem
from .rules import NEEDS, Rules, Step

UNKNOWN = "cannot be told: a place or connection of the plan is unknown"


def judge(rules: Rules, answer: Json, country: Country, slack: str = "") -> Iterator[Part]:
    """The parts of the verdict. An answer of the wrong shape fails `shape`, and nothing else is looked at."""
    problem = shape_problem(rules, answer)
    yield check("shape", not problem, problem or f"{rules.days} days, each with every field; {slack}")
    if problem:
        return
    stays = [read_stay(rules, country, number, given) for number, given in enumerate(answer, start=1)]
    for at, stay in enumerate(stays):
        yield from _Day(rules, country, stay).parts()
        if rules.journey:
            origin = stays[at - 1].given["city"] if at else rules.journey.home
            yield from _connections(rules, stay, origin)
    yield from _trip(rules, country, stays)


class _Day:
    """One day under the rules."""

    def __init__(self, rules: Rules, country: Country, stay: Stay) -> None:
        self.rules, self.country, self.stay = rules, country, stay
        self.name = f"day{stay.number}"
        self.weekday = rules.weekdays[stay.number - 1]
        self.city = stay.given["city"]

    def parts(self) -> Iterator[Part]:
        rules, stay = self.rules, self.stay
        date = rules.dates[stay.number - 1]
        given = stay.given["time"]
        yield check(f"{self.name}.time", given == date, f"{given} (asked for: {date})")
        yield check(f"{self.name}.city.exists", self.city in self.country.cities, self.city)
        if wanted := rules.route.get(stay.number):
            yield check(f"{self.name}.city.route", self.city == wanted, f"{self.city} (asked for: {wanted})")
        yield from self._hotel()
        for slot, meal in (("afternoon_restaurant", stay.lunch), ("evening_restaurant", stay.dinner)):
            yield from self._meal(slot, meal)
        yield from self._attraction()
        yield from self._both_meals()
        if rules.mode:
            town = self.country.cities.get(self.city)
            drives = town is not None and rules.mode in town.modes.split(",")
            yield check(f"{self.name}.city.mode", drives, f"{rules.mode} in {self.city}")
        yield from time_parts(rules, stay, self.weekday)
        yield from self._tiers()
        if rules.day_budget is not None:
            cost = day_cost(rules, stay)
            yield _at_most(f"{self.name}.budget", cost, rules.day_budget)

    def _exists(self, slot: str, place: Hotel | Restaurant | Attraction | None) -> Part:
        here = place is not None and place.city == self.city
        where = f"is in {place.city}" if place else "is unknown"
        return check(f"{self.name}.{slot}.exists", here, f"{self.stay.given[slot]} {where}; the day is in {self.city}")

    def _hotel(self) -> Iterator[Part]:
        rules, hotel, name = self.rules, self.stay.hotel, f"{self.name}.hotel"
        if not rules.has_hotel(self.stay.number):
            given = self.stay.given["hotel"]
            yield check(f"{name}.none", given == "", f"{given!r}; the day ends at home")
            return
        yield self._exists("hotel", hotel)
        if rules.hotel_below is not None:
            yield _below(f"{name}.price", hotel and hotel.price, rules.hotel_below)
        if rules.hotel_rating is not None:
            yield _at_least(f"{name}.rating", hotel and hotel.rating, rules.hotel_rating)
        for need in rules.needs:
            allowed = hotel is not None and NEEDS[need] not in hotel.rules
            yield check(f"{name}.rules.{need}", allowed, f"house rules: {hotel.rules or 'none'}" if hotel else UNKNOWN)

    def _meal(self, slot: str, meal: Restaurant | None) -> Iterator[Part]:
        rules, name = self.rules, f"{self.name}.{slot}"
        yield self._exists(slot, meal)
        if rules.meal_rating is not None:
            yield _at_least(f"{name}.rating", meal and meal.rating, rules.meal_rating)
        if rules.weekend_rating is not None and self.weekday in ("Saturday", "Sunday"):
            yield _at_least(f"{name}.weekend_rating", meal and meal.rating, rules.weekend_rating)
        if rules.no_cuisines:
            fits = meal is not None and meal.cuisine not in rules.no_cuisines
            yield check(f"{name}.cuisine.unwanted", fits, meal.cuisine if meal else UNKNOWN)
        wanted = rules.dinner_cuisine.get(self.stay.number)
        if wanted and slot == "evening_restaurant":
            fits = meal is not None and meal.cuisine == wanted
            yield check(f"{name}.cuisine", fits, f"{meal.cuisine} (asked for: {wanted})" if meal else UNKNOWN)

    def _attraction(self) -> Iterator[Part]:
        rules, sight, name = self.rules, self.stay.sight, f"{self.name}.afternoon_attraction"
        yield self._exists("afternoon_attraction", sight)
        if rules.attraction_rating is not None:
            yield _at_least(f"{name}.rating", sight and sight.rating, rules.attraction_rating)
        if rules.indoor_when:
            weather = self.country.weather.get((self.city, rules.dates[self.stay.number - 1]))
            if weather is None or sight is None:
                yield check(f"{name}.weather", False, UNKNOWN)
            else:
                fits = weather.sky not in rules.indoor_when or sight.setting == "indoor"
                yield check(f"{name}.weather", fits, f"{sight.setting} under {weather.sky}")

    def _both_meals(self) -> Iterator[Part]:
        rules, lunch, dinner = self.rules, self.stay.lunch, self.stay.dinner
        if rules.two_cuisines:
            fits = lunch is not None and dinner is not None and lunch.cuisine != dinner.cuisine
            detail = f"{lunch.cuisine}, {dinner.cuisine}" if lunch and dinner else UNKNOWN
            yield check(f"{self.name}.two_cuisines", fits, detail)
        if dear := rules.dear_lunch:
            if lunch is None or dinner is None:
                yield check(f"{self.name}.dear_lunch", False, UNKNOWN)
            else:
                fits = lunch.price < dear.floor or dinner.price < dear.dinner_below
                yield check(f"{self.name}.dear_lunch", fits, f"lunch {lunch.price}, dinner {dinner.price}")

    def _tiers(self) -> Iterator[Part]:
        hotel, name = self.stay.hotel, f"{self.name}.hotel.price_tier"
        for tiers in self.rules.tiers:
            if tiers.day != self.stay.number:
                continue
            if hotel is None:
                yield check(name, False, UNKNOWN)
                continue
            step = tiers.step(hotel.price)
            yield check(name, True, f"{hotel.price}: " + (f"from {step.floor} on" if step else "no condition"))
            if step:
                yield from self._step(step, name)

    def _step(self, step: Step, name: str) -> Iterator[Part]:
        lunch, dinner, sight = self.stay.lunch, self.stay.dinner, self.stay.sight
        both = [meal for meal in (lunch, dinner) if meal is not None]
        if step.meals_below is not None:
            total = sum(meal.price for meal in both) if len(both) == 2 else None
            yield _below(f"{name}.meals", total, step.meals_below)
        if step.well_rated:
            good = sum(meal.rating >= step.rating for meal in both)
            detail = f"rated {', '.join(str(meal.rating) for meal in both)}; {step.well_rated} must have {step.rating}"
            yield check(f"{name}.ratings", good >= step.well_rated and len(both) == 2, detail)
        if step.attraction_below is not None:
            yield _below(f"{name}.attraction", sight.price if sight else None, step.attraction_below)


def _connections(rules: Rules, stay: Stay, origin: str) -> Iterator[Part]:
    """The connection into the day's city, and on the last day the one home."""
    journey, weekday = rules.journey, rules.weekdays[stay.number - 1]
    assert journey is not None
    name, city = f"day{stay.number}.transport", stay.given["city"]
    yield from _connection(rules, name, stay.arrival, (origin, city), weekday)
    if stay.arrival:
        arrives = stay.arrival.arrives
        yield check(
            f"{name}.in_time", arrives <= journey.arrive_by, f"{clock(arrives)} (by {clock(journey.arrive_by)})"
        )
    name, given = f"day{stay.number}.return_transport", stay.given["return_transport"]
    if stay.number < rules.days:
        yield check(f"{name}.none", given == "", f"{given!r}; home is reached on the last day")
        return
    home = stay.departure
    yield from _connection(rules, name, home, (city, journey.home), weekday)
    if home:
        leaves = f"leaves {clock(home.departs)} (from {clock(journey.leave_from)})"
        yield check(f"{name}.after_dinner", home.departs >= journey.leave_from, leaves)
        arrives_home = f"{clock(home.arrives)} (by {clock(journey.home_by)})"
        yield check(f"{name}.in_time", home.arrives <= journey.home_by, arrives_home)


def _connection(rules: Rules, name: str, one: Connection | None, ends: tuple[str, str], weekday: str) -> Iterator[Part]:
    assert rules.journey is not None
    fits = one is not None and (one.origin, one.destination) == ends
    goes = f"goes from {one.origin} to {one.destination}" if one else "is unknown"
    yield check(f"{name}.route", fits, f"{goes}; asked for: {ends[0]} to {ends[1]}")
    if one is None:
        return
    yield check(f"{name}.runs", weekday in one.days, f"{weekday}; it runs on {one.days}")
    if rules.journey.without:
        yield check(f"{name}.kind", one.kind not in rules.journey.without, one.kind)


def _trip(rules: Rules, country: Country, stays: list[Stay]) -> Iterator[Part]:
    cities = [stay.given["city"] for stay in stays]
    yield _once("trip.cities", cities)
    yield _once("trip.hotels", [stay.given["hotel"] for stay in stays if rules.has_hotel(stay.number)])
    meals = [stay.given[slot] for stay in stays for slot in ("afternoon_restaurant", "evening_restaurant")]
    yield _once("trip.restaurants", meals)
    yield _once("trip.attractions", [stay.given["afternoon_attraction"] for stay in stays])
    if rules.journey:
        yield check("trip.not_at_home", rules.journey.home not in cities, rules.journey.home)
    for city in rules.visit:
        yield check(f"trip.visit.{city}", city in cities, ", ".join(cities))
    for city in rules.avoid:
        yield check(f"trip.avoid.{city}", city not in cities, ", ".join(cities))
    eaten = {meal.cuisine for stay in stays for meal in (stay.lunch, stay.dinner) if meal}
    for cuisine in rules.trip_cuisines:
        yield check(f"trip.cuisine.{cuisine}", cuisine in eaten, ", ".join(sorted(eaten)))
    seen = {stay.sight.category for stay in stays if stay.sight}
    for category in rules.trip_categories:
        yield check(f"trip.category.{category}", category in seen, ", ".join(sorted(seen)))
    if rules.journey and rules.journey.most_minutes is not None:
        ways = _ways(stays)
        total = sum(one.minutes for one in ways) if ways is not None else None
        yield _at_most("trip.travel_minutes", total, rules.journey.most_minutes)
    if rules.budget is not None:
        yield _at_most("trip.budget", trip_cost(rules, stays), rules.budget)


def _ways(stays: list[Stay]) -> list[Connection] | None:
    ways = [*(stay.arrival for stay in stays), stays[-1].departure]
    known = [one for one in ways if one is not None]
    return known if len(known) == len(ways) else None


def day_cost(rules: Rules, stay: Stay) -> int | None:
    """What the party pays on this day, connections aside; None where a place is unknown."""
    lunch, dinner, sight = stay.lunch, stay.dinner, stay.sight
    if lunch is None or dinner is None or sight is None or (rules.has_hotel(stay.number) and stay.hotel is None):
        return None
    cost = (lunch.price + dinner.price + sight.price) * rules.party
    if stay.hotel:
        cost += stay.hotel.price * rules.rooms(stay.hotel)
    if rules.mode:
        fares = ride(rules.mode, lunch, sight)[1] + ride(rules.mode, sight, dinner)[1]
        cost += fares * (1 if rules.mode == "taxi" else rules.party)
    return cost


def trip_cost(rules: Rules, stays: list[Stay]) -> int | None:
    """What the party pays in all; None where it cannot be told."""
    costs = [day_cost(rules, stay) for stay in stays]
    ways = _ways(stays) if rules.journey else []
    if ways is None or any(cost is None for cost in costs):
        return None
    return sum(cost or 0 for cost in costs) + sum(one.price for one in ways) * rules.party


def _once(name: str, given: list[str]) -> Part:
    twice = sorted({one for one in given if given.count(one) > 1})
    return check(name, not twice, f"more than once: {', '.join(twice)}" if twice else "")


def _below(name: str, found: float | None, limit: float) -> Part:
    return check(name, found is not None and found < limit, UNKNOWN if found is None else f"{found} (below {limit})")


def _at_least(name: str, found: float | None, limit: float) -> Part:
    detail = UNKNOWN if found is None else f"{found} (at least {limit})"
    return check(name, found is not None and found >= limit, detail)


def _at_most(name: str, found: float | None, limit: float) -> Part:
    return check(name, found is not None and found <= limit, UNKNOWN if found is None else f"{found} (at most {limit})")
