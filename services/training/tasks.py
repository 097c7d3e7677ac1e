"""The tasks of a training run: made, certified and stored, some to learn from and others to be judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...envs.registry import environment_class
from ...envs.types import Task
from ..errors import BadRequest
from ..machines import sandbox_for
from ..progress import Progress
from ..synthesis import SynthesisSpec, Tally, make_tasks, store_made
from .context import Context
from .recipes import Domain, GrpoRecipe

HELD_OUT_SEED = 1_000_003
"""Held-out tasks come from the stream of `recipe.seed + HELD_OUT_SEED`: other worlds, other names."""


@dataclass(frozen=True)
class Machine:
    """What a run has to work with: Ray's CPUs, and the sandbox backend of the environments that need one."""

    cpus: float
    sandbox: str | None = None


@dataclass(frozen=True)
class Tasks:
    """Certified tasks to learn from and to be judged on; no task is in both."""

    train: tuple[Task, ...]
    held_out: tuple[Task, ...]

    def held_out_sets(self, count: int) -> dict[str, list[Task]]:
        """The held-out tasks dealt into `count` sets, each with its share of every domain."""
        ordered = sorted(self.held_out, key=lambda task: (task.env, task.level))
        sets = {f"set-{number}": ordered[number::count] for number in range(count)}
        if not all(sets.values()):
            raise BadRequest(f"{len(ordered)} held-out tasks cannot be dealt into {count} sets: take fewer eval_sets")
        return sets


def domain_sandbox(domains: Sequence[Domain], backend: str, progress: Progress) -> str | None:
    """The sandbox backend these environments need; None where none needs one."""
    names = sorted({domain.env for domain in domains})
    found = [sandbox_for(environment_class(name), backend, progress.say) for name in names]
    return next((name for name in found if name is not None), None)


def make_domain_tasks(context: Context, recipe: GrpoRecipe, machine: Machine) -> Tasks:
    """Make and certify the tasks of all domains, storing each attempt's task and certificate."""
    train: list[Task] = []
    held_out: list[Task] = []
    for domain in recipe.domains:
        for split, count, seed in (
            ("train", recipe.train_tasks, recipe.seed),
            ("held-out", recipe.held_out, recipe.seed + HELD_OUT_SEED),
        ):
            tally = synthesize(context, SynthesisSpec(domain.env, seed, domain.level, count), split, machine)
            (train if split == "train" else held_out).extend(tally.accepted)
    known = {task.id for task in train}
    return Tasks(tuple(train), tuple(task for task in held_out if task.id not in known))


def synthesize(context: Context, spec: SynthesisSpec, split: str, machine: Machine) -> Tally:
    """Make `spec.count` certified tasks, store every attempt, and say how many were rejected and why."""
    spec.check()
    tally, title = Tally(), f"{spec.env} level {spec.level}, {split}"
    with context.progress.stage(title, spec.count) as update:
        for made in make_tasks(spec, machine.sandbox, machine.cpus):
            store_made(context.store, made, context.run_id, split)
            tally.add(made)
            update(len(tally.accepted), f"{tally.rejected} rejected")
    why = f": {tally.why()}" if tally.rejected else ""
    context.progress.say(f"{title}: {len(tally.accepted)} certified, {tally.rejected} rejected{why}")
    if not tally.accepted:
        raise BadRequest(f"no {spec.env} task of level {spec.level} could be certified{why}")
    return tally
