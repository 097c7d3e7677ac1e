"""`palestra quickstart`: the main job, end to end, on one machine in minutes.

Make tasks in three domains and certify them; play them, bugs in sandboxes; roll a sparse-attention policy out; let it
learn by GRPO on the small sisters of two domains; judge it on held-out tasks before and after; keep all in the store.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..envs.registry import environment_class
from ..envs.types import Task
from ..infra import store as db
from ..infra.store.models import new_id
from ..rollout.records import episode_rows
from .machines import connect_ray, sandbox_for
from .policies import parse_policy
from .progress import Progress
from .synthesis import SynthesisSpec
from .training.context import Context, open_context
from .training.curve import Curve
from .training.recipes import GrpoRecipe, load_recipe
from .training.tasks import Machine, make_domain_tasks, synthesize

SHOWN = (("travel", 4, 6), ("search", 4, 6), ("bugfix", 1, 4))
"""(environment, level, tasks) of the three domains; scripted policies play them. Each certificate of bug fixing runs
the repository's tests some ten times in fresh sandboxes."""
WORKERS = 2
"""Workers that play those; learning has the recipe's."""


def quickstart(
    store: db.Store,
    out: Path,
    seed: int,
    sandbox: str,
    ray_address: str | None,
    progress: Progress,
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Run the whole job and return what came of it, as plain data. `overrides` change the recipe."""
    began = time.monotonic()
    recipe = load_recipe(RECIPE, [f"seed={seed}", f"out={out}", *overrides])
    assert isinstance(recipe, GrpoRecipe)
    progress.say("1/5 the sandbox")
    backend = sandbox_for(environment_class("bugfix"), sandbox, progress.say)
    progress.say(f"  {backend} answers; agents' commands run there, without a network")
    shown = {"kind": "quickstart", "sandbox": backend}
    with open_context(recipe, store, new_id(), progress, fresh=True, **shown) as context:
        played, curve = _stages(context, recipe, backend, ray_address)
    return _summary(context.run_id, out, played, curve, time.monotonic() - began)


def _stages(
    context: Context, recipe: GrpoRecipe, backend: str | None, ray_address: str | None
) -> tuple[dict[str, dict[str, float]], Curve]:
    from .training.grpo import learn

    say = context.progress.say
    say("2/5 make tasks and certify them: the oracle passes, doing nothing and wrong answers fail, two verdicts agree")
    machine = Machine(connect_ray(ray_address, recipe.workers), backend)
    made = {
        env: synthesize(context, SynthesisSpec(env, recipe.seed, level, count), "shown", machine)
        for env, level, count in SHOWN
    }
    tasks = make_domain_tasks(context, recipe, machine)
    say("3/5 play tasks of the three domains: what the tools and the verdicts are worth")
    played = {
        env: {name: _play(context, name, env, tally.accepted, backend) for name in ("oracle", "noop")}
        for env, tally in made.items()
    }
    say("4/5 judge the policy on held-out tasks, learn by GRPO, judge it again")
    curve = learn(context, recipe, tasks, machine)
    say("5/5 done")
    return played, curve


def _play(context: Context, name: str, env: str, tasks: list[Task], backend: str | None) -> float:
    """The share of tasks that a scripted policy passes, bugs each in a sandbox of its own."""
    from ..rollout.cluster import share_of_cpus
    from ..rollout.episode import Budget
    from ..rollout.workers import PoolConfig, RolloutPool

    share, budget = share_of_cpus(WORKERS, {}), Budget(turns=environment_class(env).max_turns)
    config = PoolConfig(workers=WORKERS, chunk=2, cpus_per_worker=share, sandbox=backend, budget=budget)
    pool = RolloutPool(parse_policy(name), config)
    passed, done = 0, 0
    try:
        with context.progress.stage(f"{env}, {name}", len(tasks)) as update:
            for episode in pool.run((task, 0) for task in tasks):
                rollout, attached = episode_rows(episode, run_id=context.run_id)
                context.store.add(rollout, *attached)
                passed, done = passed + episode.verdict.passed, done + 1
                update(done, f"{passed} pass")
    finally:
        pool.close()
    context.progress.say(f"  {env}, {name}: {passed} of {len(tasks)} passed")
    return passed / len(tasks)


def _summary(
    run_id: str, out: Path, played: dict[str, dict[str, float]], curve: Curve, seconds: float
) -> dict[str, Any]:
    return {
        "run": run_id,
        "seconds": round(seconds, 1),
        "played": played,
        "held_out": curve.scores(),
        "plot": str(out / "learning.png"),
        "policy": str(out / "policy"),
    }


RECIPE = Path(__file__).with_name("quickstart.toml")
"""What the quickstart learns from, and how. `examples/quickstart.toml` is the same recipe for `palestra train`."""
