"""How many of many tasks are the same task again, or nearly: exact copies, and near ones by the words of their prompts.

Two prompts are near duplicates when the Jaccard similarity of their 5-word shingles, estimated by MinHash with 128
permutations (Broder 1997; the `datasketch` library), is at least `THRESHOLD`; every pair that the index proposes is
then compared exactly. A task counts once, however many others it resembles.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from datasketch import MinHash, MinHashLSH

from palestra.envs.bugfix.environment import BugFix
from palestra.envs.bugfix.proposing import propose
from palestra.envs.bugfix.running import Ran, Workshop
from palestra.envs.bugfix.types import Project
from palestra.envs.environment import Environment
from palestra.envs.errors import ProposeFailed
from palestra.envs.types import Task, canonical
from palestra.verifiers.junit import Report, TestCase

THRESHOLD, SHINGLE, PERMUTATIONS = 0.8, 5, 128


def propose_many(make: Callable[[], Environment], count: int, seed: int, tick: Callable[[], object]) -> list[Task]:
    """`count` tasks over all levels in turn; draws that give none are passed over."""
    tasks: list[Task] = []
    number = 0
    while len(tasks) < count:
        env = make()
        level = env.levels[number % len(env.levels)]
        try:
            tasks.append(env.propose(random.Random(f"duplicates/{seed}/{number}"), level))
            tick()
        except ProposeFailed:
            pass
        number += 1
    return tasks


class _Untested:
    """Says of every tree that its first hidden test fails: what is drawn is seen, and no test is run."""

    def run(self, project: Project, changes: Mapping[str, str | None]) -> Ran:
        """See `Workshop.run`."""
        first, *others = [*project.suite.hidden, *project.suite.visible]
        cases = (TestCase(first, "", "failed"), *(TestCase(name, "", "passed") for name in others))
        return Ran(Report(cases), 1, "exited", "")


def count_same_bugs(count: int, seed: int, tick: Callable[[int], object]) -> dict[str, Any]:
    """How many of `count` bugs over all languages and levels break a project just as an earlier one did, as they are
    drawn, before tests decide which are kept."""
    seen: set[str] = set()
    shop = cast(Workshop, _Untested())
    for number in range(count):
        level = BugFix.levels[number % len(BugFix.levels)]
        drawn = propose(random.Random(f"duplicates/{seed}/{number}"), shop, BugFix.languages, level)
        seen.add(canonical(drawn["world"]))
        tick(number + 1)
    return {"bugs": count, "same_bug": count - len(seen)}


def count_duplicates(tasks: Iterable[Task]) -> dict[str, Any]:
    """How many tasks are copies of an earlier one (all but the seed), how many prompts are, how many are near one."""
    tasks = list(tasks)
    contents = {canonical({**task.model_dump(), "seed": 0}) for task in tasks}
    prompts = [task.prompt for task in tasks]
    return {
        "tasks": len(tasks),
        "same_task": len(tasks) - len(contents),
        "same_prompt": len(prompts) - len(set(prompts)),
        "near_prompt": _near(sorted(set(prompts))),
        "threshold": THRESHOLD,
    }


def _near(prompts: list[str]) -> int:
    index = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    shingles = [_shingles(prompt) for prompt in prompts]
    near = 0
    for number, mine in enumerate(shingles):
        sketch = MinHash(num_perm=PERMUTATIONS)
        sketch.update_batch([shingle.encode() for shingle in mine])
        found: list[int] = index.query(sketch)
        near += any(_jaccard(mine, shingles[other]) >= THRESHOLD for other in found)
        index.insert(number, sketch)
    return near


def _shingles(text: str) -> frozenset[str]:
    words = re.findall(r"\w+", text.lower())
    return frozenset(" ".join(words[at : at + SHINGLE]) for at in range(max(1, len(words) - SHINGLE + 1)))


def _jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    return len(left & right) / len(left | right)
