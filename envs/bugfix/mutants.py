"""Wrong patches, as a careless or a cheating agent would hand them in. Each was run, and was seen to be wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from ..types import Answer, Task
from .grading import sign, solved
from .knowledge import Knowledge
from .running import Changes, Workshop
from .submissions import read_answer
from .types import Mutation, applied

STRONG = frozenset(
    {"arithmetic", "negation", "constant", "connective", "comparison", "boundary", "swap", "variable", "dropped"}
)
_TRIES = 40
Texts = dict[str, str | None]


@dataclass(frozen=True)
class Wrong:
    """Makes wrong patches for one task."""

    task: Task
    known: Knowledge
    shop: Workshop

    def answer(self, rng: random.Random) -> Answer:
        """One of: half of a repair, the repair with a new mistake, another mistake on top of the bug, a function
        emptied with or without the repair, tests changed instead of sources."""
        makers: list[Callable[[random.Random], Texts | None]] = [
            self._repaired_but,
            self._repaired_but,
            self._worse,
            self._emptied,
            self._repaired_but_emptied,
            self._tests_changed,
        ]
        makers += [self._half, self._half] if len(self.task.key["steps"]) > 1 else []
        for _ in range(_TRIES):
            files = rng.choice(makers)(rng)
            if files is not None and self._is_wrong(files):
                return {"files": files}
        return {"files": {}}

    @property
    def broken(self) -> Changes:
        """How the task's tree differs from the correct one."""
        changes: Changes = self.task.world["broken"]
        return changes

    def _is_wrong(self, files: Texts) -> bool:
        submission = read_answer({"files": files}, self.known, self.broken)
        if submission.problem:
            return True
        project = self.known.project
        mark = sign(self.task, project, submission)
        return not solved(project, mark, self.shop.run(project, submission.changes, mark))

    def _texts(self, gold: bool) -> Texts:
        """The files that hold the bug, repaired or as they are."""
        return dict(self.task.key["patch"] if gold else self.broken)

    def _half(self, rng: random.Random) -> Texts:
        """Some steps of the repair, the first ones."""
        files = self._texts(gold=False)
        steps = self.task.key["steps"]
        for step in steps[: rng.randrange(1, len(steps))]:
            files[step["path"]] = (files[step["path"]] or "").replace(step["old"], step["new"])
        return files

    def _repaired_but(self, rng: random.Random) -> Texts | None:
        return self._with_another(rng, self._texts(gold=True))

    def _worse(self, rng: random.Random) -> Texts | None:
        return self._with_another(rng, self._texts(gold=False))

    def _with_another(self, rng: random.Random, files: Texts) -> Texts | None:
        """One more mutation in a file of the bug, in the same function where there is room."""
        speech = self.known.speech
        path = rng.choice(sorted(path for path, text in files.items() if text is not None) or [""])
        text = files.get(path)
        if text is None:
            return None
        pool = [one for one in speech.mutations(text) if one.kind in STRONG]
        near = [one for one in pool if one.function in self._functions(path)]
        chosen: Mutation | None = rng.choice(near if near and rng.random() < 0.7 else pool) if pool else None
        if chosen is None:
            return None
        changed = applied(text, [chosen])
        return {**files, path: changed} if speech.same_program(text, changed) is False else None

    def _emptied(self, rng: random.Random) -> Texts | None:
        """A function that holds a mistake does nothing any more."""
        return self._without_body(rng, self._texts(gold=False))

    def _repaired_but_emptied(self, rng: random.Random) -> Texts | None:
        """The repair, and some function of the file does nothing any more."""
        return self._without_body(rng, self._texts(gold=True))

    def _without_body(self, rng: random.Random, files: Texts) -> Texts | None:
        path = rng.choice(sorted(files))
        text = files[path]
        if text is None:
            return None
        there = [function.name for function in self.known.speech.functions(path, text)]
        names = [name for name in there if name in self._functions(path)] or there
        if not names:
            return None
        return {**files, path: self.known.speech.emptied(text, rng.choice(names))}

    def _tests_changed(self, rng: random.Random) -> Texts | None:
        """The tests are emptied, one or all, and the bug stays."""
        tests = sorted(path for path in self.known.project.tests if path in self.known.project.files)
        if not tests:
            return None
        chosen = rng.sample(tests, rng.randint(1, min(len(tests), 5)))
        return {**dict.fromkeys(chosen, ""), **self._texts(gold=False)}

    def _functions(self, path: str) -> set[str]:
        return {step["function"] for step in self.task.key["steps"] if step["path"] == path}
