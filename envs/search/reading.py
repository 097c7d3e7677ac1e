"""A reader that works a logical form out through search and open alone, from the sentences of the pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Any

from ...verifiers.answers import normalise
from ..errors import EnvError
from .forms import MANY, Form, Node, holds
from .schema import ALIAS_SAID, NOUNS, RELATIONS, Relation
from .values import read_date, read_number, say_number
from .world import Value, year_of

_SEARCHED, _CANDIDATES = 6, 20
_OLD_TITLE = re.compile(r"(.+) \(edition of \d+\)")
_OUTDATED = re.compile(r"is from the edition of \d+ and is out of date; the page in force is ([^.;]+)\.")


class CannotRead(EnvError):
    """The pages that were found do not tell what was looked for."""


@dataclass(frozen=True)
class Read:
    """A page in force: its title, its text, and the names it gives itself."""

    title: str
    text: str

    @cached_property
    def names(self) -> list[str]:
        """Title first."""
        return [self.title, *(match for match in _captured(_aliases(), self.text))]


class Reader:
    """`tools` has `search`, `open` and `think`. Pages are read once."""

    def __init__(self, tools: Any) -> None:
        self._tools = tools
        self._read: dict[str, Read] = {}
        self._known: dict[str, Read] = {}
        self._thoughts: list[str] = []

    def answer(self, form: Form) -> str:
        """The answer as text. CannotRead where the pages do not lead to one."""
        said = self._worked_out(form)
        self._tools.think(" ".join(self._thoughts))
        return said

    def _think(self, text: str) -> None:
        """Thoughts gather until the next call."""
        self._thoughts.append(text)

    def _search(self, query: str, top_k: int) -> list[dict[str, str]]:
        self._tools.think(" ".join(self._thoughts))
        self._thoughts.clear()
        found: list[dict[str, str]] = self._tools.search(query=query, top_k=top_k)
        return found

    def _open(self, **arguments: Any) -> dict[str, Any]:
        self._tools.think(" ".join(self._thoughts))
        self._thoughts.clear()
        view: dict[str, Any] = self._tools.open(**arguments)
        return view

    def _worked_out(self, form: Form) -> str:
        ask, by = form["ask"], form.get("by", "")
        if ask == "gap":
            first, second = (self._measure(self.one(node), by) for node in form["of"])
            self._think(f"The two are {first} and {second}: {abs(first - second)} apart.")
            return str(abs(first - second))
        if ask in MANY:
            return self._total(ask, self.several(form["of"]), by)
        found = self.one(form["of"])
        if ask == "thing":
            self._think(f"It is {found.title}.")
            return found.title
        relation = RELATIONS[by]
        value = self.fact(found, relation)
        self._think(f"{found.title}: {_about(relation)} is {value}.")
        return value

    def _total(self, ask: str, found: list[Read], by: str) -> str:
        if ask == "count":
            self._think(f"There are {len(found)}: {', '.join(page.title for page in found) or 'none'}.")
            return str(len(found))
        numbers = [self._measure(page, by) for page in found]
        total = sum(numbers)
        worked = f"{' + '.join(map(str, numbers))} = {total}"
        mean = say_number(total / len(numbers), commas=False)
        self._think(f"{worked}." if ask == "sum" else f"{worked}, divided by {len(numbers)} is {mean}.")
        return str(total) if ask == "sum" else mean

    def one(self, node: Node) -> Read:
        """The page of the thing that a node stands for."""
        if "is" in node:
            return self.find(node["is"])
        if "pick" in node:
            return self._pick(node)
        if "of" in node:
            holder = self.one(node["of"])
            name = self.fact(holder, RELATIONS[node["by"]])
            self._think(f"{holder.title}: {_about(RELATIONS[node['by']])} is {name}. I read on there.")
            return self.find(name)
        return self.several(node, only=1)[0]

    def _pick(self, node: Node) -> Read:
        among = node["from"]
        found = [self.one(each) for each in among] if isinstance(among, list) else self.several(among)
        values = [self._ordered(page, node["by"]) for page in found]
        if not found:
            raise CannotRead("nothing to choose from")
        best = (max if node["pick"] == "most" else min)(values)
        chosen = found[values.index(best)]
        told = ", ".join(f"{page.title} {value}" for page, value in zip(found, values, strict=True))
        self._think(f"Compare: {told}. So it is {chosen.title}.")
        return chosen

    def several(self, node: Node, only: int = 0) -> list[Read]:
        """The pages of the things that meet every condition of a node: from a list where there is one, else by search.
        With `only`, the search ends when so many were found.
        """
        inner = {at: self.one(each[2]) for at, each in enumerate(node["where"]) if isinstance(each[2], dict)}
        for at, page in inner.items():
            relation = RELATIONS[node["where"][at][0]]
            if relation.plural:
                found = [self.find(name) for name in self._listed(page, relation)]
                return [each for each in found if self._meets(each, node, inner)]
        found = []
        for title in self._candidates(node, inner):
            page = self.page(title)
            if page not in found and self._meets(page, node, inner):
                found.append(page)
            if only and len(found) == only:
                return found
        if only:
            raise CannotRead(f"no {NOUNS[node['kind']]} that fits was found")
        return found

    def _candidates(self, node: Node, inner: dict[int, Read]) -> list[str]:
        """Titles found by one search for each condition: those first that most searches found."""
        noun = NOUNS[node["kind"]]
        self._think(f"I look for the {noun} by one condition after the other and see what comes up for most.")
        ranks: dict[str, list[int]] = {}
        for at, (relation, _, wanted) in enumerate(node["where"]):
            clue = " ".join(RELATIONS[relation].clause.replace("{}", "").split()[-2:])
            about = f"{' '.join(inner[at].names)} {clue}" if at in inner else f"{clue} {wanted}"
            for rank, hit in enumerate(self._search(about, _CANDIDATES)):
                outdated = _OLD_TITLE.fullmatch(hit["title"])
                ranks.setdefault(outdated[1] if outdated else hit["title"], []).append(rank)
        return sorted(ranks, key=lambda title: (-len(ranks[title]), sum(ranks[title])))[:_CANDIDATES]

    def _meets(self, page: Read, node: Node, inner: dict[int, Read]) -> bool:
        for at, (name, op, wanted) in enumerate(node["where"]):
            relation = RELATIONS[name]
            told = self.told(page, relation)
            if told is None:
                return False
            if at in inner:
                if normalise(told) not in {normalise(one) for one in inner[at].names}:
                    return False
            elif not holds(_value(relation, told), name, op, wanted):
                return False
        return True

    def find(self, name: str) -> Read:
        """The page of a thing by one of its names."""
        plain = normalise(name)
        if plain in self._known:
            return self._known[plain]
        self._think(f"I search for {name}.")
        hits = self._search(name, _SEARCHED)
        same = [hit["title"] for hit in hits if normalise(hit["title"]) == plain]
        near = [hit for hit in hits if name.casefold() in hit["snippet"].casefold()]
        told = [hit["title"] for hit in near if plain in map(normalise, _captured(_aliases(), f"{hit['snippet']}."))]
        for title in dict.fromkeys((*same, *told, *(hit["title"] for hit in hits))):
            page = self.page(title)
            if plain in map(normalise, page.names):
                self._known[plain] = page
                return page
        raise CannotRead(f"no page calls itself {name}")

    def page(self, title: str) -> Read:
        """A page; in place of one that is out of date, the one in force."""
        if title in self._read:
            return self._read[title]
        self._think(f"I open {title}.")
        view = self._open(page=title)
        text = view["text"]
        while view["next_offset"] is not None:
            view = self._open(page=title, offset=view["next_offset"])
            text += "\n\n" + view["text"]
        outdated = _OUTDATED.search(text)
        if outdated:
            self._think(f"That page is out of date; the one in force is {outdated[1]}.")
            found = self.page(outdated[1])
        else:
            found = Read(view["title"], text)
        self._read[title] = found
        return found

    def told(self, page: Read, relation: Relation) -> str | None:
        """What a page says of a relation."""
        return next(iter(_captured(_pattern(relation.name), page.text)), None)

    def fact(self, page: Read, relation: Relation) -> str:
        """What a page says of a relation. CannotRead where it says nothing."""
        value = self.told(page, relation)
        if value is None:
            raise CannotRead(f"{page.title} does not tell {_about(relation)}")
        return value

    def _listed(self, page: Read, relation: Relation) -> list[str]:
        found = next(iter(_captured(_list_pattern(relation.name), page.text)), "")
        names = [name for name in re.split(r", | and also ", found) if name]
        self._think(f"{page.title} lists the {relation.plural}: {', '.join(names) or 'none'}.")
        return names

    def _measure(self, page: Read, by: str) -> int:
        value = _value(RELATIONS[by], self.fact(page, RELATIONS[by]))
        return year_of(value)

    def _ordered(self, page: Read, by: str) -> Value:
        return _value(RELATIONS[by], self.fact(page, RELATIONS[by]))


def _about(relation: Relation) -> str:
    """The relation's noun without its bearer: `the mayor`, `the school at which this person studied`."""
    return relation.noun.replace(" of {}", "").replace("{}", f"this {NOUNS[relation.of]}")


def _value(relation: Relation, told: str) -> Value:
    if relation.to == "date":
        return read_date(told) or ""
    if relation.to == "word":
        return told.split(" ", 1)[-1]
    number = read_number(told)
    if number is None:
        raise CannotRead(f"{told!r} is no number")
    return int(number)


@lru_cache(maxsize=1 << 14)  # the tasks of a world meet on the same pages
def _captured(pattern: re.Pattern[str], text: str) -> tuple[str, ...]:
    return tuple(next(value for value in match.groups() if value) for match in pattern.finditer(text))


@cache
def _pattern(relation: str) -> re.Pattern[str]:
    return _compiled(RELATIONS[relation].said)


@cache
def _list_pattern(relation: str) -> re.Pattern[str]:
    return _compiled(RELATIONS[relation].listed)


@cache
def _aliases() -> re.Pattern[str]:
    return _compiled(ALIAS_SAID)


def _compiled(forms: tuple[str, ...]) -> re.Pattern[str]:
    """Any of the sentences; one group per form holds the value."""
    said = (re.escape(form).replace(r"\{s\}", "[^.;\n]{1,120}?").replace(r"\{v\}", "([^.;\n]+?)") for form in forms)
    return re.compile(rf"(?:(?<=^)|(?<=[.;]\s)|(?<=\n))(?:{'|'.join(said)})(?=[.;])", re.IGNORECASE)
