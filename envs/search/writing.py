"""The pages of a world: varied sentences for facts, lists, second names, remarks beside the point, and old editions.

A page never gives the same fact twice with different values, save as history that says so; a page of an older edition
says in its title and its first sentence that it is out of date.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from .corpus import Document
from .schema import ALIAS_SAID, NOUNS, RELATIONS, Relation, lists_of, relations_of
from .values import say_date, say_number, with_article
from .world import NOW, Thing, Value, World

OLD_TITLE = "{title} (edition of {year})"
OUTDATED = "This page is from the edition of {year} and is out of date; the page in force is {title}."
_LEADS = {
    "person": ("{t} is remembered in several towns", "{t} left few letters", "Little is told of the youth of {t}"),
    "town": ("{t} is a town", "{t} is an old market town", "{t} is a town of brick and slate"),
    "firm": ("{t} is a firm", "{t} is a firm of some standing", "{t} is an enterprise of long standing"),
    "school": ("{t} is a school", "{t} is a school of good repute", "{t} is a place of learning"),
    "bridge": ("{t} is a bridge", "{t} is a bridge of stone and iron", "{t} is a much painted bridge"),
    "work": ("{t} is a book", "{t} is a book in one volume", "{t} is a book that is hard to find"),
    "event": ("{t} was a public event", "{t} was an event of its day", "{t} is still talked of as an event"),
    "ship": ("{t} is a ship", "{t} is a ship with a single funnel", "{t} is a ship of the coastal trade"),
    "river": ("{t} is a river", "{t} is a slow river", "{t} is a river with a rocky bed"),
}
_REMARKS = {
    "person": (
        "A portrait in oils hangs in a private house", "The letters that survive are mostly about money",
        "Friends spoke of a quick temper and a warm heart", "The notebooks were lost in a flood of {y}",
        "A street was named in {y} and renamed a year later", "{s} never learned to swim",
    ),
    "town": (
        "The market is held on {d}", "The town hall burned down in {y}", "Its mustard is better than its wine",
        "A tram ran until {y}", "The old walls were pulled down in {y}", "Storks nest on the brewery",
    ),
    "firm": (
        "Its account books are kept in {n} volumes", "A strike in {y} lasted {n} days", "Its sign shows a green door",
        "The first steam engine was bought in {y}", "Customers are greeted by name", "It survived the panic of {y}",
    ),
    "school": (
        "Its library burned in {y}", "The bell is rung by the youngest student", "A telescope was given in {y}",
        "Its rowing club won {n} cups", "Meals are taken in silence", "The roof was renewed in {y}",
    ),
    "bridge": (
        "It was painted red in {y}", "A toll was taken until {y}", "Ice damaged a pillar in {y}",
        "Lovers fix padlocks to its railing", "Its lamps were lit by gas until {y}", "Anglers prefer its northern end",
    ),
    "work": (
        "A second printing of {y} corrects {n} errors", "Critics were divided", "A stage version failed in {y}",
        "The binding is usually green", "It was translated in {y}", "The last chapter is often left out",
    ),
    "event": (
        "It rained on {n} of the days", "A medal was struck", "Its pavilion was taken down in {y}",
        "A balloon got away and was found weeks later", "A pamphlet of {y} looks back on it", "Bands played daily",
    ),
    "ship": (
        "The boilers were replaced in {y}", "It ran aground in {y} without loss", "It carries {n} lifeboats",
        "The figurehead is a heron", "A parrot lived aboard until {y}", "The galley is famous for its soup",
    ),
    "river": (
        "It froze over in {y}", "The flood of {y} is marked on many walls", "Eels are caught in autumn",
        "Its water is brown after rain", "Barges were towed by horses until {y}", "It has {n} locks",
    ),
}  # fmt: skip
_HISTORY = {
    True: ("Until {y} the post was filled by {v}", "In {y} the post was still that of {v}"),
    False: ("A count of {y} had given {v}", "In {y} the figure stood at {v}"),
}
_SMALL = {"The", "A", "An", "Its", "It", "In", "Until", "At", "One", "Friends", "Critics", "Ice", "On", "Many", "This"}
_DAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays")


def pages(world: World) -> Iterator[Document]:
    """The page of every thing, and after it the page of its older edition where it has one."""
    rng = random.Random(f"pages/{world.seed}/{world.size}")
    for thing in world.things:
        writer = _Writer(world, thing, rng)
        yield writer.current()
        if thing.former:
            yield writer.outdated()


class _Writer:
    def __init__(self, world: World, thing: Thing, rng: random.Random) -> None:
        self._world, self._thing, self._rng = world, thing, rng

    def current(self) -> Document:
        thing, rng = self._thing, self._rng
        lead = rng.choice(_LEADS[thing.kind]).format(t=thing.title)
        said = [self._fact(relation, thing.facts[relation.name]) for relation in relations_of(thing.kind)]
        said += [self._list(relation) for relation in lists_of(thing.kind)]
        said += [self._sentence(rng.choice(ALIAS_SAID), alias) for alias in thing.aliases]
        said += [self._remark(text) for text in rng.sample(_REMARKS[thing.kind], rng.randint(1, 4))]
        for name, (value, year) in thing.former.items():
            relation = RELATIONS[name]
            said.append(rng.choice(_HISTORY[relation.links]).format(y=year, v=self._shown(relation, value)))
        rng.shuffle(said)
        if thing.former:
            said.append(f"This page was revised for the edition of {rng.randint(NOW - 6, NOW)}")
        return Document(thing.title, self._packed([lead, *filter(None, said)]))

    def outdated(self) -> Document:
        thing, rng = self._thing, self._rng
        title = OLD_TITLE.format(title=thing.title, year=thing.edition)
        warning = OUTDATED.format(year=thing.edition, title=thing.title)
        said = []
        for relation in relations_of(thing.kind):
            value = thing.former[relation.name][0] if relation.name in thing.former else thing.facts[relation.name]
            said.append(self._fact(relation, value))
        rng.shuffle(said)
        first, *rest = self._packed([rng.choice(_LEADS[thing.kind]).format(t=thing.title), *said])
        return Document(title, (f"{warning} {first}", *rest))

    def _fact(self, relation: Relation, value: Value) -> str:
        return self._sentence(self._rng.choice(relation.said), self._shown(relation, value))

    def _sentence(self, form: str, value: str) -> str:
        """Filled in, with the whole name, or shorter."""
        subject = self._thing.name
        if self._rng.random() < 0.6:
            subject = subject.split()[-1] if self._thing.kind == "person" else f"the {NOUNS[self._thing.kind]}"
        text = form.format(s=subject, v=value)
        return text[0].upper() + text[1:]

    def _list(self, relation: Relation) -> str:
        found = [self.mention(number) for number in self._world.inverse.get((relation.name, self._thing.number), [])]
        self._rng.shuffle(found)
        if not found:
            return ""
        told = found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and also {found[-1]}"
        return self._rng.choice(relation.listed).format(v=told)

    def _remark(self, text: str) -> str:
        rng = self._rng
        return text.format(s=self._thing.name, y=rng.randint(1790, 1955), n=rng.randint(2, 40), d=rng.choice(_DAYS))

    def _shown(self, relation: Relation, value: Value) -> str:
        if relation.links:
            assert isinstance(value, int)
            return self.mention(value)
        if relation.to == "date":
            return say_date(str(value), self._rng.randrange(3))
        if relation.to == "number":
            return say_number(int(value), self._rng.random() < 0.7)
        return with_article(str(value)) if relation.to == "word" else str(value)

    def mention(self, number: int) -> str:
        """A thing by its title or by its other name."""
        thing = self._world.things[number]
        return thing.aliases[0] if thing.aliases and self._rng.random() < 0.3 else thing.title

    def _packed(self, sentences: list[str]) -> tuple[str, ...]:
        """Passages of three or four sentences; now and then two are joined by a semicolon."""
        found = []
        at = 0
        while at < len(sentences):
            some = sentences[at : at + self._rng.choice((3, 4))]
            at += len(some)
            text = some[0]
            for sentence in some[1:]:
                text += f"; {_lowered(sentence)}" if self._rng.random() < 0.2 else f". {sentence}"
            found.append(f"{text}.")
        return tuple(found)


def _lowered(sentence: str) -> str:
    """As it goes on after a semicolon: names keep their capital."""
    first = sentence.split(" ", 1)[0]
    return sentence[0].lower() + sentence[1:] if first in _SMALL else sentence
