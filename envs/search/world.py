"""A generated world: things of nine kinds and the facts between them, drawn from a seed.

Dates fit together (nobody studies at a school that is not there yet), fame is uneven, so that most things are named on
few pages, some people and towns share a name, many things have a second name, and what changes has an older value.
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, lru_cache

from ...verifiers.answers import normalise
from .names import Namer
from .schema import KINDS, relations_of

Value = int | str
"""The number of a thing, a year, a count, a word, or a date as YYYY-MM-DD."""

NOW = 1960
SHARES = {
    "person": 30, "town": 8, "firm": 9, "school": 5, "bridge": 12, "work": 20, "event": 8, "ship": 9, "river": 2,
}  # fmt: skip
"""How many things of each kind a world has per unit of its size."""
PROFESSIONS = (
    "surveyor", "botanist", "composer", "glassblower", "astronomer", "physician", "cartographer", "printer",
    "architect", "naturalist", "clockmaker", "engraver", "geologist", "translator", "shipwright",
    "chemist", "historian", "sculptor",
)  # fmt: skip
_ALIASED = 0.4
_REVISED = 0.55
_NAMESAKES = {"person": 0.08, "town": 0.1}


@dataclass
class Thing:
    """`title` is its page's; `name` is what it is called, which a namesake may be called too. `former` maps a relation
    to (older value, year of that edition).
    """

    number: int
    kind: str
    name: str
    title: str = ""
    aliases: list[str] = field(default_factory=list)
    facts: dict[str, Value] = field(default_factory=dict)
    former: dict[str, tuple[Value, int]] = field(default_factory=dict)
    edition: int = 0
    fame: float = 0.0

    @property
    def ambiguous(self) -> bool:
        """True where another thing has the same name; its title then tells them apart."""
        return self.title != self.name

    @property
    def names(self) -> list[str]:
        """What it is called and nothing else is, its title first."""
        return [self.title, *self.aliases]


@dataclass
class World:
    """`inverse` maps (relation, number of a thing) to the things that have it as their value, in order."""

    seed: int
    size: int
    things: list[Thing]
    members: Mapping[str, list[Thing]]
    inverse: Mapping[tuple[str, int], list[int]]
    pointers: Mapping[int, list[tuple[str, int]]]
    """The facts that point at a thing: (relation, number of the thing that has it)."""

    @cached_property
    def lookup(self) -> dict[str, int]:
        """The thing that a normalised name is of."""
        return {normalise(name): thing.number for thing in self.things for name in thing.names}

    @cached_property
    def having(self) -> dict[tuple[str, Value], list[Thing]]:
        """The things with a fact, in order: (relation, value); a date counts as its year."""
        found: dict[tuple[str, Value], list[Thing]] = defaultdict(list)
        for thing in self.things:
            for relation in relations_of(thing.kind):
                value = thing.facts[relation.name]
                found[relation.name, year_of(value) if relation.to == "date" else value].append(thing)
        return dict(found)

    @cached_property
    def lists(self) -> Mapping[str, list[tuple[int, list[int]]]]:
        """`inverse` by relation: what has things pointing at it, and these."""
        found: dict[str, list[tuple[int, list[int]]]] = defaultdict(list)
        for (relation, end), things in self.inverse.items():
            found[relation].append((end, things))
        return dict(found)

    def find(self, name: str) -> Thing:
        """The thing that is called so. KeyError where there is none, or more than one."""
        return self.things[self.lookup[normalise(name)]]


@lru_cache(maxsize=32)
def make_world(seed: int, size: int) -> World:
    """The world of this seed; `size` 20 is about 2,000 things. The same on every machine."""
    rng = random.Random(f"encyclopaedia/{seed}/{size}")
    maker = _Maker(rng, size)
    maker.fill()
    inverse: dict[tuple[str, int], list[int]] = defaultdict(list)
    pointers: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for thing in maker.things:
        for relation in relations_of(thing.kind):
            if relation.links:
                target = thing.facts[relation.name]
                assert isinstance(target, int)
                inverse[relation.name, target].append(thing.number)
                pointers[target].append((relation.name, thing.number))
    return World(seed, size, maker.things, maker.members, dict(inverse), dict(pointers))


class _Maker:
    def __init__(self, rng: random.Random, size: int) -> None:
        self.rng, self.names = rng, Namer(rng)
        self.things: list[Thing] = []
        self.members: dict[str, list[Thing]] = {kind: [] for kind in KINDS}
        makers: dict[str, Callable[[], str]] = {kind: getattr(self.names, kind) for kind in KINDS}
        for kind, share in SHARES.items():
            for _ in range(share * size):
                thing = Thing(len(self.things), kind, self.names.fresh(makers[kind]), fame=rng.random())
                self.things.append(thing)
                self.members[kind].append(thing)

    def fill(self) -> None:
        """Years first, since links have to fit them; names last, since namesakes are told apart by a fact."""
        self._years()
        for kind in KINDS:
            for thing in self.members[kind]:
                getattr(self, f"_{kind}")(thing)
                self._numbers(thing)
        for kind, share in _NAMESAKES.items():
            self._share_names(kind, share)
        for thing in self.things:
            thing.title = thing.title or thing.name
            if self.rng.random() < _ALIASED and not thing.ambiguous:
                kind, name = thing.kind, thing.name
                thing.aliases.append(self.names.fresh(lambda kind=kind, name=name: self.names.alias(kind, name)))  # type: ignore[misc]
            self._revise(thing)

    def _years(self) -> None:
        spans = {"firm": ("established", 1725, 1940), "school": ("instituted", 1760, 1915)}
        spans |= {"bridge": ("opened", 1760, 1957), "work": ("published", 1750, 1958), "town": ("charter", 880, 1690)}
        for kind, (name, low, high) in spans.items():
            for thing in self.members[kind]:
                thing.facts[name] = self.rng.randint(low, high)
        days = {"person": ("born", 1690, 1932), "event": ("held", 1790, 1958), "ship": ("launched", 1880, 1957)}
        for kind, (name, low, high) in days.items():
            for thing in self.members[kind]:
                thing.facts[name] = self._day(low, high)
        self._people = sorted(self.members["person"], key=lambda one: (year_of(one.facts["born"]), one.number))
        self._births = [year_of(one.facts["born"]) for one in self._people]
        self._firms = sorted(self.members["firm"], key=lambda one: (year_of(one.facts["established"]), one.number))
        self._starts = [year_of(one.facts["established"]) for one in self._firms]
        self._schools = sorted(self.members["school"], key=lambda one: (year_of(one.facts["instituted"]), one.number))
        self._lessons = [year_of(one.facts["instituted"]) for one in self._schools]

    def _day(self, low: int, high: int) -> str:
        return (
            date(self.rng.randint(low, high), 1, 1)
            .replace(month=self.rng.randint(1, 12), day=self.rng.randint(1, 28))
            .isoformat()
        )

    def _famous(self, among: list[Thing], besides: int = -1) -> int:
        """One of `among`, more often a famous one, never number `besides`."""
        drawn = [self.rng.choice(among) for _ in range(self.rng.choice((1, 1, 2, 3)))]
        best = max(drawn, key=lambda one: (one.fame, one.number))
        return best.number if best.number != besides else self._famous(among, besides)

    def _born(self, low: int, high: int, besides: int = -1) -> int:
        """Somebody born in these years, or the nearest there are."""
        first, last = bisect_left(self._births, low), bisect_right(self._births, high)
        if last - first < 3:
            first, last = max(0, min(first, len(self._people) - 6) - 3), first + 6
        return self._famous(self._people[first:last], besides)

    def _firm_by(self, year: int) -> int:
        return self._famous(self._firms[: max(6, bisect_right(self._starts, year))])

    def _school_by(self, year: int) -> int:
        return self._famous(self._schools[: max(4, bisect_right(self._lessons, year))])

    def _town_any(self) -> int:
        return self._famous(self.members["town"])

    def _person(self, one: Thing) -> None:
        born = year_of(one.facts["born"])
        one.facts |= {
            "profession": self.rng.choice(PROFESSIONS),
            "birthplace": self._town_any(),
            "school": self._school_by(born + 15),
            "teacher": self._born(born - 45, born - 16, one.number),
            "employer": self._firm_by(born + 40),
        }

    def _town(self, one: Thing) -> None:
        one.facts |= {"river": self._famous(self.members["river"]), "mayor": self._born(1885, 1928)}

    def _firm(self, one: Thing) -> None:
        year = year_of(one.facts["established"])
        one.facts |= {"founder": self._born(year - 60, year - 22), "seat": self._town_any()}
        one.facts["director"] = self._born(1885, 1928)

    def _school(self, one: Thing) -> None:
        year = year_of(one.facts["instituted"])
        one.facts |= {"campus": self._town_any(), "rector": self._born(1885, 1928)}
        one.facts["benefactor"] = self._born(year - 75, year - 30)

    def _bridge(self, one: Thing) -> None:
        year = year_of(one.facts["opened"])
        one.facts |= {"crossing": self._town_any(), "engineer": self._born(year - 65, year - 25)}
        one.facts["contractor"] = self._firm_by(year)

    def _work(self, one: Thing) -> None:
        year = year_of(one.facts["published"])
        author = self._born(year - 70, year - 22)
        one.facts |= {"author": author, "publisher": self._firm_by(year)}
        one.facts["dedicatee"] = self._born(year - 80, year - 10, author)

    def _event(self, one: Thing) -> None:
        year = year_of(one.facts["held"])
        one.facts |= {"venue": self._town_any(), "opener": self._born(year - 75, year - 30)}
        one.facts["sponsor"] = self._firm_by(year)

    def _ship(self, one: Thing) -> None:
        one.facts |= {"yard": self._firm_by(year_of(one.facts["launched"])), "captain": self._born(1885, 1928)}
        one.facts["port"] = self._town_any()

    def _river(self, one: Thing) -> None:
        one.facts["surveyor"] = self._born(1700, 1900)

    def _numbers(self, one: Thing) -> None:
        spans = {
            "population": (400, 90000), "staff": (12, 4000), "students": (40, 3000), "span": (18, 900),
            "pages": (60, 900), "visitors": (300, 80000), "tonnage": (90, 9000), "course": (30, 900),
        }  # fmt: skip
        for relation in relations_of(one.kind):
            if relation.to == "number":
                low, high = spans[relation.name]
                one.facts[relation.name] = round(low * (high / low) ** self.rng.random())

    def _share_names(self, kind: str, share: float) -> None:
        """Give some things the name of another; both titles then say the profession, or the river."""
        told = {"person": "profession", "town": "river"}[kind]
        for one in self.members[kind]:
            if one.title or self.rng.random() > share:
                continue
            other = self.rng.choice(self.members[kind])
            if other is one or other.title or other.facts[told] == one.facts[told]:
                continue
            other.name = one.name
            for each in (one, other):
                value = each.facts[told]
                detail = self.things[value].name if isinstance(value, int) else value
                each.title = f"{each.name} ({detail})"

    def _revise(self, one: Thing) -> None:
        """An older edition that told other values of some of what changes."""
        changing = [relation for relation in relations_of(one.kind) if relation.changes]
        if not changing or self.rng.random() > _REVISED:
            return
        one.edition = self.rng.randint(1926, 1949)
        for relation in self.rng.sample(changing, self.rng.randint(1, len(changing))):
            now = one.facts[relation.name]
            assert isinstance(now, int)
            if relation.links:
                former = self._born(one.edition - 70, one.edition - 32, now)
            else:
                former = max(3, round(now * self.rng.choice((0.6, 0.75, 0.85, 1.2, 1.4)))) + 1
            one.former[relation.name] = (former, one.edition)


def year_of(value: Value) -> int:
    """The year of a year or a date."""
    return value if isinstance(value, int) else int(value[:4])
