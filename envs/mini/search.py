"""Multi-hop search: a corpus with distractors, a search and an open tool, and questions no single query answers."""

from __future__ import annotations

import random
from typing import Any

from ...verifiers.answers import exact_match
from ...verifiers.checks import all_of
from ...verifiers.types import Verdict
from ..environment import Environment
from ..errors import ToolError
from ..tools import tool
from ..types import Answer, Task, World
from .graph import make_graph, make_pages, walk
from .index import Index


class SearchMini(Environment):
    """Answer a question by following facts through an encyclopaedia of invented people, firms and towns.

    The level is the number of hops. Every passage that is not on the path is a distractor: the same relation of
    another entity, or another relation of the same entity.
    """

    id = "search-mini"
    version = "1"
    system = "Answer with a name. Search first."
    levels = range(1, 5)

    def propose(self, rng: random.Random, level: int) -> Task:
        seed = rng.getrandbits(32)
        draw = random.Random(seed)
        graph = make_graph(draw, size=6 + 2 * level)
        start, relations = walk(draw, graph, level)
        path = graph.follow(start, relations)
        chain = " of ".join(f"the {relation}" for relation in reversed(relations))
        prompt = f"Who or what is {chain} of {start}?"
        pages = make_pages(draw, graph)
        return self.task(
            seed=seed, level=level, prompt=prompt, world={"pages": pages}, key={"relations": relations, "path": path}
        )

    def solve(self, task: Task, tools: Any) -> Answer:
        at: str = task.key["path"][0]
        for relation in task.key["relations"]:
            tools.think(f"Find the {relation} of {at}.")
            hit = tools.search(query=f"{relation} of {at}")
            at = hit.rstrip(".").split(" is ")[-1]
        tools.think(f"It is {at}.")
        return at

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([exact_match("answer", answer, [task.key["path"][-1]])])

    def mutate(self, rng: random.Random, task: Task, answer: Answer) -> Answer:
        """An entity met on the way (stopped a hop early), or another entity of the corpus."""
        path, pages = task.key["path"], task.world["pages"]
        wrong = rng.choice(path[:-1]) if rng.random() < 0.3 else rng.choice(sorted(pages))
        return wrong if wrong != path[-1] else path[0]

    def start(self, task: Task) -> None:
        self.world = task.world
        self._passages: list[str] = [sentence for page in task.world["pages"].values() for sentence in page]
        self._index = Index(
            [f"{title}: {sentence}" for title, page in task.world["pages"].items() for sentence in page]
        )

    @tool
    def search(self, query: str) -> str:
        """The passage of the corpus that fits the query best."""
        hits = self._index.search(query, k=1)
        if not hits:
            raise ToolError("no passage shares a word with the query")
        return self._passages[hits[0]]

    @tool
    def open(self, page: str) -> str:
        """Read the whole page about an entity."""
        if page not in self.world["pages"]:
            raise ToolError(f"no page called {page}")
        return " ".join(self.world["pages"][page])
