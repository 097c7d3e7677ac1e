"""A generated encyclopaedia: people, firms and towns, the facts between them, and the passages that tell them."""

from __future__ import annotations

import random
from dataclasses import dataclass

from ..names import Names

RELATIONS: dict[str, dict[str, str]] = {
    "person": {"mentor": "person", "spouse": "person", "employer": "firm", "home": "town"},
    "firm": {"founder": "person", "seat": "town", "rival": "firm"},
    "town": {"mayor": "person", "twin": "town", "patron": "firm"},
}
"""kind -> relation -> kind of the value."""


@dataclass(frozen=True)
class Graph:
    """`kinds` maps an entity to its kind, `facts` maps (entity, relation) to an entity."""

    kinds: dict[str, str]
    facts: dict[tuple[str, str], str]

    def follow(self, start: str, relations: list[str]) -> list[str]:
        """The entities a walk passes, `start` first."""
        path = [start]
        for relation in relations:
            path.append(self.facts[path[-1], relation])
        return path


def make_graph(rng: random.Random, size: int) -> Graph:
    """`size` entities of each kind; each has a value for every relation of its kind, never itself."""
    names = Names(rng)
    members = {kind: [names.draw() for _ in range(size)] for kind in RELATIONS}
    facts = {
        (entity, relation): rng.choice([other for other in members[value] if other != entity])
        for kind, entities in members.items()
        for entity in entities
        for relation, value in RELATIONS[kind].items()
    }
    return Graph({entity: kind for kind, entities in members.items() for entity in entities}, facts)


def walk(rng: random.Random, graph: Graph, hops: int) -> tuple[str, list[str]]:
    """A start and `hops` relations whose path visits no entity twice."""
    while True:
        start = rng.choice(sorted(graph.kinds))
        at, relations, seen = start, [], {start}
        for _ in range(hops):
            relation = rng.choice(sorted(RELATIONS[graph.kinds[at]]))
            at = graph.facts[at, relation]
            if at in seen:
                break
            relations.append(relation)
            seen.add(at)
        if len(relations) == hops:
            return start, relations


def make_pages(rng: random.Random, graph: Graph) -> dict[str, list[str]]:
    """One page per entity: a sentence per fact, in random order, after a sentence that says what it is."""
    pages: dict[str, list[str]] = {entity: [f"{entity} is a {kind}."] for entity, kind in graph.kinds.items()}
    facts = sorted(graph.facts.items())
    rng.shuffle(facts)
    for (entity, relation), value in facts:
        pages[entity].append(f"The {relation} of {entity} is {value}.")
    return pages
