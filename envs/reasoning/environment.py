"""Questions that are answered by thinking alone: arithmetic, order and clocks. There are no tools."""

from __future__ import annotations

import random
from typing import Any

from ...verifiers.answers import exact_match
from ...verifiers.checks import all_of
from ...verifiers.types import Verdict
from ..environment import Environment
from ..types import Answer, Task, World
from .puzzles import KINDS


class Reasoning(Environment):
    """Work a question out step by step. The level is the number of steps, less one."""

    id = "reasoning"
    version = "1"
    system = "Think step by step. Answer with the result alone."
    levels = range(1, 9)
    toolless = True

    def propose(self, rng: random.Random, level: int) -> Task:
        seed = rng.getrandbits(32)
        draw = random.Random(seed)
        kind = draw.choice(sorted(KINDS))
        puzzle = KINDS[kind](draw, level + 1)
        key = {"kind": kind, "answer": puzzle.answer, "steps": list(puzzle.steps), "wrong": list(puzzle.wrong)}
        return self.task(seed=seed, level=level, prompt=puzzle.question, key=key)

    def solve(self, task: Task, tools: Any) -> Answer:
        tools.think(" ".join(task.key["steps"]))
        return task.key["answer"]

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([exact_match("answer", answer, [task.key["answer"]])])

    def mutate(self, rng: random.Random, task: Task, answer: Answer) -> Answer:
        """What a slip would give: a step left out or done wrongly, another of the names."""
        return rng.choice(task.key["wrong"])
