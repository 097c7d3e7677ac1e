"""Every way to spend a day in a city, as arrays over its places.

Letters: H hotels, L restaurants for lunch, A attractions, D restaurants for dinner (same list as L). On a day without a
night H is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .country import Attraction, Country, Hotel, Restaurant, ride
from .rules import NEEDS, Rules, Step, Tiers

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Options:
    """The days that obey every rule which looks at one day alone.

    `picks_N4` are indexes into H, L, A, D; `cost_N` is what the whole party pays; `marks_N` has a bit for each cuisine
    and category that the trip must contain and the day does.
    """

    picks_N4: Ints
    cost_N: Ints
    marks_N: Ints

    def __len__(self) -> int:
        return len(self.cost_N)


class CityDays:
    """The options of one city, for any day."""

    def __init__(self, rules: Rules, country: Country, city: str) -> None:
        self.rules, self.country, self.city = rules, country, city
        self.hotels = country.hotels_in[city]
        self.meals = country.restaurants_in[city]
        self.sights = country.attractions_in[city]
        self.usable = not rules.mode or rules.mode in country.cities[city].modes.split(",")
        self._hotel_ok_H = _bools([_fits_hotel(rules, one) for one in self.hotels])
        self._meal_price_L = _array([one.price for one in self.meals])
        self._meal_rating_L = _array([round(one.rating * 10) for one in self.meals])
        self._price_H = _array([one.price for one in self.hotels])
        self._rooms_H = _array([one.price * rules.rooms(one) for one in self.hotels])
        self._price_A = _array([one.price for one in self.sights])
        self._meals_LD = self._meal_price_L[:, None] + self._meal_price_L[None, :]
        self._joint_LAD, rides_LAD = self._in_time()
        self._pair_LD = self._pairs()
        self._cost_LAD = (self._meals_LD[:, None, :] + self._price_A[None, :, None]) * rules.party + rides_LAD
        self._marks_LAD = self._marks()

    def on(self, day: int) -> Options:
        """The options of this day (from 1)."""
        rules = self.rules
        dated = rules.route.get(day)
        if not self.usable or (dated is not None and dated != self.city):
            return _NONE
        weekday = rules.weekdays[day - 1]
        lunch_L = self._meals_ok(weekday)
        dinner_D = lunch_L
        if cuisine := rules.dinner_cuisine.get(day):
            dinner_D = lunch_L & _bools([one.cuisine == cuisine for one in self.meals])
        ok_LAD = self._joint_LAD & self._pair_LD[:, None, :]
        ok_LAD = ok_LAD & lunch_L[:, None, None] & self._sights_ok(day, weekday)[:, None] & dinner_D
        if not ok_LAD.any():
            return _NONE
        if not rules.has_hotel(day):
            return self._pick(ok_LAD[None], np.zeros(1, np.int64))
        ok_HLAD = self._hotel_ok_H[:, None, None, None] & ok_LAD
        for tiers in rules.tiers:
            if tiers.day == day:
                ok_HLAD = ok_HLAD & self._tiers_ok(tiers)
        return self._pick(ok_HLAD, self._rooms_H)

    def _pick(self, ok_HLAD: Bools, rooms_H: Ints) -> Options:
        cost_HLAD = rooms_H[:, None, None, None] + self._cost_LAD
        if self.rules.day_budget is not None:
            ok_HLAD = ok_HLAD & (cost_HLAD <= self.rules.day_budget)
        index = np.nonzero(ok_HLAD)
        return Options(np.stack(index, axis=1), cost_HLAD[index], self._marks_LAD[index[1:]])

    def _meals_ok(self, weekday: str) -> Bools:
        least = max(
            self.rules.meal_rating or 0.0,
            (self.rules.weekend_rating or 0.0) if weekday in ("Saturday", "Sunday") else 0.0,
        )
        return _bools([
            one.rating >= least
            and one.cuisine not in self.rules.no_cuisines
            and not (self.rules.timetable and one.closed == weekday)
            for one in self.meals
        ])  # fmt: skip

    def _sights_ok(self, day: int, weekday: str) -> Bools:
        rules = self.rules
        wet = False
        if rules.indoor_when:
            wet = self.country.weather[self.city, rules.dates[day - 1]].sky in rules.indoor_when
        return _bools([
            one.rating >= (rules.attraction_rating or 0.0)
            and not (rules.timetable and one.closed == weekday)
            and not (wet and one.setting == "outdoor")
            for one in self.sights
        ])  # fmt: skip

    def _pairs(self) -> Bools:
        """Which lunches go with which dinners."""
        size = len(self.meals)
        ok_LD = ~np.eye(size, dtype=np.bool_)
        if self.rules.two_cuisines:
            cuisines = [one.cuisine for one in self.meals]
            kinds = _array([cuisines.index(one) for one in cuisines])
            ok_LD &= kinds[:, None] != kinds[None, :]
        if dear := self.rules.dear_lunch:
            ok_LD &= (self._meal_price_L < dear.floor)[:, None] | (self._meal_price_L < dear.dinner_below)[None, :]
        return ok_LD

    def _tiers_ok(self, tiers: Tiers) -> Bools:
        """HLAD: the rest of the day fits the hotel's price."""
        steps_H = [tiers.step(price) for price in self._price_H.tolist()]
        ok_by_step = {step: self._step_ok(step) for step in dict.fromkeys(steps_H)}
        return np.stack([ok_by_step[step] for step in steps_H])

    def _step_ok(self, step: Step | None) -> Bools:
        ok_LAD = np.ones((len(self.meals), len(self.sights), len(self.meals)), np.bool_)
        if step is None:
            return ok_LAD
        if step.meals_below is not None:
            ok_LAD &= (self._meals_LD < step.meals_below)[:, None, :]
        if step.attraction_below is not None:
            ok_LAD &= (self._price_A < step.attraction_below)[None, :, None]
        if step.well_rated:
            good_L = self._meal_rating_L >= round(step.rating * 10)
            ok_LAD &= (good_L[:, None].astype(int) + good_L[None, :] >= step.well_rated)[:, None, :]
        return ok_LAD

    def _in_time(self) -> tuple[Bools, Ints]:
        """LAD: lunch, visit and dinner can begin within their windows, one after the other; and what the rides cost."""
        ride_LA, fare_LA = self._rides()
        rides_LAD = fare_LA[:, :, None] + fare_LA.T[None, :, :]
        table = self.rules.timetable
        if table is None:
            return np.ones(rides_LAD.shape, np.bool_), rides_LAD
        opens_L, closes_L = _array([one.opens for one in self.meals]), _array([one.closes for one in self.meals])
        opens_A, closes_A = _array([one.opens for one in self.sights]), _array([one.closes for one in self.sights])
        visit_A = _array([one.minutes for one in self.sights])
        lunch_L = np.maximum(opens_L, table.lunch[0])
        lunch_ok_L = (lunch_L <= table.lunch[1]) & (lunch_L + table.lunch_minutes <= closes_L)
        there_LA = (lunch_L + table.lunch_minutes)[:, None] + ride_LA
        visit_LA = np.maximum(there_LA, np.maximum(opens_A, table.visit[0]))
        visit_ok_LA = (visit_LA <= table.visit[1]) & (visit_LA + visit_A <= closes_A) & lunch_ok_L[:, None]
        back_LAD = (visit_LA + visit_A)[:, :, None] + ride_LA.T[None, :, :]
        dinner_LAD = np.maximum(back_LAD, np.maximum(opens_L, table.dinner[0]))
        ok_LAD = (dinner_LAD <= table.dinner[1]) & (dinner_LAD + table.dinner_minutes <= closes_L)
        return ok_LAD & visit_ok_LA[:, :, None], rides_LAD

    def _rides(self) -> tuple[Ints, Ints]:
        """LA: minutes, and what the party pays."""
        mode = self.rules.mode
        shape = (len(self.meals), len(self.sights))
        if not mode:
            return np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        both = _array([[ride(mode, meal, sight) for sight in self.sights] for meal in self.meals]).reshape(*shape, 2)
        return both[:, :, 0], both[:, :, 1] * (1 if mode == "taxi" else self.rules.party)

    def _marks(self) -> Ints:
        """LAD: a bit for each wanted cuisine, then for each wanted category."""
        cuisines = {name: 1 << bit for bit, name in enumerate(self.rules.trip_cuisines)}
        categories = {name: 1 << bit for bit, name in enumerate(self.rules.trip_categories, start=len(cuisines))}
        meal_L = _array([cuisines.get(one.cuisine, 0) for one in self.meals])
        sight_A = _array([categories.get(one.category, 0) for one in self.sights])
        return meal_L[:, None, None] | sight_A[None, :, None] | meal_L[None, None, :]

    def places(self, pick: Sequence[int]) -> tuple[Hotel, Restaurant, Attraction, Restaurant]:
        """The places of one row of `picks_N4`. On a day without a night the hotel means nothing."""
        hotel, lunch, sight, dinner = pick
        return self.hotels[hotel], self.meals[lunch], self.sights[sight], self.meals[dinner]


def _fits_hotel(rules: Rules, hotel: Hotel) -> bool:
    return (
        (rules.hotel_below is None or hotel.price < rules.hotel_below)
        and hotel.rating >= (rules.hotel_rating or 0.0)
        and not any(NEEDS[need] in hotel.rules for need in rules.needs)
    )


def _array(values: Sequence[Any]) -> Ints:
    return np.array(values, dtype=np.int64)


def _bools(values: Sequence[bool]) -> Bools:
    return np.array(values, dtype=np.bool_)


_NONE = Options(np.zeros((0, 4), np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
