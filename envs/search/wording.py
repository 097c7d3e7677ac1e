"""A logical form in words. What would nest too deep gets a letter and a sentence of its own."""

from __future__ import annotations

import random
from string import ascii_uppercase
from typing import Any

from .forms import Form, Node, kind_of
from .schema import NOUNS, RELATIONS
from .values import say_number, with_article

_OF_MANY = {
    "river": "the towns on {}",
    "seat": "the firms with their seat in {}",
    "campus": "the schools of {}",
    "crossing": "the bridges of {}",
    "author": "the books by {}",
    "venue": "the events that took place in {}",
    "yard": "the ships built by {}",
}
_EXTREMES = {
    "born": ("the eldest", "the youngest"),
    "charter": ("the earliest founded", "the most recently founded"),
    "established": ("the earliest established", "the most recently established"),
    "instituted": ("the oldest", "the youngest"),
    "opened": ("the first opened", "the last opened"),
    "published": ("the first published", "the last published"),
    "held": ("the earliest", "the latest"),
    "launched": ("the first launched", "the last launched"),
    "population": ("the least populous", "the most populous"),
    "staff": ("the one with the fewest employees", "the one with the most employees"),
    "students": ("the one with the fewest students", "the one with the most students"),
    "span": ("the shortest", "the longest"),
    "pages": ("the one with the fewest pages", "the one with the most pages"),
    "visitors": ("the one with the fewest visitors", "the one with the most visitors"),
    "tonnage": ("the one with the least tonnage", "the one with the greatest tonnage"),
    "course": ("the shortest", "the longest"),
}
_MEASURES = {
    "population": "number of inhabitants",
    "staff": "number of employees",
    "students": "number of students",
    "span": "length in metres",
    "pages": "number of pages",
    "visitors": "number of visitors",
    "tonnage": "tonnage",
}
_STARTS = ("Begin with {}.", "Start from {}.", "Think of {}.", "Consider {}.", "Take {}.", "The trail starts at {}.")
_STEPS = ("From there go to {}.", "Then find {}.", "Next comes {}.", "Look up {}.", "It leads to {}.", "Go on to {}.")
_CALLS = (
    "{label} is {phrase}.",
    "Let {label} be {phrase}.",
    "Call {phrase} {label}.",
    "{label}: {phrase}.",
    "Write {label} for {phrase}.",
    "Find {phrase}: that is {label}.",
)
_NAMED = ("What is the name of {}?", "Give the name of {}.", "Name {}.", "What is {} called?")
_COUNTED = ("What is the number of {}?", "Count {}: how many are there?")
_SHORT = 40
"""Characters of a subject that may stand amid its question."""
_INLINE = 2
"""Links in a row that one phrase may hold."""


class Wording:
    """Says one form; `rng` chooses among phrases."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._said: list[str] = []
        self._letters = iter(ascii_uppercase)
        self._call = rng.choice(_CALLS)

    def question(self, form: Form) -> str:
        """One or several sentences, the last of which asks."""
        asked = self._asked(form)
        asked = asked[0].upper() + asked[1:]
        return " ".join([*self._said, asked])

    def _asked(self, form: Form) -> str:
        ask, by = form["ask"], form.get("by", "")
        if ask == "thing":
            return self._rng.choice(_NAMED).format(self._phrase(form["of"]))
        if ask == "value":
            return self._ask_for(by, form["of"])
        if ask == "gap":
            first, second = (RELATIONS[by].noun.format(self._say(node)) for node in form["of"])
            return f"how many years lie between {first} and {second}?"
        several = self._several(form["of"])
        if ask == "count":
            return self._rng.choice(_COUNTED).format(several)
        if ask == "sum":
            return f"what is the total {_MEASURES[by]} of {several}?"
        return f"what is the average {_MEASURES[by]} of {several}, exactly?"

    def _ask_for(self, by: str, node: Node) -> str:
        """A long subject stands at the end of its question, or gets a letter."""
        subject = self._subject(node)
        asks = [ask for ask in RELATIONS[by].ask if len(subject) < _SHORT or ask.endswith("{}?")]
        return self._rng.choice(asks).format(subject)

    def _subject(self, node: Node) -> str:
        """What a question is about: at the end of a chain the sentences before it lead there step by step."""
        chain, inner = _chain(node)
        if len(chain) < _INLINE or not _plain(inner):
            return self._say(node)
        self._said.append(self._rng.choice(_STARTS).format(self._phrase(inner)))
        kind = kind_of(inner)
        for by in chain:
            step = RELATIONS[by].noun.format(f"this {NOUNS[kind]}")
            self._said.append(self._rng.choice(_STEPS).format(step))
            kind = RELATIONS[by].to
        return f"this {NOUNS[kind]}"

    def _say(self, node: Node) -> str:
        """A short phrase for a thing: as it stands where it is plain, else a letter that a sentence explains."""
        chain, inner = _chain(node)
        ends = all(RELATIONS[by].noun.endswith("{}") for by in chain)
        if "is" in inner:
            inline = len(chain) < _INLINE or (ends and len(chain) == _INLINE)
        else:
            inline = _plain(inner) and ends and len(chain) < _INLINE
        return self._phrase(node) if inline else self._label(node)

    def _phrase(self, node: Node) -> str:
        """A noun phrase, whatever its length."""
        if "is" in node:
            return f"the river {node['is']}" if node["kind"] == "river" else str(node["is"])
        if "pick" in node:
            extreme, among = _EXTREMES[node["by"]][node["pick"] == "most"], node["from"]
            if isinstance(among, list):
                *some, last = (self._say(each) for each in among)
                return f"{extreme} of {', '.join(some)} and {last}"
            return f"{extreme} of {self._several(among)}"
        if "of" in node:
            noun, whose = RELATIONS[node["by"]].noun, node["of"]
            amid = not noun.endswith("{}") and "where" in whose
            return noun.format(self._label(whose) if amid else self._say(whose))
        noun = next((wanted for name, _, wanted in node["where"] if name == "profession"), NOUNS[node["kind"]])
        return f"the {noun}{self._clauses([each for each in node['where'] if each[0] != 'profession'])}"

    def _several(self, node: Node) -> str:
        (relation, _, whose), *conditions = node["where"]
        return _OF_MANY[relation].format(self._subject(whose)) + self._clauses(conditions)

    def _clauses(self, conditions: list[list[Any]]) -> str:
        """Participles first, then what begins with a relative pronoun: `built by A whose captain is B`."""
        said = [self._clause(*condition) for condition in conditions]
        relative = [text for text in said if text.startswith(("who", "that "))]
        groups = [[text for text in said if text not in relative], relative]
        return "".join(f" {_joined(group)}" for group in groups if group)

    def _clause(self, relation: str, op: str, wanted: Any) -> str:
        known = RELATIONS[relation]
        if isinstance(wanted, dict):
            chain, inner = _chain(wanted)
            phrase = self._say(wanted) if "is" in inner and len(chain) < _INLINE else self._label(wanted)
            return known.clause.format(phrase)
        if known.to in ("year", "date"):
            return known.clause.format(f"{dict(zip('=<>', ('in', 'before', 'after'), strict=True))[op]} {wanted}")
        if known.to == "word":
            return known.clause.format(with_article(str(wanted)))
        than = {"=": "", "<": "less than ", ">": "more than "}[op]
        return known.clause.format(than + say_number(int(wanted)))

    def _label(self, node: Node) -> str:
        """A letter for a thing, explained by a sentence."""
        phrase = self._phrase(node)
        label = f"{NOUNS[kind_of(node)]} {next(self._letters)}"
        sentence = self._call.format(label=label, phrase=phrase)
        self._said.append(sentence[0].upper() + sentence[1:])
        return label


def _joined(texts: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))


def _chain(node: Node) -> tuple[list[str], Node]:
    """The links from the thing that a node starts at, in order, and that thing."""
    steps: list[str] = []
    while "of" in node:
        steps.insert(0, node["by"])
        node = node["of"]
    return steps, node


def _plain(node: Node) -> bool:
    """True for a name, and for conditions that name no other thing but by its name."""
    if "is" in node:
        return True
    return "kind" in node and all(not isinstance(wanted, dict) or "is" in wanted for _, _, wanted in node["where"])
