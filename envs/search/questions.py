"""Questions drawn over a world: walks to an answer, as hard as a level says."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .forms import Ambiguous, Form, Node, things
from .schema import RELATIONS, Relation, relations_of
from .world import Thing, World, year_of

DESCRIBED, LINKED = 2, 3
_BRANCHES = 4
"""Ways back that are tried at each step of a trail."""
_LISTED = tuple(relation for relation in RELATIONS.values() if relation.plural)


class DeadEnd(Exception):
    """This walk leads to no question."""


@dataclass(frozen=True)
class Plan:
    """How hard: links from the start to what is asked about (`depth`), conditions on a thing or branches (`breadth`),
    how the start is veiled (0 its title, 1 its other name, 2 described by facts, 3 by links to such), and the kinds.
    """

    depth: int
    breadth: int
    veil: int
    kinds: tuple[str, ...]


_ALL = ("chain", "intersection", "comparison", "temporal", "counting", "aggregation")
PLANS = {
    1: Plan(1, 1, 0, ("chain",)),
    2: Plan(1, 1, 1, ("chain", "intersection")),
    3: Plan(2, 1, 1, ("chain", "intersection", "comparison")),
    4: Plan(2, 1, DESCRIBED, ("chain", "intersection", "comparison", "temporal", "counting")),
    5: Plan(2, 2, DESCRIBED, _ALL),
    6: Plan(3, 2, DESCRIBED, _ALL),
    7: Plan(3, 2, LINKED, _ALL),
    8: Plan(4, 2, LINKED, _ALL),
    9: Plan(4, 3, LINKED, _ALL),
    10: Plan(5, 3, LINKED, _ALL),
}


def draw(rng: random.Random, world: World, plan: Plan, kind: str) -> Form:
    """The form of a question of this kind, not yet judged. DeadEnd where the walk goes nowhere."""
    walker = _Walker(rng, world, plan)
    makers: dict[str, Callable[[], Form]] = {name: getattr(walker, name) for name in _ALL}
    return makers[kind]()


class _Walker:
    def __init__(self, rng: random.Random, world: World, plan: Plan) -> None:
        self._rng, self._world, self._plan = rng, world, plan

    def chain(self) -> Form:
        """A fact of a thing at the end of a trail."""
        end = self._any()
        return {"ask": "value", "of": self._trail(end, self._plan.depth), "by": self._asked(end).name}

    def intersection(self) -> Form:
        """A thing that several trails meet at; on higher levels a fact of it."""
        end = self._any(("person", "firm", "school", "bridge", "work", "event", "ship"))
        links = [relation for relation in relations_of(end.kind) if relation.links]
        chosen = self._rng.sample(links, min(len(links), self._plan.breadth + 1))
        conditions: list[list[object]] = []
        for relation in chosen:
            target = self._world.things[int(end.facts[relation.name])]
            conditions.append([relation.name, "=", self._trail(target, self._plan.depth // 2)])
        node = {"kind": end.kind, "where": conditions}
        if self._plan.depth < 2 or self._rng.random() < 0.4:
            return {"ask": "thing", "of": node}
        return {"ask": "value", "of": node, "by": self._asked(end, [relation.name for relation in chosen]).name}

    def comparison(self) -> Form:
        """Several things of a kind, each at the end of a trail, compared by a number or a year."""
        kind = self._any().kind
        by = self._measured(kind)
        known = [thing for thing in self._world.members[kind] if thing.number in self._world.pointers]
        ends = self._rng.sample(known, 2 + (self._plan.breadth > 2)) if len(known) > 9 else []
        if not ends:
            raise DeadEnd("nothing leads to things of this kind")
        trails = [self._trail(end, max(1, self._plan.depth - 1)) for end in ends]
        if len(ends) == 2 and by.to == "year" and self._rng.random() < 0.35:
            return {"ask": "gap", "of": trails, "by": by.name}
        return self._ask_about({"pick": self._rng.choice(("least", "most")), "from": trails, "by": by.name}, kind)

    def temporal(self) -> Form:
        """The first or last of a list, or of what came before or after a year."""
        end, relation, found = self._listing(3)
        by = next(one for one in relations_of(relation.of) if one.to in ("year", "date"))
        node = self._set(end, relation)
        if len(found) > 3 and self._plan.breadth > 1:
            node["where"].append(self._cut(found, by))
        pick = {"pick": self._rng.choice(("least", "most")), "from": node, "by": by.name}
        return self._ask_about(pick, relation.of, relation.name)

    def counting(self) -> Form:
        """How many of a list meet a condition: some number, alike often, from 2 to 7."""
        wanted = self._rng.randint(2, 7)
        end, relation, found = self._listing(wanted + 1)
        node = self._set(end, relation)
        by = self._rng.choice(self._measures(relation.of))
        values = sorted(year_of(thing.facts[by.name]) for thing in found)
        if self._rng.random() < 0.5:
            node["where"].append([by.name, "<", values[wanted]])
        else:
            node["where"].append([by.name, ">", values[-wanted - 1]])
        return {"ask": "count", "of": node}

    def aggregation(self) -> Form:
        """The sum or the mean over a list."""
        end, relation, found = self._listing(3)
        numbers = [one for one in self._measures(relation.of) if one.to == "number"]
        if not numbers:
            raise DeadEnd("nothing to add up")
        node = self._set(end, relation)
        if len(found) > 3 and self._plan.breadth > 1:
            node["where"].append(self._cut(found, self._rng.choice(self._measures(relation.of))))
        return {"ask": self._rng.choice(("sum", "mean")), "of": node, "by": self._rng.choice(numbers).name}

    def _any(self, kinds: tuple[str, ...] = ()) -> Thing:
        kind = self._rng.choice(kinds or sorted(set(self._world.members) - {"river"}))
        return self._rng.choice(self._world.members[kind])

    def _asked(self, end: Thing, said: Sequence[str] = ()) -> Relation:
        """A fact to ask for, not one that is `said`: often one that an older edition tells otherwise."""
        free = [one for one in relations_of(end.kind) if one.to != "word" and one.name not in said]
        trap = [one for one in free if one.name in end.former]
        return self._rng.choice(trap if trap and self._rng.random() < 0.5 else free)

    def _ask_about(self, node: Node, kind: str, said: str = "") -> Form:
        """Which thing it is, or a fact of it that the node does not say."""
        if self._rng.random() < 0.4:
            return {"ask": "thing", "of": node}
        free = [one for one in relations_of(kind) if one.to != "word" and one.name not in (node["by"], said)]
        by = self._rng.choice(free)
        return {"ask": "value", "of": node, "by": by.name}

    def _measures(self, kind: str) -> list[Relation]:
        return [relation for relation in relations_of(kind) if relation.to in ("number", "year", "date")]

    def _measured(self, kind: str) -> Relation:
        return self._rng.choice(self._measures(kind))

    def _listing(self, least: int) -> tuple[Thing, Relation, list[Thing]]:
        """A thing whose page lists at least so many others."""
        relation = self._rng.choice(_LISTED)
        long = [one for one in self._world.lists.get(relation.name, ()) if len(one[1]) >= least]
        if not long:
            raise DeadEnd("no list is long enough")
        number, found = self._rng.choice(long)
        return self._world.things[number], relation, [self._world.things[one] for one in found]

    def _set(self, end: Thing, relation: Relation) -> Node:
        trail = self._trail(end, max(0, self._plan.depth - 1))
        return {"kind": relation.of, "where": [[relation.name, "=", trail]]}

    def _cut(self, found: list[Thing], by: Relation) -> list[object]:
        """A limit that some of them are beyond and some are not."""
        values = sorted({year_of(thing.facts[by.name]) for thing in found})
        if len(values) < 2:
            raise DeadEnd("all alike")
        limit = self._rng.choice(values[1:-1] or values)
        return [by.name, self._rng.choice("<>"), limit]

    def _trail(self, end: Thing, hops: int) -> Node:
        """A node for `end` that starts so many links away; nothing is met twice."""
        steps = self._back(end.number, hops, (end.number,))
        if steps is None:
            raise DeadEnd("nothing leads there")
        begin = self._world.things[steps[-1][1]] if steps else end
        node = self._start(begin, self._plan.veil, [by for by, _ in steps[-1:]])
        for by, _ in reversed(steps):
            node = {"of": node, "by": by}
        return node

    def _back(self, number: int, hops: int, met: tuple[int, ...]) -> list[tuple[str, int]] | None:
        """Links to walk back: (relation, number of the thing that has it), the nearest first."""
        if not hops:
            return []
        back = [one for one in self._world.pointers.get(number, ()) if one[1] not in met]
        for by, before in self._rng.sample(back, min(len(back), _BRANCHES)):
            steps = self._back(before, hops - 1, (*met, before))
            if steps is not None:
                return [(by, before), *steps]
        return None

    def _start(self, thing: Thing, veil: int, besides: Sequence[str] = ()) -> Node:
        """A node for a thing itself, which says none of the facts `besides`."""
        if veil < DESCRIBED:
            return {"is": thing.names[-1] if veil else thing.title, "kind": thing.kind}
        return self._described(thing, veil, besides)

    def _described(self, thing: Thing, veil: int, besides: Sequence[str]) -> Node:
        """Conditions that nothing else meets: a date or a word first, by which it can be searched for."""
        relations = [relation for relation in relations_of(thing.kind) if relation.name not in besides]
        self._rng.shuffle(relations)
        relations.sort(key=lambda one: {"date": 0, "year": 0, "word": 1, "number": 2}.get(one.to, 1 - 2 * (veil > 2)))
        conditions: list[list[object]] = []
        links = 0
        for relation in relations:
            if relation.links and links == (veil > DESCRIBED) + 1:
                continue
            links += relation.links
            conditions.append(self._condition(thing, relation, veil))
            node = {"kind": thing.kind, "where": conditions}
            if len(conditions) >= min(2, self._plan.breadth) and len(things(self._world, node)) == 1:
                return node
        raise DeadEnd("it cannot be told from others")

    def _condition(self, thing: Thing, relation: Relation, veil: int) -> list[object]:
        value = thing.facts[relation.name]
        if not relation.links:
            return [relation.name, "=", year_of(value) if relation.to == "date" else value]
        other = self._world.things[int(value)]
        try:
            return [relation.name, "=", self._start(other, DESCRIBED if veil > DESCRIBED else 1)]
        except Ambiguous:
            raise DeadEnd("a thing in the description is not unique") from None
