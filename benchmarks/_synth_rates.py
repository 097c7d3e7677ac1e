"""How fast tasks are made and certified: one process per core, each with environments and sandboxes of its own."""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from typing import Any

from palestra.envs.bugfix import projects
from palestra.envs.bugfix.running import workshop
from palestra.envs.registry import environment_class
from palestra.infra.sandbox.sync import Sandboxes
from palestra.synth.synthesize import attempt, collect_seldom

SEED, MUTANTS = 6, 5
Job = tuple[str, int, int]
"""(environment, level, number of the attempt)."""


@dataclass(frozen=True)
class Tried:
    """What came of an attempt. `group` is what rates are told apart by; seconds are of this process."""

    env: str
    level: int
    group: str
    accepted: bool
    reason: str
    wall: float
    cpu: float


def jobs(env: str, count: int) -> list[Job]:
    """`count` attempts over all levels of an environment in turn."""
    levels = environment_class(env).levels
    return [(env, levels[number % len(levels)], number) for number in range(count)]


def run(work: Sequence[Job], processes: int, chunk: int, tick: Callable[[int], object]) -> dict[str, Any]:
    """Attempt all jobs; see `summary`. Starting the processes and a warm-up of each does not count."""
    os.environ["OMP_NUM_THREADS"] = "1"
    pieces = [work[at : at + chunk] for at in range(0, len(work), chunk)]
    names = sorted({env for env, _, _ in work})
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        began = time.perf_counter()
        for warm in [pool.submit(_warm_up, names) for _ in range(processes)]:
            warm.result()
        warmed = time.perf_counter()
        found: list[Tried] = []
        for done in as_completed([pool.submit(_attempts, piece) for piece in pieces]):
            found += done.result()
            tick(len(found))
        return summary(found, time.perf_counter() - warmed) | {"warm_up_s": warmed - began}


def summary(tried: Sequence[Tried], wall: float) -> dict[str, Any]:
    """Rates over the whole, and per group the median cost of an attempt."""
    kept = [one for one in tried if one.accepted]
    reasons: dict[str, int] = defaultdict(int)
    groups: dict[str, list[Tried]] = defaultdict(list)
    for one in tried:
        groups[one.group].append(one)
        if not one.accepted:
            reasons[f"{one.env}: {one.reason}"[:120]] += 1
    return {
        "attempts": len(tried),
        "accepted": len(kept),
        "wall_s": wall,
        "per_second": len(kept) / wall,
        "cpu_s_each": sum(one.cpu for one in tried) / max(1, len(kept)),
        "groups": {name: _costs(found) for name, found in sorted(groups.items())},
        "rejected": dict(sorted(reasons.items(), key=lambda item: -item[1])[:12]),
    }


def _costs(found: Sequence[Tried]) -> dict[str, Any]:
    return {
        "attempts": len(found),
        "accepted": sum(one.accepted for one in found),
        "median_wall_s": statistics.median(one.wall for one in found),
        "max_wall_s": max(one.wall for one in found),
    }


@cache
def _sandboxes() -> Sandboxes:
    return Sandboxes("auto")


def _warm_up(names: list[str]) -> None:
    """Load what a long run loads once; each process works through one task of each environment, and builds all
    projects."""
    collect_seldom()
    for name in names:
        _attempt((name, environment_class(name).levels[0], 1_000_000 + os.getpid()))
    if "bugfix" in names:
        for title in projects.names():
            workshop(_sandboxes()).warm(projects.load(title))
    time.sleep(0.5)  # so that every process of the pool gets one of these


def _attempts(work: Sequence[Job]) -> list[Tried]:
    return list(_each(work))


def _each(work: Sequence[Job]) -> Iterator[Tried]:
    for job in work:
        yield _attempt(job)


def _attempt(job: Job) -> Tried:
    env, level, number = job
    cls = environment_class(env)
    sandboxes = None if cls.image is None else _sandboxes()
    wall, cpu = time.perf_counter(), time.process_time()
    made = attempt(lambda: cls(sandboxes), SEED, number, level, MUTANTS, "quick")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Tried(env, level, _group(made, env, level), made.accepted, made.reason, wall, cpu)


def _group(made: Any, env: str, level: int) -> str:
    """Bug fixing by language, all else by level."""
    if made.certified is not None and env == "bugfix":
        return str(made.certified.task.world["project"]["language"])
    return f"{env} {level}"
