"""Multi-hop search: questions over a generated encyclopaedia, read through search, open and find."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ...verifiers.checks import all_of, check
from ...verifiers.types import Verdict
from ..environment import Environment
from ..errors import ProposeFailed, ToolError
from ..tools import tool
from ..types import Answer, Cheat, Task, ToolCall, World
from . import corpus
from .forms import Ambiguous, Form
from .forms import answers as answers_of
from .library import Library, library
from .questions import PLANS, DeadEnd, Plan, draw
from .reading import CannotRead, Reader
from .second_opinion import judge_config, second_opinion
from .shallow import caught_by
from .values import LONGEST, same_answer
from .wording import Wording
from .world import World as Encyclopaedia
from .world import make_world
from .wrong import Target, target_of, wrong_answers

WORLDS = 16
"""Worlds that tasks are drawn from."""
SIZE = 20
WALKS = 80
"""Questions of a kind that are tried before another kind is."""
_ASKED = {
    "name": "Answer with the name.",
    "date": "Answer with the full date.",
    "year": "Answer with the year.",
    "number": "Answer with the number.",
}


class Search(Environment):
    """Answer a question by following facts from page to page of an encyclopaedia of an invented world.

    The level sets how many links lead to the answer, how many trails meet, and how little the question names. The world
    is drawn from WORLDS; a task only refers to it. With PALESTRA_SEARCH_CORPUS the pages stand among those of the
    corpus of that name, which must have been built with an encyclopaedia in it.
    """

    id = "search"
    version = "1"
    system = (
        "Answer from the encyclopaedia that your tools read; nothing in it is known elsewhere. Search with names, "
        "years and common words, open pages, and follow them one by one. A page may use another name of a thing, "
        "things may share a name, and pages of older editions say that they are out of date: the page in force "
        "counts. Give only the answer."
    )
    max_turns = 160
    levels = range(1, 11)

    _library: Library

    def propose(self, rng: random.Random, level: int) -> Task:
        seed = rng.getrandbits(48)
        draws = random.Random(f"search/{seed}/{level}")
        where = self._where(draws)
        world = make_world(where["seed"], where["size"])
        self._library = library(**where)
        failed: Counter[str] = Counter()
        kinds = PLANS[level].kinds
        for kind in [kind for kind in draws.sample(kinds, len(kinds)) for _ in range(WALKS)]:
            found = self._question(draws, world, PLANS[level], kind)
            if isinstance(found, str):
                failed[found] += 1
                continue
            form, question, target = found
            key = {"kind": kind, "form": form, "type": target.type, "unit": target.unit, "answers": target.accepted}
            prompt = f"{question} {_ASKED[target.type]}"
            return self.task(seed=seed, level=level, prompt=prompt, world=where, key=key)
        told = ", ".join(f"{count} {reason}" for reason, count in failed.most_common())
        raise ProposeFailed(f"none of {failed.total()} walks gave a question: {told}")

    @staticmethod
    def _where(rng: random.Random) -> dict[str, Any]:
        """The world a task is about, and the corpus its pages stand in."""
        named = os.environ.get("PALESTRA_SEARCH_CORPUS")
        if not named:
            return {"seed": rng.randrange(WORLDS), "size": SIZE}
        info = corpus.describe(named)
        about = info.recipe.get("encyclopaedia")
        if not about:
            raise corpus.CorpusError(
                f"corpus {named!r} holds no encyclopaedia to ask about: build it with --from encyclopaedia:SEED"
            )
        return {"seed": about["seed"], "size": about["size"], "corpus": info.digest}

    def _question(
        self, rng: random.Random, world: Encyclopaedia, plan: Plan, kind: str
    ) -> str | tuple[Form, str, Target]:
        """A question that holds, or what is wrong with the one that was drawn."""
        try:
            form = draw(rng, world, plan, kind)
            found = answers_of(world, form)
        except (DeadEnd, Ambiguous):
            return "dead ends"
        if len(found) != 1:
            return "not unique"
        target = target_of(world, form, found[0])
        if target is None:
            return "answers that cannot be told"
        question = Wording(rng).question(form)
        if target.said_in(question):
            return "answers in the question"
        caught = next(caught_by(world, self._library, question, form, target.accepted, target.type), None)
        if caught:
            return f"caught by {caught}"
        return (form, question, target) if self._readable(form, target) else "not found by reading"

    def _readable(self, form: Form, target: Target) -> bool:
        """Whether the tools lead to the answer."""
        try:
            said = Reader(_Quiet(self._library)).answer(form)
        except (CannotRead, ToolError):
            return False
        return same_answer(said, target.accepted, target.type, target.unit)

    def solve(self, task: Task, tools: Any) -> Answer:
        return Reader(tools).answer(task.key["form"])

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        key = task.key
        right = same_answer(answer, key["answers"], key["type"], key["unit"])
        opinion = None if right else second_opinion(task, answer, judge_config())
        if opinion is not None:
            return opinion
        detail = "matches" if right else f"{str(answer)[:80]!r} is not the {key['type']} asked for"
        return all_of([check("answer", right, detail)])

    def mutate(self, rng: random.Random, task: Task, answer: Answer) -> Answer:
        """What a reader gets who stops early, reads an old edition, or takes the wrong one of two alike."""
        return rng.choice(_wrong(rng, task))

    def secrets(self, task: Task, answer: Answer) -> Iterable[str]:
        """The answer in all its names; a short number is no secret, since it may stand for anything."""
        return [text for text in task.key["answers"] if len(text) > 3]

    def cheats(self, rng: random.Random, task: Task) -> Iterable[Cheat]:
        """Answers that name everything, that no check should take, and pages that are not there."""
        right, wrong = task.key["answers"][0], _wrong(rng, task)
        everything = [*wrong, right]
        yield Cheat(name="name_everything", answer=", ".join(everything))
        yield Cheat(name="either_or", answer=f"{wrong[0]} or {right}")
        yield Cheat(name="list_of_answers", answer=everything)
        yield Cheat(name="pattern", answer=".*")
        yield Cheat(name="long_answer", answer=f"{right} " * LONGEST)
        peek = ToolCall(name="open", arguments={"page": "../corpus.json"})
        yield Cheat(name="open_files", calls=(peek,), answer=str(wrong[-1]))

    def start(self, task: Task) -> None:
        super().start(task)
        self._library = library(**task.world)

    @tool
    def search(self, query: str, top_k: int = 5) -> list[dict[str, str]]:
        """Find pages: titles, each with the stretch of the page that fits the query best. top_k: 1 to 20."""
        return self._library.search(query, top_k)

    @tool
    def open(self, page: str, offset: int = 0) -> dict[str, Any]:
        """Read a page by its title. Long pages come in parts: pass next_offset as offset to read on."""
        return self._library.open(page, offset)

    @tool
    def find_in_page(self, page: str, text: str) -> list[dict[str, Any]]:
        """The places in a page that hold a text, with their offsets."""
        return self._library.find(page, text)


def _wrong(rng: random.Random, task: Task) -> list[str]:
    world = make_world(task.world["seed"], task.world["size"])
    target = Target(task.key["type"], task.key["answers"], task.key["unit"])
    return wrong_answers(rng, world, task.key["form"], target)


class _Quiet:
    """A library for a reader whose thoughts nobody hears."""

    def __init__(self, pages: Library) -> None:
        self.search, self.open = pages.search, pages.open

    def think(self, text: str) -> None:
        """Not kept."""
