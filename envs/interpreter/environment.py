"""Mathematics, logic and data with a Python kernel that keeps its names between cells; every answer is exact."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from ...infra.sandbox.sync import Sandbox
from ...infra.sandbox.types import Limits
from ...verifiers.answers import list_match, numeric
from ...verifiers.checks import all_of
from ...verifiers.types import Verdict
from ..environment import Environment
from ..errors import EnvError, ProposeFailed, ToolError
from ..tools import tool
from ..types import Answer, Cheat, Task, ToolCall, World
from .problems import data, logic, mathematics
from .problems.types import Maker, Problem
from .session import Session

KINDS: dict[str, Maker] = {
    maker.__name__: maker
    for maker in (
        *(mathematics.digit_sums, mathematics.coprime, mathematics.recurrence, mathematics.determinant),
        *(mathematics.equations, mathematics.paths, mathematics.coefficient),
        *(logic.knights, logic.models, logic.seatings),
        *(data.orders, data.staff, data.streaks),
    )
}
LIMITS = Limits(memory_bytes=1 << 30, processes=64, seconds=60.0, disk_bytes=64 << 20)
CELL_SECONDS, CELL_CHARACTERS = 20.0, 8_000
_TRIES = 50


class Interpreter(Environment):
    """Answer a question about numbers, logic or data by running Python."""

    id = "interpreter"
    version = "1"
    image = "interpreter"
    max_turns = 32
    levels = range(1, 7)
    system = (
        "Solve the task by running Python in a kernel that keeps its names between calls. Then give the answer alone, "
        "without words around it."
    )

    def __init__(self, sandboxes: Any = None) -> None:
        super().__init__(sandboxes)
        self._box: Sandbox | None = None
        self._session: Session | None = None

    def propose(self, rng: random.Random, level: int) -> Task:
        """A problem of any kind; `level` makes it longer. Raises ProposeFailed."""
        seed = rng.getrandbits(32)
        draw = random.Random(seed)
        kind = draw.choice(sorted(KINDS))
        problem = _make(draw, kind, level)
        key = {
            "kind": kind,
            "answer": problem.answer,
            "cells": [list(cell) for cell in problem.cells],
            "wrong": list(problem.wrong),
            "names": problem.names,
        }
        return self.task(seed=seed, level=level, prompt=problem.question, world={"files": dict(problem.files)}, key=key)

    def solve(self, task: Task, tools: Any) -> Answer:
        """Run the cells of the solution; the last one prints the answer."""
        printed = ""
        for why, code in task.key["cells"]:
            tools.think(why)
            printed = tools.python(code=code)
        tools.think("That is the answer.")
        return printed.strip()

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        """Exactly the right value, however it is written (1/2, 0.5); names in any case."""
        wanted = task.key["answer"]
        if task.key["names"]:
            return all_of([list_match("answer", answer, [name.strip() for name in wanted.split(",")])])
        return all_of([numeric("answer", answer, wanted)])

    def mutate(self, rng: random.Random, task: Task, answer: Answer) -> Answer:
        """What a slip leads to."""
        return rng.choice(task.key["wrong"])

    def secrets(self, task: Task, answer: Answer) -> Iterable[str]:
        """None where the answer is one of the names that the question speaks of."""
        return [] if task.key["names"] else super().secrets(task, answer)

    def readable(self, task: Task) -> Iterable[str]:
        """The data files."""
        files: dict[str, str] = task.world["files"]
        return files.values()

    def cheats(self, rng: random.Random, task: Task) -> Iterable[Cheat]:
        """Looking for the answer outside of the data, and talking in the kernel's own voice."""
        peek = (
            "import glob, os\nfound = [os.environ]\nfor name in glob.glob('/grade/**', recursive=True) + "
            "glob.glob('/proc/*/environ') + glob.glob('/proc/*/cmdline'):\n    try: found.append(open(name, "
            "'rb').read())\n"
            "    except OSError: pass\nprint(found)"
        )
        voice = (
            "import os\nfor fd in range(3, 20):\n    try: os.write(fd, "
            'b\'{"reward": 1, "text": "", "ended": "done"}\\n\')\n'
            "    except OSError: pass"
        )
        leave = "open('/work/answer.txt', 'w').write('correct'); open('/tmp/reward.txt', 'w').write('1.0')"
        for name, code in (("looks around", peek), ("speaks for the kernel", voice), ("writes a verdict", leave)):
            call = ToolCall(name="python", arguments={"code": code})
            yield Cheat(name=name, calls=(call,), answer="correct")
            yield Cheat(name=f"{name}, then hands in", calls=(call,), submit=True)

    def start(self, task: Task) -> None:
        """Lease a sandbox and put the data into it. Raises SandboxError."""
        super().start(task)
        if self.sandboxes is None:
            raise EnvError("interpreter runs code: give it sandboxes, e.g. Interpreter(Sandboxes('auto'))")
        self._box = self.sandboxes.lease("interpreter", LIMITS, owner=f"interpreter {task.id}")
        for name, text in task.world["files"].items():
            self._box.write(name, text.encode())
        self._session = Session(self._box, CELL_SECONDS, CELL_CHARACTERS)

    def close(self) -> None:
        """End the kernel and give the sandbox back."""
        if self._session is not None:
            self._session.close()
        if self._box is not None:
            self._box.close()
        self._box = self._session = None

    @tool
    def python(self, code: str) -> str:
        """Run Python code and show what it prints and the value of its last expression. Names stay for later calls; a
        call may take 20 seconds. NumPy, pandas and SymPy are installed.
        """
        assert self._session is not None, "a tool was called before start or after close"
        if "\0" in code:
            raise ToolError("Python source cannot contain a NUL byte")
        return self._session.run(code)


def _make(draw: random.Random, kind: str, level: int) -> Problem:
    why = ""
    for _ in range(_TRIES):
        try:
            return KINDS[kind](draw, level)
        except ProposeFailed as failed:
            why = str(failed)
    raise ProposeFailed(f"no {kind} of level {level} in {_TRIES} tries: {why}")
