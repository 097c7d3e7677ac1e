"""A sound environment that is judged by its final state and by a number told, and defects of looking at half of it."""

from __future__ import annotations

import random
from typing import Any

from ...envs.environment import Environment
from ...envs.errors import ToolError
from ...envs.names import Names
from ...envs.tools import tool
from ...envs.types import Answer, Task, World
from ...verifiers.checks import all_of, check
from ...verifiers.types import Verdict


class Shelves(Environment):
    """Put books where they belong and say how many were astray. Sound."""

    id = "shelves"
    version = "1"

    def propose(self, rng: random.Random, level: int) -> Task:
        seed = rng.getrandbits(32)
        draw = random.Random(seed)
        names = Names(draw)
        shelves = [names.draw() for _ in range(4)]
        wanted = {names.draw(): draw.choice(shelves) for _ in range(9)}
        astray = draw.sample(sorted(wanted), draw.randint(2, 7))
        found = {book: draw.choice([s for s in shelves if s != shelf]) for book, shelf in wanted.items()}
        stands = {book: found[book] if book in astray else shelf for book, shelf in wanted.items()}
        listed = "; ".join(f"{book} in {shelf}" for book, shelf in wanted.items())
        prompt = f"Put every book where it belongs: {listed}. Then submit how many stood on another shelf."
        key = {"wanted": wanted, "astray": len(astray)}
        return self.task(seed=seed, level=level, prompt=prompt, world={"stands": stands}, key=key)

    def solve(self, task: Task, tools: Any) -> Answer:
        stands, moved = tools.look(), 0
        for book, shelf in task.key["wanted"].items():
            if stands[book] != shelf:
                tools.move(book=book, shelf=shelf)
                moved += 1
        return tools.submit(moved=moved)

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        key = task.key
        return all_of([check("moved", self.counted(key, answer)), check("shelves", self.placed(key["wanted"], world))])

    def counted(self, key: dict[str, Any], answer: Answer) -> bool:
        """Whether the number is the right one."""
        return type(answer) is int and answer == key["astray"]

    def placed(self, wanted: dict[str, str], world: World) -> bool:
        """Whether the books stand right."""
        return bool(world["stands"] == wanted)

    @tool
    def look(self) -> dict[str, str]:
        """Where each book stands."""
        return dict(self.world["stands"])

    @tool
    def move(self, book: str, shelf: str) -> str:
        """Put a book on a shelf."""
        if book not in self.world["stands"]:
            raise ToolError(f"there is no {book}")
        self.world["stands"][book] = shelf
        return "done"

    @tool(submits=True)
    def submit(self, moved: int) -> int:
        """Say how many books were moved; ends the work."""
        return moved


class AnyNumber(Shelves):
    def counted(self, key: dict[str, Any], answer: Answer) -> bool:
        return type(answer) is int


class FirstBooksOnly(Shelves):
    def placed(self, wanted: dict[str, str], world: World) -> bool:
        return all(world["stands"][book] == shelf for book, shelf in list(wanted.items())[:4])


class StateIgnored(Shelves):
    def placed(self, wanted: dict[str, str], world: World) -> bool:
        return True
