"""Is there a plan, and what does the cheapest cost: asked of CP-SAT, which proves the optimum.

The optimum does not depend on the way it is found, so a task made from it is the same on every machine.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ortools.sat.python import cp_model

from ..errors import ProposeFailed
from .country import Connection
from .layout import Layout
from .options import Ints, Options

EFFORT = 2.0
"""CP-SAT's limit, in its own deterministic seconds."""
NEAR = 110
"""Percent of the lower bound within which a plan is looked for first: a model without hopeless days is small. Not where
minutes are limited, which makes the cheapest ways too slow and the bound a bad guess."""


@dataclass(frozen=True)
class Trip:
    """One way through the days: cities, options (rows of `picks_N4`) and connections (the last goes home)."""

    cities: tuple[str, ...]
    picks: tuple[tuple[int, ...], ...]
    connections: tuple[Connection, ...]
    cost: int


class _Choice(NamedTuple):
    """A variable: the cheapest option of a day in a city that has these marks."""

    cost: int
    option: int
    marks: int
    var: cp_model.IntVar


def cheapest(layout: Layout) -> Trip:
    """The plan that costs least, proved by CP-SAT; where several do, any of them. ProposeFailed: there is none, or the
    proof takes too long.
    """
    budget = layout.rules.budget
    found, near = None, layout.cheap.least * NEAR // 100
    if not (layout.rules.journey and layout.rules.journey.most_minutes) and (budget is None or near < budget):
        found = _Model(layout, near).solve()
    found = found or _Model(layout, budget).solve()
    if found is None:
        raise ProposeFailed("CP-SAT proves that there is no plan")
    return found


class _LeanModel(cp_model.CpModel):
    """Without the names of OR-Tools' early versions, which every model gets a copy of, in a tenth of the time it takes
    to solve one.
    """

    def _add_pre_pep8_methods(self) -> None:
        pass


class _Model:
    """All plans that cost no more than `limit`: one variable for each choice of a day, and for each connection."""

    def __init__(self, layout: Layout, limit: int | None) -> None:
        self.layout, self.rules, self.limit = layout, layout.rules, limit
        self.most_minutes = layout.rules.journey.most_minutes if layout.rules.journey else None
        self.model = _LeanModel()
        self.days: dict[tuple[int, str], list[_Choice]] = {}
        self.ways: list[tuple[int, Connection, cp_model.IntVar]] = []
        for (day, city), options in layout.options.items():
            if choices := list(self._choices(day, city, options)):
                self.days[day, city] = choices
        self._one_city_a_day()
        if self.rules.journey:
            self._connect()
        self._marks()
        if limit is not None:
            self.model.add(self._cost() <= limit)

    def _choices(self, day: int, city: str, options: Options) -> Iterator[_Choice]:
        least = self.layout.cheap.through((day, city))
        if least is None or not _within(self.layout.fast.through((day, city)), self.most_minutes):
            return
        if not _within(least + self.layout.least[day, city], self.limit):
            return
        for at in _cheapest_by_marks(options):
            cost = int(options.cost_N[at])
            if _within(least + cost, self.limit):
                yield _Choice(cost, int(at), int(options.marks_N[at]), self.model.new_bool_var(""))

    def _one_city_a_day(self) -> None:
        by_day: dict[int, list[cp_model.IntVar]] = defaultdict(list)
        by_city: dict[str, list[cp_model.IntVar]] = defaultdict(list)
        for (day, city), choices in self.days.items():
            variables = [one.var for one in choices]
            by_day[day] += variables
            by_city[city] += variables
        for day in range(1, self.rules.days + 1):
            self.model.add_exactly_one(by_day[day])
        for city, variables in by_city.items():
            if city not in self.rules.visit:
                self.model.add_at_most_one(variables)
        for city in self.rules.visit:
            self.model.add_exactly_one(by_city[city])

    def _connect(self) -> None:
        into, out = defaultdict(list), defaultdict(list)
        for day in range(1, self.rules.days + 2):
            for origin in self._open(day - 1):
                for end in self._open(day):
                    for one in _pareto(self.layout.arrivals(day, origin, end)):
                        cost = self.layout.cheap.along(day, one, self.layout.fare(one))
                        minutes = self.layout.fast.along(day, one, one.minutes)
                        if _within(cost, self.limit) and _within(minutes, self.most_minutes):
                            var = self.model.new_bool_var("")
                            self.ways.append((day, one, var))
                            into[day, end].append(var)
                            out[day - 1, origin].append(var)
        for key, choices in self.days.items():
            chosen = sum(one.var for one in choices)
            self.model.add(sum(into[key]) == chosen)
            self.model.add(sum(out[key]) == chosen)
        if self.most_minutes is not None:
            self.model.add(sum(one.minutes * var for _, one, var in self.ways) <= self.most_minutes)

    def _open(self, day: int) -> list[str]:
        return [city for city in self.layout.places(day) if (day, city) in self.days or not 0 < day <= self.rules.days]

    def _marks(self) -> None:
        for bit in range(len(self.rules.trip_cuisines) + len(self.rules.trip_categories)):
            self.model.add_bool_or([one.var for ones in self.days.values() for one in ones if one.marks >> bit & 1])

    def _cost(self) -> cp_model.LinearExprT:
        pairs = [(one.var, one.cost) for ones in self.days.values() for one in ones]
        pairs += [(var, self.layout.fare(one)) for _, one, var in self.ways]
        return cp_model.LinearExpr.weighted_sum([var for var, _ in pairs], [cost for _, cost in pairs])

    def solve(self) -> Trip | None:
        """The cheapest plan within the limit, or None: CP-SAT proves that there is none."""
        self.model.minimize(self._cost())
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = 0
        solver.parameters.max_deterministic_time = EFFORT
        solver.parameters.cp_model_probing_level = 0  # the models are small: half the time went into presolving
        solver.parameters.symmetry_level = 0
        solver.parameters.max_presolve_iterations = 1
        status = solver.solve(self.model)
        if status == cp_model.INFEASIBLE:
            return None
        if status != cp_model.OPTIMAL:
            raise ProposeFailed(f"CP-SAT proves nothing within its limit: {solver.status_name(status)}")
        return self._trip(solver)

    def _trip(self, solver: cp_model.CpSolver) -> Trip:
        chosen = sorted(
            (day, city, one.option, one.cost)
            for (day, city), ones in self.days.items()
            for one in ones
            if solver.boolean_value(one.var)
        )
        ways = tuple(one for _, one in sorted((day, one) for day, one, var in self.ways if solver.boolean_value(var)))
        return Trip(
            cities=tuple(city for _, city, _, _ in chosen),
            picks=tuple(tuple(self.layout.options[day, city].picks_N4[at].tolist()) for day, city, at, _ in chosen),
            connections=ways,
            cost=sum(cost for *_, cost in chosen) + sum(map(self.layout.fare, ways)),
        )


def _within(least: int | None, limit: int | None) -> bool:
    return least is not None and (limit is None or least <= limit)


def _cheapest_by_marks(options: Options) -> Ints:
    """Indexes: for every combination of marks the cheapest option."""
    order = np.lexsort((options.cost_N, options.marks_N))
    found: Ints = order[np.unique(options.marks_N[order], return_index=True)[1]]
    return found


def _pareto(connections: list[Connection]) -> list[Connection]:
    """Those for which no other is both as cheap and as fast."""
    kept: list[Connection] = []
    for one in sorted(connections, key=lambda one: (one.price, one.minutes)):
        if not kept or one.minutes < kept[-1].minutes:
            kept.append(one)
    return kept
