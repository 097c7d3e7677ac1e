"""Make a bug in a correct project: mutations that belong together, or a real patch undone, and what each run shows."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..errors import ProposeFailed
from .knowledge import FAR, Knowledge
from .running import Changes, Ran
from .types import Function, Mutation, applied

Run = Callable[[Changes], Ran]
Site = tuple[str, Mutation]


@dataclass(frozen=True)
class Level:
    """What a bug of a level is like: mutated sites, how many found bugs the hardest is chosen from, which share of the
    tests may fail, and whether kinds of mutation that leap to the eye are left out."""

    sites: int
    choices: int
    share: float
    subtle: bool = False


LEVELS = {
    1: Level(1, 1, 0.6),
    2: Level(1, 3, 0.35),
    3: Level(2, 1, 0.5),
    4: Level(2, 2, 0.35, subtle=True),
    5: Level(3, 2, 0.4, subtle=True),
}
PLAIN = frozenset({"negation", "dropped"})
REVERT_CHANCE = 0.3
_RUNS, _DRAWS, _NEIGHBOURS = 24, 40, 4


@dataclass(frozen=True)
class Bug:
    """A broken project: what differs from the correct tree, by which sites, and how its tests ran. A reverted patch has
    no sites."""

    broken: Mapping[str, str | None]
    sites: tuple[Site, ...]
    ran: Ran
    f2p: tuple[str, ...]
    distance: int = FAR

    @cached_property
    def hardness(self) -> tuple[float, ...]:
        """Larger is harder: far from what the failing tests call, and few of those."""
        return (min(self.distance, 4) - 2.0 * len(self.f2p) ** 0.5, self.distance)


def choose_bug(rng: random.Random, known: Knowledge, level: int, run: Run) -> Bug:
    """A bug of this level that some tests show, and all of them only because of it. Raises ProposeFailed."""
    project, rule = known.project, LEVELS[level]
    if not project.suite.visible + project.suite.hidden:
        raise ProposeFailed(f"{project.title} has no recorded tests")
    if project.changes and rng.random() < REVERT_CHANCE:
        bug = _reverted(rng, known, run)
        if bug is not None:
            return bug
    found: list[Bug] = []
    budget = _Budget(run, _RUNS)
    for _ in range(_DRAWS):
        bug = _grown(rng, known, rule, budget)
        if bug is not None and bug.broken not in [other.broken for other in found]:
            found.append(bug)
        if len(found) >= rule.choices or budget.left <= 0:
            break
    if not found:
        raise ProposeFailed(f"no bug of level {level} found in {project.title}")
    return max(found, key=lambda bug: bug.hardness)


class _Budget:
    """Counts runs, so that a project whose tests see nothing does not keep the machine for ever."""

    def __init__(self, run: Run, left: int) -> None:
        self._run, self.left = run, left

    def __call__(self, changes: Changes) -> Ran | None:
        self.left -= 1
        return self._run(changes) if self.left >= 0 else None


def _reverted(rng: random.Random, known: Knowledge, run: Run) -> Bug | None:
    change = rng.choice(known.project.changes)
    ran = run(change.before)
    f2p = failing(known, ran)
    return Bug(dict(change.before), (), ran, f2p) if f2p and _sound(known, ran, f2p, 0.9) else None


def failing(known: Knowledge, ran: Ran) -> tuple[str, ...]:
    """The tests of the suite that did not pass, sorted: F2P of a tree whose correct form passes all of them."""
    return tuple(sorted({*known.project.suite.visible, *known.project.suite.hidden} - ran.passed))


def mutated(known: Knowledge, sites: Sequence[Site]) -> dict[str, str | None]:
    """The texts of the correct project with these mutations made."""
    files = known.project.files
    paths = sorted({path for path, _ in sites})
    return {path: applied(files[path], [one for where, one in sites if where == path]) for path in paths}


def compiles(known: Knowledge, changes: Changes) -> bool:
    """Whether every changed text is another program, and one without new syntax errors."""
    files, speech = known.project.files, known.speech
    return all(text is not None and speech.same_program(files[path], text) is False for path, text in changes.items())


def _grown(rng: random.Random, known: Knowledge, rule: Level, run: _Budget) -> Bug | None:
    """A bug site by site: each alone makes tests fail, and all together not too many."""
    weights = [len(known.project.files[path]) for path in known.sources]
    path = rng.choices(known.sources, weights)[0]
    pool = [(path, mutation) for mutation in _allowed(known, path, rule)]
    bug = _tried(known, rule, [_pick(rng, pool)], run) if pool else None
    while bug is not None and len(bug.sites) < rule.sites:
        bug = _with_one_more(rng, known, rule, bug, run)
    return bug


def _with_one_more(rng: random.Random, known: Knowledge, rule: Level, bug: Bug, run: _Budget) -> Bug | None:
    near = [site for site in _related(known, bug.sites[0], rule) if _apart(site, bug.sites)]
    for _ in range(_NEIGHBOURS if near else 0):
        site = _pick(rng, near)
        if _tried(known, rule, [site], run) is not None:
            return _tried(known, rule, [*bug.sites, site], run)
    return None


def _tried(known: Knowledge, rule: Level, sites: Sequence[Site], run: _Budget) -> Bug | None:
    """The bug of these sites, if it makes tests fail, and not too many."""
    changes = mutated(known, sites)
    ran = run(changes) if compiles(known, changes) else None
    f2p = failing(known, ran) if ran else ()
    if ran is None or not _sound(known, ran, f2p, rule.share):
        return None
    distance = max(known.distance(f2p, mutation.function.rpartition(".")[2]) for _, mutation in sites)
    return Bug(changes, tuple(sorted(sites)), ran, f2p, distance)


def _sound(known: Knowledge, ran: Ran, f2p: tuple[str, ...], share: float) -> bool:
    """Whether some tests failed, others ran and passed, and the run came to its end."""
    whole = len(known.project.suite.visible) + len(known.project.suite.hidden)
    return 0 < len(f2p) <= max(1, int(share * whole)) and ran.ended == "exited" and not ran.report.problem


def _allowed(known: Knowledge, path: str, rule: Level) -> Iterator[Mutation]:
    return (one for one in known.mutations(path) if one.function and not (rule.subtle and one.kind in PLAIN))


def _pick(rng: random.Random, pool: list[Site]) -> Site:
    """First a kind, then a place, so that frequent kinds do not crowd out the others."""
    kind = rng.choice(sorted({site[1].kind for site in pool}))
    return rng.choice([site for site in pool if site[1].kind == kind])


def _related(known: Knowledge, first: Site, rule: Level) -> list[Site]:
    """Sites in callers and callees of the first one's function, else elsewhere in its own, else in its file."""
    path, mutation = first
    function = known.function(path, mutation.function)
    around: Sequence[Function] = known.near(function) if function else ()
    places = {(item.path, item.name) for item in around if item != function}
    paths = sorted({where for where, _ in places} | {path})
    pool = [(where, one) for where in paths for one in _allowed(known, where, rule)]
    near = [site for site in pool if (site[0], site[1].function) in places]
    return near or [site for site in pool if site[0] == path]


def _apart(site: Site, others: Sequence[Site]) -> bool:
    """Whether a site shares no line with the others."""
    path, mutation = site
    return all(
        path != where or abs(mutation.line - other.line) > 1 + other.old.count("\n") + mutation.old.count("\n")
        for where, other in others
    )
