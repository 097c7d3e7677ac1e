"""GRPO as a run that people can follow: tasks are made and certified, the policy is judged, learns, and is judged
again.

Everything is in the store when this returns: tasks, certificates, rollouts, verdicts, policy versions, metrics.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..envs.types import Task
from ..infra import store as db
from ..rollout.records import episode_rows
from ..rollout.types import Episode, Sampling
from .errors import BadRequest
from .estimates import Estimate, mean_of
from .jobs import store_policy
from .policies import COLDSTART, CheckpointMaker, open_checkpoint
from .progress import Progress
from .recipes import GrpoRecipe
from .synthesis import SynthesisSpec, Tally, make_tasks, store_made

if TYPE_CHECKING:
    from ..policy.learner import Learner
    from ..policy.reinforce import ReinforceConfig, Update
    from ..rollout.workers import RolloutPool

HELD_OUT_SEED = 1_000_003
"""Held-out tasks come from the stream of `recipe.seed + HELD_OUT_SEED`: other worlds, other names."""


@dataclass
class Curve:
    """What was seen while learning: held-out pass@1 by environment and update, and the reward of each update."""

    held_out: dict[str, dict[int, Estimate]] = field(default_factory=lambda: defaultdict(dict))
    rewards: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def before(self, env: str) -> Estimate:
        """pass@1 before the first update."""
        return self.held_out[env][0]

    def after(self, env: str) -> Estimate:
        """pass@1 after the last update."""
        return self.held_out[env][max(self.held_out[env])]

    def scores(self) -> dict[str, dict[str, dict[str, float]]]:
        """pass@1 before and after, by environment, as plain data."""
        return {
            env: {"before": asdict(self.before(env)), "after": asdict(self.after(env))} for env in sorted(self.held_out)
        }


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


def make_domain_tasks(recipe: GrpoRecipe, store: db.Store, run_id: str, machine: Machine, progress: Progress) -> Tasks:
    """Make and certify the tasks of all domains, storing each attempt's task and certificate."""
    train: list[Task] = []
    held_out: list[Task] = []
    for domain in recipe.domains:
        for split, count, seed in (
            ("train", recipe.train_tasks, recipe.seed),
            ("held-out", recipe.held_out, recipe.seed + HELD_OUT_SEED),
        ):
            spec = SynthesisSpec(domain.env, seed, domain.level, count)
            spec.check()
            tally = synthesize_stored(spec, store, run_id, split, machine, progress)
            (train if split == "train" else held_out).extend(tally.accepted)
    known = {task.id for task in train}
    return Tasks(tuple(train), tuple(task for task in held_out if task.id not in known))


def synthesize_stored(
    spec: SynthesisSpec, store: db.Store, run_id: str, split: str, machine: Machine, progress: Progress
) -> Tally:
    """Make `spec.count` certified tasks, store every attempt, and say how many were rejected and why."""
    tally = Tally()
    title = f"{spec.env} level {spec.level}, {split}"
    with progress.stage(title, spec.count) as update:
        for made in make_tasks(spec, machine.sandbox, machine.cpus):
            store_made(store, made, run_id, split)
            tally.add(made)
            update(len(tally.accepted), f"{tally.rejected} rejected")
    why = f": {tally.why()}" if tally.rejected else ""
    progress.say(f"{title}: {len(tally.accepted)} certified, {tally.rejected} rejected{why}")
    if not tally.accepted:
        raise BadRequest(f"no {spec.env} task of level {spec.level} could be certified{why}")
    return tally


def learn(
    recipe: GrpoRecipe, tasks: Tasks, store: db.Store, run_id: str, out: Path, machine: Machine, progress: Progress
) -> Curve:
    """Judge, learn, judge again. The learnt policy is saved as `out/policy`, the plot as `out/learning.png`."""
    import torch

    from ..policy.learner import Learner, OptimConfig
    from ..policy.model import DeepseekV32ForCausalLM
    from ..policy.reinforce import reinforce

    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    maker = _open_start(recipe)
    store_policy(store, maker, run_id)
    learner = Learner(
        DeepseekV32ForCausalLM.from_pretrained(maker.uri), OptimConfig(lr=recipe.lr, microbatch=recipe.microbatch)
    )
    pool = _pool(maker, recipe, machine)
    curve = Curve()
    try:
        with progress.stage("GRPO", recipe.updates) as update:
            _judge(pool, tasks.held_out, 0, curve, store, run_id, progress)
            for done in reinforce(learner, pool, tasks.train, _reinforce_config(recipe)):
                _record(done, curve, store, run_id)
                update(done.step, _note(done, curve))
                if done.step % recipe.eval_every == 0 or done.step == recipe.updates:
                    _judge(pool, tasks.held_out, done.step, curve, store, run_id, progress)
    finally:
        pool.close()
    _save(learner, maker, out, store, run_id, recipe)
    _plot(curve, out, recipe)
    return curve


def _open_start(recipe: GrpoRecipe) -> CheckpointMaker:
    folder = COLDSTART if recipe.checkpoint == "coldstart" else Path(recipe.checkpoint)
    sampling = Sampling(
        temperature=recipe.temperature, top_p=recipe.top_p, max_tokens=recipe.turn_tokens, seed=recipe.seed
    )
    return open_checkpoint(folder, sampling)


def _pool(maker: CheckpointMaker, recipe: GrpoRecipe, machine: Machine) -> RolloutPool:
    from ..rollout.episode import Budget
    from ..rollout.workers import PoolConfig
    from .pools import WatchedPool

    chunk = max(1, recipe.tasks_per_update * recipe.group // recipe.workers)
    config = PoolConfig(
        workers=recipe.workers,
        chunk=chunk,
        cpus_per_worker=min(1.0, machine.cpus / recipe.workers),
        sandbox=machine.sandbox,
        budget=Budget(turns=recipe.turns),
    )
    return WatchedPool(maker, config)


def _reinforce_config(recipe: GrpoRecipe) -> ReinforceConfig:
    from ..policy.grpo import GrpoConfig
    from ..policy.reinforce import ReinforceConfig

    return ReinforceConfig(
        updates=recipe.updates,
        tasks=recipe.tasks_per_update,
        group=recipe.group,
        minibatches=recipe.minibatches,
        lr=recipe.lr,
        temperature=recipe.temperature,
        shuffle_rewards=recipe.shuffle_rewards,
        seed=recipe.seed,
        grpo=GrpoConfig(clip=recipe.clip, off_policy=recipe.off_policy),
    )


def _judge(
    pool: RolloutPool, tasks: Sequence[Task], step: int, curve: Curve, store: db.Store, run_id: str, progress: Progress
) -> None:
    """pass@1 on held-out tasks, one episode each; an episode without a valid verdict counts for nothing and is
    reported.
    """
    scores: dict[str, list[float]] = defaultdict(list)
    episodes = []
    for episode in pool.run((task, 0) for task in tasks):
        episodes.append(episode)
        if episode.verdict.reward is not None:
            scores[episode.task.env].append(float(episode.verdict.passed))
    _store(episodes, store, run_id)
    metrics: dict[str, float] = {"eval/invalid": len(episodes) - sum(map(len, scores.values()))}
    for env, values in sorted(scores.items()):
        found = curve.held_out[env][step] = mean_of(values)
        name = f"eval/{env}/pass@1"
        metrics |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        progress.say(f"update {step}: {env} pass@1 {found} on {found.n} held-out tasks")
    store.log_metrics(run_id, step, metrics)


def _record(done: Update, curve: Curve, store: db.Store, run_id: str) -> None:
    _store(done.episodes, store, run_id)
    store.log_metrics(run_id, done.step, {f"train/{name}": value for name, value in done.metrics.items()})
    for name, value in done.metrics.items():
        if name.startswith("reward/"):
            curve.rewards[name.removeprefix("reward/")].append(value)


def _store(episodes: Sequence[Episode], store: db.Store, run_id: str) -> None:
    rows: list[db.models.Base] = []
    for episode in episodes:
        rollout, attached = episode_rows(episode, run_id=run_id)
        rows += [rollout, *attached]
    store.add(*rows)


def _note(done: Update, curve: Curve) -> str:
    rewards = ", ".join(f"{env} {values[-1]:.2f}" for env, values in sorted(curve.rewards.items()))
    return f"reward: {rewards}"


def _save(
    learner: Learner, maker: CheckpointMaker, out: Path, store: db.Store, run_id: str, recipe: GrpoRecipe
) -> None:
    """The learnt policy beside the tokeniser and settings it began with."""
    from .checkpoints import save_policy

    save_policy(learner.model, Path(maker.uri), out / "policy")
    learnt = open_checkpoint(out / "policy", maker.sampling)
    row = db.Policy(
        id=learnt.identity,
        kind=learnt.kind,
        uri=learnt.uri,
        parent_id=maker.identity,
        step=recipe.updates,
        run_id=run_id,
    )
    store.add_once(row)


def _plot(curve: Curve, out: Path, recipe: GrpoRecipe) -> None:
    from .plots import plot_learning

    plot_learning(
        out / "learning.png", curve.rewards, curve.held_out, f"GRPO, {recipe.updates} updates, seed {recipe.seed}"
    )
