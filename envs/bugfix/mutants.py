"""Plausible wrong patches, as a careless or a cheating agent would hand them in."""

from __future__ import annotations

import random
from collections.abc import Callable

from ..types import Answer, Task
from .breaking import another
from .seeds import LANGUAGES, load
from .types import Mutation

Maker = Callable[[random.Random, Task], dict[str, str] | None]


def wrong_answer(rng: random.Random, task: Task) -> Answer:
    """One of: another mistake on top of the bug, the repair with a new mistake, half of a repair, a function emptied,
    tests changed instead of sources. Never the repair itself."""
    makers: list[Maker] = [_worse, _repaired_but, _emptied, _tests_changed]
    if len(task.key["steps"]) > 1:
        makers += [_half, _half]
    rng.shuffle(makers)
    for make in makers:
        files = make(rng, task)
        if files is not None and any(files.get(path) != text for path, text in task.key["patch"].items()):
            return {"files": files}
    return {"files": {}}


def _near(task: Task) -> tuple[tuple[str, Mutation], ...]:
    """The sites again, for what is near them; only path and function are known from the task."""
    return tuple((step["path"], Mutation(0, step["kind"], "", "", step["function"], 0)) for step in task.key["steps"])


def _broken(task: Task) -> dict[str, str]:
    return {path: task.world["files"][path] for path in task.key["patch"]}


def _worse(rng: random.Random, task: Task) -> dict[str, str] | None:
    return another(rng, task.world["repo"], task.world["language"], _near(task), _broken(task))


def _repaired_but(rng: random.Random, task: Task) -> dict[str, str] | None:
    return another(rng, task.world["repo"], task.world["language"], _near(task), task.key["patch"])


def _half(rng: random.Random, task: Task) -> dict[str, str] | None:
    """The first mistakes repaired, the last ones not."""
    files = _broken(task)
    for step in task.key["steps"][: rng.randrange(1, len(task.key["steps"]))]:
        files[step["path"]] = files[step["path"]].replace(step["old"], step["new"])
    return files


def _emptied(rng: random.Random, task: Task) -> dict[str, str] | None:
    """The function that holds a mistake does nothing any more."""
    step = rng.choice(task.key["steps"])
    language = LANGUAGES[task.world["language"]]
    return {**_broken(task), step["path"]: language.emptied(task.world["files"][step["path"]], step["function"])}


def _tests_changed(rng: random.Random, task: Task) -> dict[str, str] | None:
    """The tests are emptied, one or all, and the bug stays."""
    tests = sorted(path for path in load(task.world["repo"]).files if path.startswith("tests/"))
    chosen = rng.sample(tests, rng.randint(1, len(tests)))
    return {**dict.fromkeys(chosen, rng.choice(["", "pass\n", "# nothing to test\n"])), **_broken(task)}
