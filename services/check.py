"""`palestra env check`: certify sample tasks of an environment in full and say, per check, what passed or how to mend
it; answer the 33 checks of OpenEnv's policy; say how far the environment can be gamed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..envs.environment import Environment
from ..synth.audit.ground import Ground, WatchedSandboxes
from ..synth.audit.policy import Answer, verdict_of
from ..synth.audit.report import answers, report
from ..synth.survey import survey
from ..synth.synthesize import Made, attempt
from ..synth.types import Depth

HINTS = {
    "proposes": "`propose` must return a task built with self.task(...); ProposeFailed is for unlucky seeds",
    "reproducible": "`propose` must draw everything from `rng` (no random.random(), no time), and make plain JSON",
    "oracle_passes": "`solve` must give an answer that `verify` accepts, by calling tools only",
    "noop_fails": "`verify` rewards no answer, or a default value: make it look at the answer or at what changed",
    "same_twice": "a tool or `verify` is random, reads the clock, or keeps state outside `self`",
    "mutants_fail": "`verify` must refuse wrong answers; where too few are found, write `mutate`",
    "no_leak": "keep the answer out of the prompt, out of what lies open, and the key out of what tools read",
    "oracle_by_tools": "let `solve` find the answer with the tools; from the key it may take what the question says",
    "slips_fail": "`verify` must look at everything the task asks for: the whole final state, and the answer in it",
    "near_misses_fail": "compare whole answers: no prefixes, supersets, other orders, numbers nearby, other case",
    "random_fails": "make the question too hard for luck, and let tools refuse with ToolError, not crash",
    "order_independent": "`verify` remembers earlier answers: keep no state in the class or the module",
    "rescored": "`verify` may use the task, the answer and the world it is given, nothing that `start` or tools kept",
    "same_elsewhere": "no hash order (sort sets), no locale, no time zone, no process ids, no files of this machine",
    "time_independent": "`verify` looks at the clock: put the day that counts into the world",
    "history_independent": "another task's episode changes this one: keep state in `self` and `self.world`",
    "hermetic": "put what is needed into the world or the image: nothing may need a network or a temporary file",
    "envelope": "shorten what tools say, and what is told; see `palestra.synth.envelope.MOST`",
    "red_team": "let nothing that an agent can write decide; malformed answers are wrong, never an exception",
    "levels": "declare in `levels` what `propose` makes, and make some task for most draws",
    "varied": "`propose` makes the same tasks for different seeds: draw the world from `rng`, and from more",
    "not_guessable": "shuffle the choices, vary the answers, and let nothing about its looks mark the right one",
}


DEEP = 2
"""So many samples are certified in full where each takes hundreds of leases; the others quickly."""


@dataclass
class CheckResult:
    """One check over all sample tasks: in how many it held of those where it was made, and what was seen."""

    name: str
    passed: int = 0
    made: int = 0
    problems: list[str] = field(default_factory=list)
    seen: str = ""

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
        self.seen = self.seen or (detail if ok else "")
        if not ok:
            self.problems.append(detail)

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "ok": self.ok,
            "passed": self.passed,
            "of": self.made,
            "seen": self.seen,
            "problems": self.problems,
            "hint": self.hint,
        }


@dataclass
class Checked:
    """All that was found out about an environment."""

    results: list[CheckResult]
    made: list[Made]
    policy: list[Answer] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True when every check held and the policy's verdict is no failure."""
        return all(result.ok for result in self.results) and (not self.policy or verdict_of(self.policy) != "fail")

    @property
    def gameability(self) -> dict[str, Any]:
        """The share of cheats that were rewarded or read the key, and of those that evaded judgement."""
        teams = dict(_teams(self.made))
        cheats, earned, evaded = (sum(team[name] for team in teams.values()) for name in ("cheats", "earned", "evaded"))
        return {
            "cheats": cheats,
            "earned": earned,
            "evaded": evaded,
            "score": earned / cheats if cheats else None,
            "per_task": {task: team["gameability"] for task, team in teams.items()},
        }


def check_environment(
    cls: type[Environment],
    sandboxes: WatchedSandboxes | None,
    seed: int,
    level: int,
    count: int,
    depth: Depth = "full",
    on_task: Callable[[int], None] = lambda done: None,
) -> Checked:
    """Every check over `count` sample tasks; of an environment with a sandbox, only the first `DEEP` go deeper than
    quick. SandboxError passes through: it says nothing of the environment.
    """

    def make() -> Environment:
        return cls(sandboxes)

    results = {name: CheckResult(name) for name in HINTS}
    made = []
    for number in range(count):
        deep = depth == "full" and (cls.image is None or number < DEEP)
        made.append(attempt(make, seed, number, level, depth="full" if deep else "quick"))
        results["proposes"].add(made[-1].certified is not None, "" if made[-1].certified else made[-1].reason)
        for evidence in made[-1].certified.certificate.checks if made[-1].certified else ():
            results.setdefault(evidence.name, CheckResult(evidence.name)).add(evidence.ok, evidence.detail)
        on_task(number + 1)
    seen = survey(make, made)
    for evidence in seen:
        results[evidence.name].add(evidence.ok, evidence.detail)
    checked = Checked([result for result in results.values() if result.made], made)
    if depth == "full":
        ground = Ground(cls, make, made, seen, sandboxes)
        checked.policy = answers(ground)
        checked.report = report(ground, checked.policy)
    return checked


def _teams(made: Sequence[Made]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the red team measured, by task id."""
    for one in made:
        found = one.certified.certificate.evidence("red_team") if one.certified is not None else None
        if one.certified is not None and found is not None and found.measured:
            yield one.certified.task.id, found.measured
