"""`palestra quickstart`: the main job, end to end, on one machine in minutes.

Make tasks in three domains and certify them; fix bugs in a sandbox; roll a sparse-attention policy out; let it learn
by GRPO on two domains; judge it on held-out tasks before and after; keep everything in the store.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..envs.registry import environment_class
from ..infra import store as db
from ..infra.store.models import new_id
from ..rollout.records import episode_rows
from .jobs import close_run, open_run
from .learning import Curve, Machine, learn, make_domain_tasks, synthesize_stored
from .machines import connect_ray, sandbox_for
from .policies import parse_policy
from .progress import Progress
from .recipes import GrpoRecipe, load_recipe
from .synthesis import SynthesisSpec

BUGFIX_TASKS = 6
"""Certified bug-fixing tasks; each certificate runs the repository's tests some ten times in fresh sandboxes."""


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
    recipe = load_recipe(RECIPE, [f"seed={seed}", *overrides])
    assert isinstance(recipe, GrpoRecipe)
    progress.say("1/5 the sandbox")
    backend = sandbox_for(environment_class("bugfix"), sandbox, progress.say)
    progress.say(f"  {backend} answers; agents' commands run there, without a network")
    run_id = new_id()
    out.mkdir(parents=True, exist_ok=True)
    config = recipe.model_dump() | {"out": str(out.resolve()), "plot": "learning.png", "sandbox": backend}
    open_run(store, run_id, "quickstart", config)
    try:
        fixed, curve = _stages(recipe, store, run_id, out, backend, ray_address, progress)
    except BaseException as error:
        close_run(store, run_id, "failed", f"{type(error).__name__}: {error}")
        raise
    close_run(store, run_id, "done")
    return _summary(run_id, out, fixed, curve, time.monotonic() - began)


def _stages(
    recipe: GrpoRecipe,
    store: db.Store,
    run_id: str,
    out: Path,
    backend: str | None,
    ray_address: str | None,
    progress: Progress,
) -> tuple[dict[str, float], Curve]:
    progress.say(
        "2/5 make tasks and certify them: the oracle passes, doing nothing and wrong answers fail, two verdicts agree"
    )
    machine = Machine(connect_ray(ray_address, recipe.workers), backend)
    tasks = make_domain_tasks(recipe, store, run_id, machine, progress)
    bugs = synthesize_stored(
        SynthesisSpec("bugfix", recipe.seed, 1, BUGFIX_TASKS), store, run_id, "train", machine, progress
    )
    progress.say("3/5 fix bugs in the sandbox: what the tools and the verdicts are worth")
    fixed = {name: _play(name, bugs.accepted, store, run_id, backend, progress) for name in ("oracle", "noop")}
    progress.say("4/5 judge the policy on held-out tasks, learn by GRPO, judge it again")
    curve = learn(recipe, tasks, store, run_id, out, machine, progress)
    progress.say("5/5 done")
    return fixed, curve


def _play(name: str, tasks: list[Any], store: db.Store, run_id: str, backend: str | None, progress: Progress) -> float:
    """The share of bug-fixing tasks that a scripted policy passes, each played in a sandbox of its own."""
    from ..rollout.workers import PoolConfig, RolloutPool

    pool = RolloutPool(parse_policy(name), PoolConfig(workers=2, chunk=2, sandbox=backend))
    passed, done = 0, 0
    try:
        with progress.stage(f"bugfix, {name}", len(tasks)) as update:
            for episode in pool.run((task, 0) for task in tasks):
                rollout, attached = episode_rows(episode, run_id=run_id)
                store.add(rollout, *attached)
                passed, done = passed + episode.verdict.passed, done + 1
                update(done, f"{passed} pass")
    finally:
        pool.close()
    progress.say(f"  {name}: {passed} of {len(tasks)} bugs fixed")
    return passed / len(tasks)


def _summary(run_id: str, out: Path, fixed: dict[str, float], curve: Curve, seconds: float) -> dict[str, Any]:
    return {
        "run": run_id,
        "seconds": round(seconds, 1),
        "bugfix": fixed,
        "held_out": curve.scores(),
        "plot": str(out / "learning.png"),
        "policy": str(out / "policy"),
    }


RECIPE = Path(__file__).with_name("quickstart.toml")
"""What the quickstart learns from, and how. `examples/quickstart.toml` is the same recipe for `palestra train`."""
