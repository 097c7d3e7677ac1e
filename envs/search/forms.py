"""Questions as logical forms, plain JSON, and their evaluation over a whole world.

A node stands for things:
    {"is": name, "kind": kind}                      the thing of this name
    {"kind": kind, "where": [[relation, op, x]]}    all things of a kind that meet every condition; x is a literal, or a
                                                    node whose things the value must be among; op is "=", "<" or ">",
                                                    dates and years compare by year
    {"of": node, "by": relation}                    the values of a relation that links things
    {"pick": "least" | "most", "from": node | [node, ...], "by": relation}

A form asks:
    {"ask": "thing", "of": node}                    which thing is it
    {"ask": "value", "of": node, "by": relation}    a fact of it
    {"ask": "count", "of": node}
    {"ask": "sum" | "mean", "of": node, "by": relation}
    {"ask": "gap", "of": [node, node], "by": relation}   years, or units, between two
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .schema import RELATIONS
from .world import Thing, Value, World, year_of

Node = dict[str, Any]
Form = dict[str, Any]
MANY = ("count", "sum", "mean")
"""What is asked of several things together."""


class Ambiguous(Exception):
    """Something that is said as if there were one of it is not unique, or is not there."""


def answers(world: World, form: Form) -> list[Value | float]:
    """Every answer that the form has in this world. Ambiguous where a thing in it is not the only one of its kind."""
    ask, by = form["ask"], form.get("by", "")
    if ask == "gap":
        first, second = (measure(one(world, node), by) for node in form["of"])
        return [abs(first - second)]
    if ask in MANY:
        found = things(world, form["of"])
        if ask == "count":
            return [len(found)]
        total = sum(measure(thing, by) for thing in found)
        return [total if ask == "sum" else total / len(found)] if found else []
    found = things(world, form["of"])
    if ask == "thing":
        return [thing.number for thing in found]
    return list(dict.fromkeys(thing.facts[by] for thing in found))


def one(world: World, node: Node) -> Thing:
    """The thing of a node. Ambiguous where there is not exactly one."""
    found = things(world, node)
    if len(found) != 1:
        raise Ambiguous(f"{len(found)} things")
    return found[0]


def things(world: World, node: Node) -> list[Thing]:
    """The things of a node in order; nodes inside it must be unique."""
    if "is" in node:
        return [world.find(node["is"])]
    if "pick" in node:
        among = node["from"]
        found = [one(world, each) for each in among] if isinstance(among, list) else things(world, among)
        return _extreme(found, node["by"], node["pick"] == "most")
    if "of" in node:
        target = one(world, node["of"]).facts[node["by"]]
        assert isinstance(target, int)
        return [world.things[target]]
    return _where(world, node)


def _where(world: World, node: Node) -> list[Thing]:
    conditions = []
    for relation, op, wanted in node["where"]:
        conditions.append((relation, op, one(world, wanted).number if isinstance(wanted, dict) else wanted))
    lists = [world.having.get((relation, wanted), []) for relation, op, wanted in conditions if op == "="]
    found = min(lists, key=len, default=world.members[node["kind"]])
    return [
        thing for thing in found if all(holds(thing.facts[name], name, op, wanted) for name, op, wanted in conditions)
    ]


def holds(value: Value, relation: str, op: str, wanted: Value) -> bool:
    """Whether a fact meets a condition: words and things are the same or not, the rest compares as numbers."""
    if isinstance(wanted, str) or RELATIONS[relation].links:
        return value == wanted
    number = year_of(value)
    return number == wanted if op == "=" else number < wanted if op == "<" else number > wanted


def _extreme(found: list[Thing], by: str, most: bool) -> list[Thing]:
    """All that share the first place: dates count by the day."""
    if len(found) < 2:
        return []
    best = (max if most else min)(thing.facts[by] for thing in found)
    return [thing for thing in found if thing.facts[by] == best]


def measure(thing: Thing, by: str) -> int:
    """A fact as a number: a date as its year."""
    return year_of(thing.facts[by])


def nodes(form: Form | Node) -> Iterator[Node]:
    """Every node in a form or node, itself not counted."""
    inner: list[Any] = []
    for name in ("of", "from"):
        value = form.get(name, [])
        inner += value if isinstance(value, list) else [value]
    inner += [wanted for _, _, wanted in form.get("where", []) if isinstance(wanted, dict)]
    for node in inner:
        yield node
        yield from nodes(node)


def names_in(form: Form) -> list[str]:
    """The names that a question of this form says."""
    return [node["is"] for node in nodes(form) if "is" in node]


def kind_of(node: Node) -> str:
    """The kind of thing that a node stands for."""
    if "kind" in node:
        return str(node["kind"])
    if "pick" in node:
        among = node["from"]
        return kind_of(among[0] if isinstance(among, list) else among)
    return RELATIONS[node["by"]].to
