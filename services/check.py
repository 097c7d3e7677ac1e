"""`palestra env check`: certify sample tasks of an environment and say, per check, what passed or how to mend it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from ..envs.environment import Environment
from ..envs.types import Task
from ..synth.synthesize import Made, attempt

HINTS = {
    "proposes": "`propose` must return a task built with self.task(...); ProposeFailed is for unlucky seeds",
    "deterministic": "`propose` must draw everything random from `rng`: no random.random(), no time, no set order",
    "varied": "`propose` made the same task for different seeds: draw the world from `rng`",
    "reproducible": "world and key must be plain JSON: dicts with text keys, lists, texts, numbers",
    "oracle_passes": "`solve` must give an answer that `verify` accepts, by calling tools only",
    "noop_fails": "`verify` accepts None in the untouched world: make it look at the answer or at what changed",
    "same_twice": "`verify` must be pure: no randomness, no time, nothing but its arguments",
    "mutants_fail": "`verify` accepts a wrong answer, or `mutate` finds too few: write one that breaks a rule",
}


@dataclass
class CheckResult:
    """One check over all sample tasks: in how many it held of those where it was made, and what was seen where not."""

    name: str
    passed: int = 0
    made: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True when it was made and always held."""
        return 0 < self.passed == self.made

    @property
    def hint(self) -> str:
        """How to mend it; empty where it held."""
        return "" if self.ok else HINTS.get(self.name, "")

    def add(self, ok: bool, detail: str) -> None:
        """Count one sample."""
        self.made += 1
        self.passed += ok
        if not ok:
            self.problems.append(detail)


def check_environment(
    make: Callable[[], Environment],
    seed: int,
    level: int,
    count: int,
    on_task: Callable[[int], None] = lambda done: None,
) -> list[CheckResult]:
    """Every check over `count` sample tasks. SandboxError passes through: it says nothing of the environment."""
    results = {name: CheckResult(name) for name in HINTS}
    ids = set()
    for number in range(count):
        made = attempt(make, seed, number, level)
        task = made.certified.task if made.certified else None
        results["proposes"].add(task is not None, made.reason)
        if task is not None:
            ids.add(task.id)
            results["deterministic"].add(*_deterministic(make, seed, number, level, task))
            _count_certificate(results, made)
        on_task(number + 1)
    if count > 1 and ids:
        results["varied"].add(len(ids) > 1, f"all {count} tasks are the same")
    return [result for result in results.values() if result.made]


def _count_certificate(results: dict[str, CheckResult], made: Made) -> None:
    assert made.certified is not None
    for evidence in made.certified.certificate.checks:
        results.setdefault(evidence.name, CheckResult(evidence.name)).add(evidence.ok, evidence.detail)


def _deterministic(make: Callable[[], Environment], seed: int, number: int, level: int, task: Task) -> tuple[bool, str]:
    """Propose once more from the same state, as `attempt` does."""
    env = make()
    rng = random.Random(f"{env.id}/{env.version}/{seed}/{level}/{number}")
    try:
        again = env.propose(rng, level)
    except Exception as error:
        return False, f"the second time it raised {type(error).__name__}: {error}"
    return again.id == task.id, "the same rng gave another task the second time"
