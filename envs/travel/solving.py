"""The oracle: it asks the tools for the country, as an agent would, and plans in what it was told."""

from __future__ import annotations

from typing import Any

from ..types import Answer
from .country import Attraction, City, Connection, Country, Hotel, Restaurant, Weather, clock, ride
from .layout import Layout
from .proof import Trip, cheapest
from .rules import Rules


def plan_trip(rules: Rules, tools: Any) -> Answer:
    """The cheapest plan, submitted. ProposeFailed where the tools' country has none."""
    country = gather(rules, tools)
    layout = Layout(rules, country)
    trip = cheapest(layout)
    plan = [_day(layout, trip, number) for number in range(1, rules.days + 1)]
    tools.think(f"All rules hold; the cities are {', '.join(trip.cities)} and the trip costs {trip.cost} CNY.")
    tools.submit_result(plan=plan)
    return plan


def gather(rules: Rules, tools: Any) -> Country:
    """What the tools say of every city that may be visited, asked in few turns."""
    tools.think("First the cities.")
    names = tools.get_all_cities()
    home = rules.journey.home if rules.journey else None
    usable = [name for name in names if name not in rules.avoid and name != home]
    if len(rules.route) == rules.days:
        usable = [name for name in usable if name in rules.route.values()]
    tools.think("Then what each of them offers, and how to get there.")
    with tools.together():
        if rules.mode:
            tools.get_city_transport(city=usable[0])
        cities = [_city(tools, city) for city in usable]
        hotels = [name for city in usable for name in tools.get_all_hotels_by_city(city=city)]
        meals = [name for city in usable for name in tools.get_all_restaurants_by_city(city=city)]
        sights = [name for city in usable for name in tools.get_all_attractions_by_city(city=city)]
        weather = [_weather(tools, city, date) for city in usable for date in rules.dates if rules.indoor_when]
        ways = _connections(tools, [*usable, rules.journey.home]) if rules.journey else []
    tools.think("Now the places: first the hotels.")
    with tools.together():
        rooms = [_hotel(tools, name) for name in hotels]
    tools.think("The restaurants.")
    with tools.together():
        tables = [_restaurant(tools, name) for name in meals]
    tools.think("The attractions.")
    with tools.together():
        visits = [_attraction(tools, name) for name in sights]
    return Country.of(cities, rooms, tables, visits, ways, weather)


def _city(tools: Any, name: str) -> City:
    infos = tools.get_infos_by_city(city=name, info_keywords=[])
    x, y = infos["coordinates_km"]
    return City(name, x, y, infos["population"], ",".join(infos["transport"]))


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def _point(infos: dict[str, Any]) -> tuple[int, int]:
    x, y = infos["coordinates_km"]
    return round(x * 10), round(y * 10)


def _hours(infos: dict[str, Any]) -> tuple[int, int, str]:
    opens, _, closes = infos["opening_hours"].partition("-")
    return _minutes(opens), _minutes(closes), "" if infos["closed_on"] == "none" else infos["closed_on"]


def _hotel(tools: Any, name: str) -> Hotel:
    infos = tools.get_infos_by_hotel(hotel=name, info_keywords=[])
    rules = "" if infos["rules"] == "none" else infos["rules"]
    return Hotel(name, infos["city"], *_point(infos), infos["price"], infos["rating"], infos["max_guests"], rules)


def _restaurant(tools: Any, name: str) -> Restaurant:
    infos = tools.get_infos_by_restaurant(restaurant=name, info_keywords=[])
    opens, closes, closed = _hours(infos)
    about = (infos["price"], infos["rating"], infos["cuisine"])
    return Restaurant(name, infos["city"], *_point(infos), *about, opens, closes, closed)


def _attraction(tools: Any, name: str) -> Attraction:
    infos = tools.get_infos_by_attraction(attraction=name, info_keywords=[])
    about = (infos["price"], infos["rating"], infos["category"], infos["setting"], infos["visit_minutes"])
    opens, closes, closed = _hours(infos)
    return Attraction(name, infos["city"], *_point(infos), *about, opens, closes, closed)


def _weather(tools: Any, city: str, date: str) -> Weather:
    infos = tools.get_weather_by_city_date(city=city, date=date)
    return Weather(city, date, infos["weather"], infos["high"], infos["low"])


def _connections(tools: Any, cities: list[str]) -> list[Connection]:
    found = []
    for origin in cities:
        for end in cities:
            if origin != end:
                for one in tools.get_inter_city_transport(origin=origin, destination=end):
                    times = (_minutes(one["departs"]), one["minutes"], one["price"], one["runs_on"])
                    found.append(Connection(one["id"], one["kind"], origin, end, *times))
    return found


def _day(layout: Layout, trip: Trip, number: int) -> dict[str, str]:
    rules = layout.rules
    city = trip.cities[number - 1]
    hotel, lunch, sight, dinner = layout.cities[city].places(trip.picks[number - 1])
    day = {
        "time": rules.dates[number - 1],
        "city": city,
        "hotel": hotel.name if rules.has_hotel(number) else "",
        "afternoon_restaurant": lunch.name,
        "afternoon_attraction": sight.name,
        "evening_restaurant": dinner.name,
    }
    if rules.timetable and rules.timetable.chosen:
        day |= _times(rules, lunch, sight, dinner)
    if rules.journey:
        day["transport"] = trip.connections[number - 1].id
        day["return_transport"] = trip.connections[-1].id if number == rules.days else ""
    return day


def _times(rules: Rules, lunch: Restaurant, sight: Attraction, dinner: Restaurant) -> dict[str, str]:
    """Each as early as it can be."""
    table = rules.timetable
    assert table is not None
    to, back = (ride(rules.mode, lunch, sight)[0], ride(rules.mode, sight, dinner)[0]) if rules.mode else (0, 0)
    first = max(table.lunch[0], lunch.opens)
    second = max(table.visit[0], sight.opens, first + table.lunch_minutes + to)
    third = max(table.dinner[0], dinner.opens, second + sight.minutes + back)
    return {
        "afternoon_restaurant_time": clock(first),
        "afternoon_attraction_time": clock(second),
        "evening_restaurant_time": clock(third),
    }
