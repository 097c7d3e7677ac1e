"""The fifteen tools of the trip example, over the country of a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ..errors import ToolError
from ..tools import tool
from .country import TARIFFS, City, Connection, Country, Place, clock, ride
from .plan import PlanDay

P = TypeVar("P", bound=City | Place)
Fact = Callable[[Any], Any]

_CITY: dict[str, Fact] = {
    "coordinates_km": lambda city: [city.x, city.y],
    "population": lambda city: city.population,
    "transport": lambda city: city.modes.split(","),
}
_PLACE: dict[str, Fact] = {
    "city": lambda place: place.city,
    "coordinates_km": lambda place: [place.x / 10, place.y / 10],
    "price": lambda place: place.price,
    "rating": lambda place: place.rating,
}
_HOURS: dict[str, Fact] = {
    "opening_hours": lambda place: f"{clock(place.opens)}-{clock(place.closes)}",
    "closed_on": lambda place: place.closed or "none",
}
_HOTEL = _PLACE | {"max_guests": lambda hotel: hotel.max_guests, "rules": lambda hotel: hotel.rules or "none"}
_RESTAURANT = _PLACE | {"cuisine": lambda place: place.cuisine} | _HOURS
_ATTRACTION = (
    _PLACE
    | {
        "category": lambda place: place.category,
        "setting": lambda place: place.setting,
        "visit_minutes": lambda place: place.minutes,
    }
    | _HOURS
)


class TravelTools:
    """Every tool reads `country` and changes nothing."""

    country: Country

    @tool
    def get_all_cities(self) -> list[str]:
        """List all cities."""
        return list(self.country.cities)

    @tool
    def get_all_attractions_by_city(self, city: str) -> list[str]:
        """List the attractions of a city."""
        return [one.name for one in self.country.attractions_in[self._city(city).name]]

    @tool
    def get_all_hotels_by_city(self, city: str) -> list[str]:
        """List the hotels of a city."""
        return [one.name for one in self.country.hotels_in[self._city(city).name]]

    @tool
    def get_all_restaurants_by_city(self, city: str) -> list[str]:
        """List the restaurants of a city."""
        return [one.name for one in self.country.restaurants_in[self._city(city).name]]

    @tool
    def get_city_by_attraction(self, attraction: str) -> str:
        """The city in which an attraction is."""
        return _known(self.country.attractions, attraction, "attraction").city

    @tool
    def get_city_by_hotel(self, hotel: str) -> str:
        """The city in which a hotel is."""
        return _known(self.country.hotels, hotel, "hotel").city

    @tool
    def get_city_by_restaurant(self, restaurant: str) -> str:
        """The city in which a restaurant is."""
        return _known(self.country.restaurants, restaurant, "restaurant").city

    @tool
    def get_city_transport(self, city: str, origin: str = "", destination: str = "") -> dict[str, Any]:
        """Transport within a city: which of bus, metro and taxi there are. Without origin and destination it gives the
        tariff: minutes are base_minutes + minutes_per_km x distance, the price in CNY is base_price + price_per_10_km x
        distance / 10, each rounded down; the distance in km is |x1 - x2| + |y1 - y2| of the places' coordinates_km.
        With both (names of hotels, restaurants or attractions of that city) it gives minutes and price of that ride.
        """
        town = self._city(city)
        modes = town.modes.split(",")
        if not origin and not destination:
            return {"city": town.name, "transport": {mode: TARIFFS[mode]._asdict() for mode in modes}}
        start, end = self._place(town, origin, "origin"), self._place(town, destination, "destination")
        rides = {mode: dict(zip(("minutes", "price"), ride(mode, start, end), strict=True)) for mode in modes}
        return {
            "city": town.name,
            "origin": start.name,
            "destination": end.name,
            "transport": {mode: rides[mode] | {"per": TARIFFS[mode].per} for mode in modes},
        }

    @tool
    def get_infos_by_attraction(self, attraction: str, info_keywords: list[str]) -> dict[str, Any]:
        """What is known of an attraction. Keywords: city, coordinates_km, price (CNY per person), rating (0 to 5),
        category, setting (indoor or outdoor), visit_minutes, opening_hours, closed_on (a weekday or none). An empty
        list means all of them.
        """
        return _infos(_ATTRACTION, _known(self.country.attractions, attraction, "attraction"), info_keywords)

    @tool
    def get_infos_by_city(self, city: str, info_keywords: list[str]) -> dict[str, Any]:
        """What is known of a city. Keywords: coordinates_km (on the map of the country), population, transport (what
        drives within the city). An empty list means all of them.
        """
        return _infos(_CITY, self._city(city), info_keywords)

    @tool
    def get_infos_by_hotel(self, hotel: str, info_keywords: list[str]) -> dict[str, Any]:
        """What is known of a hotel. Keywords: city, coordinates_km, price (CNY per room and night), rating (0 to 5),
        max_guests (in one room), rules (what the house forbids, or none). An empty list means all of them.
        """
        return _infos(_HOTEL, _known(self.country.hotels, hotel, "hotel"), info_keywords)

    @tool
    def get_infos_by_restaurant(self, restaurant: str, info_keywords: list[str]) -> dict[str, Any]:
        """What is known of a restaurant. Keywords: city, coordinates_km, price (CNY per person and meal), rating (0 to
        5), cuisine, opening_hours, closed_on (a weekday or none). An empty list means all of them.
        """
        return _infos(_RESTAURANT, _known(self.country.restaurants, restaurant, "restaurant"), info_keywords)

    @tool
    def get_inter_city_transport(self, origin: str, destination: str) -> list[dict[str, Any]]:
        """Direct connections from one city to another: id, kind (train, flight or coach), times (all arrive on the day
        of departure), minutes, price in CNY per person, and the weekdays on which they run.
        """
        ends = self._city(origin).name, self._city(destination).name
        return [_connection(one) for one in self.country.between.get(ends, [])]

    @tool
    def get_weather_by_city_date(self, city: str, date: str) -> dict[str, Any]:
        """The weather of a city on a date (YYYY-MM-DD): sunny, cloudy, rain or storm; temperatures in Celsius."""
        found = self.country.weather.get((self._city(city).name, date))
        if found is None:
            dates = sorted({day for _, day in self.country.weather})
            known = f"there is a forecast from {dates[0]} to {dates[-1]}" if dates else "there is no forecast at all"
            raise ToolError(f"no weather for {city} on {date}: {known}")
        return {"city": city, "date": date, "weather": found.sky, "high": found.high, "low": found.low}

    @tool(submits=True)
    def submit_result(self, plan: list[PlanDay]) -> list[dict[str, str]]:
        """Submit the plan, one object per day in order, with exactly the fields that the task asks for. This ends the
        task.
        """
        return [day.model_dump(exclude_unset=True) for day in plan]

    def _city(self, name: str) -> City:
        return _known(self.country.cities, name, "city")

    def _place(self, town: City, name: str, role: str) -> Place:
        country = self.country
        place = country.hotels.get(name) or country.restaurants.get(name) or country.attractions.get(name)
        if place is None or place.city != town.name:
            raise ToolError(f"{role}: no hotel, restaurant or attraction called {name!r} in {town.name}")
        return place


def _known(rows: Mapping[str, P], name: str, kind: str) -> P:
    found = rows.get(name)
    if found is None:
        raise ToolError(f"no {kind} called {name!r}: names must be written as the lists give them")
    return found


def _infos(facts: dict[str, Fact], row: City | Place, wanted: list[str]) -> dict[str, Any]:
    if unknown := [word for word in wanted if word not in facts]:
        raise ToolError(f"unknown info keyword {', '.join(unknown)}; there are: {', '.join(facts)}")
    return {"name": row.name, **{word: facts[word](row) for word in wanted or facts}}


def _connection(one: Connection) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": one.kind,
        "departs": clock(one.departs),
        "arrives": clock(one.arrives),
        "minutes": one.minutes,
        "price": one.price,
        "runs_on": one.days,
    }
