"""GRPO as a run that people can follow: the policy is judged, learns, and is judged again.

Everything is in the store when this returns: rollouts, verdicts, policy versions, metrics.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ...infra import store as db
from ...policy.groups import Domain
from ...policy.grpo import GrpoConfig
from ...policy.learner import OptimConfig
from ...policy.model import DeepseekV32ForCausalLM
from ...policy.reinforce import ReinforceConfig, Reinforcer, Update
from ...policy.rewards import RewardConfig
from ...policy.stability import GuardConfig
from ...rollout.episode import Budget
from ...rollout.records import episode_rows
from ...rollout.types import Episode, Sampling
from ...rollout.workers import PoolConfig, RolloutPool
from ..checkpoints import open_publisher
from ..jobs import store_policy
from ..plots import plot_learning
from ..policies import CheckpointMaker, checkpoint_folder, open_checkpoint
from ..pools import InOrder, WatchedPool
from .context import Context
from .curve import Curve
from .learners import cpu_share, open_learner
from .recipes import GrpoRecipe
from .snapshots import learner_state, restore_learner
from .tasks import Machine, Tasks


def learn(context: Context, recipe: GrpoRecipe, tasks: Tasks, machine: Machine) -> Curve:
    """Judge, learn, judge again. The learnt policy is saved as `out/policy`, the plot as `out/learning.png`."""
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    maker = _open_start(recipe)
    store_policy(context.store, maker, context.run_id)
    folder = context.begun.folder if context.begun else Path(maker.uri)
    model = DeepseekV32ForCausalLM.from_pretrained(folder)
    optim = OptimConfig(lr=recipe.lr, microbatch=recipe.microbatch)
    with open_learner(recipe, model, optim, recipe.workers) as learner:
        pool = _pool(maker, recipe, machine)
        try:
            run = Reinforcer(learner, pool, tasks.train, _config(recipe), tasks.held_out_sets(recipe.eval_sets))
            curve = _play(context, recipe, run, tasks)
        finally:
            pool.close()
        _publish(context, recipe, learner.model, maker, curve)
    return curve


def finish(context: Context, recipe: GrpoRecipe) -> Curve:
    """Of a run whose updates are all done, what `learn` leaves behind."""
    assert context.begun is not None
    curve = Curve()
    curve.load_state_dict(context.state()["curve"])
    model = DeepseekV32ForCausalLM.from_pretrained(context.begun.folder)
    _publish(context, recipe, model, _open_start(recipe), curve)
    return curve


def _play(context: Context, recipe: GrpoRecipe, run: Reinforcer, tasks: Tasks) -> Curve:
    """Every update, and a last look at all held-out tasks."""
    curve = Curve()
    if state := context.state():
        restore_learner(run.learner, state["learner"])
        run.load_state_dict(state["run"])
        curve.load_state_dict(state["curve"])
    judged: list[Episode] = []
    with context.progress.stage("GRPO", recipe.updates) as update:
        for done in run.updates():
            judged = _record(context, done)
            if done.step < recipe.updates and judged:
                _judge(context, done.step, judged, curve)
            curve.learn(done.metrics if done.step else {})
            update(done.step, _note(curve))
            if 0 < done.step < recipe.updates and context.is_due(done.step, recipe.updates):
                _save(context, done.step, run, curve, recipe)
        if len(judged) < len(tasks.held_out) or run.guard.good_step != run.step:  # not all, or rolled back since
            judged = _stored(context, run.pool.run([(task, 0) for task in tasks.held_out]))
        _judge(context, run.step, judged, curve)
    if context.is_due(run.step, recipe.updates):  # the last one, with the last look in it
        _save(context, run.step, run, curve, recipe)
    return curve


def _save(context: Context, step: int, run: Reinforcer, curve: Curve, recipe: GrpoRecipe) -> None:
    state = context.header() | {
        "learner": learner_state(run.learner),
        "run": run.state_dict(),
        "curve": curve.state_dict(),
    }
    start = open_publisher(checkpoint_folder(recipe.checkpoint))
    context.snapshots.save(step, replace(start, model=run.learner.model), state)


def _record(context: Context, done: Update) -> list[Episode]:
    """Store an update; the held-out episodes that followed it."""
    _stored(context, done.episodes)
    if done.step:
        context.trackers.log(done.step, done.metrics, "train")
    return _stored(context, (episode for evaluation in done.evaluations for episode in evaluation.episodes))


def _judge(context: Context, step: int, episodes: Sequence[Episode], curve: Curve) -> None:
    context.trackers.log(step, curve.judge(step, episodes), "eval")
    for env in sorted(curve.held_out):
        if found := curve.held_out[env].get(step):
            context.progress.say(f"update {step}: {env} pass@1 {found} on {found.n} held-out tasks")


def _stored(context: Context, episodes: Iterable[Episode]) -> list[Episode]:
    """The episodes, each in the store."""
    found = list(episodes)
    rows: list[db.models.Base] = []
    for episode in found:
        rollout, attached = episode_rows(episode, run_id=context.run_id)
        rows += [rollout, *attached]
    context.store.add(*rows)
    return found


def _note(curve: Curve) -> str:
    rewards = ", ".join(f"{env} {values[-1]:.2f}" for env, values in sorted(curve.rewards.items()))
    return f"reward: {rewards}"


def _open_start(recipe: GrpoRecipe) -> CheckpointMaker:
    sampling = Sampling(
        temperature=recipe.temperature, top_p=recipe.top_p, max_tokens=recipe.turn_tokens, seed=recipe.seed
    )
    maker = open_checkpoint(checkpoint_folder(recipe.checkpoint), sampling, mode=recipe.mode)
    return replace(maker, deterministic=recipe.deterministic)


def _pool(maker: CheckpointMaker, recipe: GrpoRecipe, machine: Machine) -> RolloutPool:
    config = PoolConfig(
        workers=recipe.workers,
        chunk=max(1, recipe.tasks_per_update * recipe.group // recipe.workers),
        cpus_per_worker=cpu_share(recipe, recipe.workers),
        sandbox=machine.sandbox,
        budget=Budget(turns=recipe.turns),
    )
    return InOrder(maker, config) if recipe.deterministic else WatchedPool(maker, config)


def _config(recipe: GrpoRecipe) -> ReinforceConfig:
    return ReinforceConfig(
        updates=recipe.updates,
        tasks=recipe.tasks_per_update,
        group=recipe.group,
        minibatches=recipe.minibatches,
        max_refills=recipe.max_refills,
        lr=recipe.lr,
        temperature=recipe.temperature,
        staleness=recipe.staleness,
        shuffle_rewards=recipe.shuffle_rewards,
        seed=recipe.seed,
        grpo=GrpoConfig(**recipe.objective),
        domains={
            domain.env: Domain(RewardConfig(**domain.reward.model_dump()), domain.kl) for domain in recipe.domains
        },
        guard=GuardConfig(
            every=recipe.eval_every,
            tolerance=recipe.rollback.tolerance,
            slower=recipe.rollback.slower,
            most_rollbacks=recipe.rollback.most,
        ),
    )


def _publish(
    context: Context, recipe: GrpoRecipe, model: DeepseekV32ForCausalLM, maker: CheckpointMaker, curve: Curve
) -> None:
    """The learnt policy beside the tokeniser and settings it began with, in its folder and in the store; the plot."""
    replace(open_publisher(checkpoint_folder(recipe.checkpoint)), model=model)(context.out / "policy")
    learnt = open_checkpoint(context.out / "policy", maker.sampling, mode=recipe.mode)
    row = db.Policy(
        id=learnt.identity,
        kind=learnt.kind,
        uri=learnt.uri,
        parent_id=maker.identity,
        step=recipe.updates,
        run_id=context.run_id,
    )
    context.store.add_once(row)
    title = f"GRPO, {recipe.updates} updates, seed {recipe.seed}"
    plot_learning(context.out / "learning.png", curve.rewards, curve.held_out, title)
