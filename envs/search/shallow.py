"""Strategies that do not follow the trail. A question that one of them answers is not asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from ...verifiers.answers import normalise
from ..errors import ToolError
from .forms import Form, Node, kind_of, names_in
from .library import Library
from .schema import RELATIONS, lists_of, relations_of
from .values import same_answer, tells
from .world import Thing, Value, World

PASSAGES = 3
"""The best passages for the question; everything they mention counts as tried."""


def caught_by(
    world: World, library: Library, question: str, form: Form, accepted: list[str], kind: str
) -> Iterator[str]:
    """The strategies that hit on the answer, which is one of `accepted` and a name, date, year or number (`kind`)."""
    read = {
        "one-query": library.passages(question, PASSAGES),
        "named-page": [_whole(library, world.find(name).title) for name in names_in(form)],
    }
    for name, texts in read.items():
        if any(tells(text, accepted, kind) for text in texts):
            yield name
    titles, last = greedy(world, library, question, depth(form))
    if any(same_answer(title, accepted, kind) for title in titles) or (kind != "name" and tells(last, accepted, kind)):
        yield "greedy"
    for name, guesses in (("popularity", popular(world, form)), ("closed-book", frequent(world, form))):
        if any(same_answer(guess, accepted, kind) for guess in guesses):
            yield name


def depth(form: Form | Node) -> int:
    """The longest chain of nodes below a form."""
    inner: list[Any] = []
    for name in ("of", "from"):
        value = form.get(name, [])
        inner += value if isinstance(value, list) else [value]
    inner += [wanted for _, _, wanted in form.get("where", []) if isinstance(wanted, dict)]
    return 1 + max(map(depth, inner), default=0)


def greedy(world: World, library: Library, question: str, hops: int) -> tuple[list[str], str]:
    """Open the first hit for the question and follow the first link of each page: the titles met, the last text."""
    found = library.search(question, 1)
    title = found[0]["title"] if found else ""
    titles, text = [], ""
    for _ in range(hops + 1):
        thing = world.lookup.get(normalise(title))
        if thing is None:
            break
        titles.append(title)
        text = _whole(library, title)
        title = _first_link(world, world.things[thing], text, titles)
    return titles, text


def _first_link(world: World, thing: Thing, text: str, besides: list[str]) -> str:
    numbers = [thing.facts[relation.name] for relation in relations_of(thing.kind) if relation.links]
    numbers += [
        one for relation in lists_of(thing.kind) for one in world.inverse.get((relation.name, thing.number), [])
    ]
    places = []
    for number in numbers:
        other = world.things[int(number)]
        met = [text.find(name) for name in other.names if name in text]
        if met and other.title not in besides:
            places.append((min(met), other.title))
    return min(places, default=(0, ""))[1]


def popular(world: World, form: Form) -> list[str]:
    """The most linked thing of the answer's kind, or the fact of the most linked thing that could be asked of."""
    kind, by = _asked(form)
    best = max(world.members[kind], key=lambda thing: (len(world.pointers.get(thing.number, ())), -thing.number))
    if form["ask"] == "thing":
        return best.names
    return _shown(world, by, best.facts[by]) if by else []


def frequent(world: World, form: Form) -> list[str]:
    """The most frequent answer to questions of this kind, the first of equals."""
    kind, by = _asked(form)
    if form["ask"] == "count":
        relation = form["of"]["where"][0][0]
        whole = [found for _, found in world.lists.get(relation, ())]
        return [str(Counter(map(len, whole)).most_common(1)[0][0])]
    if form["ask"] == "thing":
        return []
    value = Counter(thing.facts[by] for thing in world.members[kind]).most_common(1)[0][0]
    return _shown(world, by, value)


def _asked(form: Form) -> tuple[str, str]:
    """The kind of thing that is asked about, and the relation that is asked for."""
    node = form["of"][0] if form["ask"] == "gap" else form["of"]
    return kind_of(node), form.get("by", "")


def _shown(world: World, by: str, value: Value) -> list[str]:
    return world.things[int(value)].names if RELATIONS[by].links else [str(value)]


def _whole(library: Library, title: str) -> str:
    try:
        view = library.open(title)
        text = str(view["text"])
        while view["next_offset"] is not None:
            view = library.open(title, view["next_offset"])
            text += f"\n\n{view['text']}"
    except ToolError:  # a page that is not in the corpus tells nothing
        return ""
    return text
