"""What counts as the answer, and what a reader might mistake for it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from .forms import MANY, Ambiguous, Form, kind_of, measure, nodes, things
from .schema import RELATIONS, relations_of
from .values import same_answer, say_date, say_number, tells
from .world import Thing, Value, World, year_of

WRONG = 10
"""Wrong answers there are for a task."""
LONGEST_NAME = 23
"""Characters of a name that is asked for: a longer one is tedious to type and found by accident."""


@dataclass(frozen=True)
class Target:
    """`accepted` are the ways to say the answer, the best first; `type` is name, date, year or number."""

    type: str
    accepted: list[str]
    unit: str = ""

    def said_in(self, text: str) -> bool:
        """Whether a text gives the answer away. Of numbers only long ones do."""
        if self.type == "number" and len(self.accepted[0]) < 3:
            return False
        return tells(text, self.accepted, self.type)

    def matches(self, answer: str) -> bool:
        """Whether this is the answer."""
        return same_answer(answer, self.accepted, self.type, self.unit)


def target_of(world: World, form: Form, answer: Value | float) -> Target | None:
    """The answer of a form as one may say it; None where a name would not tell it from another thing, or a number is
    not exact or says nothing.
    """
    ask, by = form["ask"], form.get("by", "")
    if ask in ("gap", *MANY):
        if float(answer) < 2 or not (float(answer) * 10).is_integer():
            return None
        unit = "years" if ask == "gap" else RELATIONS[by].unit if by else ""
        return Target("number", [say_number(float(answer), commas=False)], unit)
    if ask == "value" and not RELATIONS[by].links:
        relation = RELATIONS[by]
        shown = say_date(str(answer)) if relation.to == "date" else str(answer)
        return Target(relation.to, [shown], relation.unit)
    thing = world.things[int(answer)]
    return None if thing.ambiguous or len(thing.title) > LONGEST_NAME else Target("name", thing.names)


def wrong_answers(rng: random.Random, world: World, form: Form, target: Target) -> list[str]:
    """At least WRONG different answers that are wrong: near misses first."""
    found: list[str] = []
    for text in _candidates(rng, world, form, target):
        if text not in found and not target.matches(text):
            found.append(text)
        if len(found) == WRONG:
            break
    return found


def _candidates(rng: random.Random, world: World, form: Form, target: Target) -> Iterator[str]:
    ask, by = form["ask"], form.get("by", "")
    met = [thing for node in nodes(form) for thing in _things(world, node)]
    if ask in ("gap", *MANY):
        number = float(target.accepted[0])
        if by:
            yield from (str(measure(thing, by)) for thing in met if by in thing.facts)
        for share in (1, 2, 3, 10, 25, 100):
            yield from (say_number(abs(number + step), commas=False) for step in (share, -share))
        yield from (say_number(number * 2 + step, commas=False) for step in range(WRONG))
        return
    kind = kind_of(form["of"])
    ends = _things(world, form["of"])
    if ask == "value":
        yield from (_shown(world, by, thing.former[by][0]) for thing in ends if by in thing.former)
        twins = [other for thing in ends for other in world.members[kind] if other.name == thing.name]
        others = [thing for thing in met if by in thing.facts] + twins
        yield from (_shown(world, by, thing.facts[by]) for thing in others)
        yield from _near(rng, world, by, ends)
        if not RELATIONS[by].links:
            yield from (_shown(world, by, thing.facts[by]) for thing in rng.sample(world.members[kind], 4 * WRONG))
            return
        kind = RELATIONS[by].to
    yield from (thing.title for thing in met if thing.kind == kind)
    yield from (thing.title for thing in rng.sample(world.members[kind], 4 * WRONG))


def _near(rng: random.Random, world: World, by: str, ends: list[Thing]) -> Iterator[str]:
    """Other facts of the same thing that could be taken for the one asked for."""
    wanted = RELATIONS[by]
    for thing in ends:
        for relation in relations_of(thing.kind):
            if relation.name != by and relation.to == wanted.to:
                yield _shown(world, relation.name, thing.facts[relation.name])
        if wanted.to in ("year", "number"):
            yield str(year_of(thing.facts[by]) + rng.choice((-10, -1, 1, 10)))


def _things(world: World, node: object) -> list[Thing]:
    try:
        return things(world, node)  # type: ignore[arg-type]
    except Ambiguous:
        return []


def _shown(world: World, by: str, value: Value) -> str:
    relation = RELATIONS[by]
    if relation.links:
        return world.things[int(value)].title
    return say_date(str(value)) if relation.to == "date" else str(value)
