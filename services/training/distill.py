"""Specialists into one generalist (V3.2, section 3): each plays new tasks of what it is good at, thinking and not; what
passes is what the generalist is trained on, token for token.

Every episode is stored as it comes. All share one base, so they must share its tokeniser. A run that was killed begins
anew.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ...envs.types import Task
from ...policy.learner import OptimConfig
from ...policy.sft import SftConfig, fine_tune
from ...rollout.cluster import share_of_cpus
from ...rollout.episode import Budget
from ...rollout.records import episode_rows
from ...rollout.types import Episode, Sampling, Trajectory
from ...rollout.workers import PoolConfig
from ..checkpoints import open_publisher
from ..errors import BadRequest
from ..jobs import store_policy
from ..policies import checkpoint_folder, open_checkpoint
from ..pools import WatchedPool
from ..synthesis import SynthesisSpec
from .context import Context
from .learners import open_learner
from .recipes import DistillRecipe, Domain, Mode, Teacher
from .tasks import Machine, synthesize

TOKENIZER = "tokenizer.json"


def distill(context: Context, recipe: DistillRecipe, machine: Machine) -> None:
    """Run a `distill` recipe: the generalist is saved in its folder."""
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    publish = open_publisher(checkpoint_folder(recipe.checkpoint))
    for teacher in recipe.teachers:
        _check_base(recipe, teacher)
    data = [path for number in range(len(recipe.teachers)) for path in _taught(context, recipe, number, machine)]
    if not data:
        raise BadRequest("no teacher passed any task: look at their episodes with `palestra serve`")
    steps = -(-len(data) * recipe.epochs // recipe.batch)
    schedule = SftConfig(steps, 0, recipe.batch, recipe.lr, recipe.lr / 10, warmup=min(20, steps))
    optim = OptimConfig(lr=recipe.lr, microbatch=recipe.microbatch, routing_bias_speed=0.0)
    with (
        open_learner(recipe, publish.model, optim) as learner,
        context.progress.stage("distillation", steps) as update,
    ):
        for step, metrics in enumerate(fine_tune(learner, _epochs(data, recipe.seed), schedule), start=1):
            update(step, f"loss {metrics['loss']:.3f}")
            context.trackers.log(step, metrics, "distill")
        replace(publish, model=learner.model)(context.out)
    context.progress.say(f"saved {context.out}: {len(data)} trajectories of {len(recipe.teachers)} teachers")


def _check_base(recipe: DistillRecipe, teacher: Teacher) -> None:
    own, other = (checkpoint_folder(name) / TOKENIZER for name in (recipe.checkpoint, teacher.checkpoint))
    if not other.is_file() or own.read_bytes() != other.read_bytes():
        raise BadRequest(
            f"teacher {teacher.checkpoint} has another {TOKENIZER} than {recipe.checkpoint}: its token ids would mean "
            "something else; teachers and generalist must come from one base"
        )


def _taught(context: Context, recipe: DistillRecipe, number: int, machine: Machine) -> Iterator[Trajectory]:
    """What one teacher did rightly: the segments of its passing episodes."""
    teacher = recipe.teachers[number]
    for domain in teacher.domains:
        spec = SynthesisSpec(domain.env, recipe.seed + number, domain.level, recipe.tasks)
        tasks = synthesize(context, spec, "distill", machine).accepted
        for mode in teacher.modes:
            played = list(_play(context, recipe, teacher, domain, mode, tasks, machine))
            passed = [episode for episode in played if episode.verdict.passed]
            for episode in sorted(passed, key=lambda one: (one.task.id, one.sample)):  # they came in any order
                yield from (segment for segment in episode.segments if any(segment.mask))
            context.progress.say(
                f"{teacher.checkpoint}, {domain.env} level {domain.level}, {mode}: {len(passed)} of {len(played)} pass"
            )


def _play(
    context: Context,
    recipe: DistillRecipe,
    teacher: Teacher,
    domain: Domain,
    mode: Mode,
    tasks: Sequence[Task],
    machine: Machine,
) -> Iterator[Episode]:
    sampling = Sampling(
        temperature=recipe.temperature, top_p=recipe.top_p, max_tokens=recipe.turn_tokens, seed=recipe.seed
    )
    maker = open_checkpoint(checkpoint_folder(teacher.checkpoint), sampling, mode=mode)
    store_policy(context.store, maker, context.run_id)
    config = PoolConfig(
        workers=recipe.workers,
        cpus_per_worker=share_of_cpus(recipe.workers, {}),
        sandbox=machine.sandbox,
        budget=Budget(turns=recipe.turns),
    )
    pool = WatchedPool(replace(maker, deterministic=recipe.deterministic), config)
    wanted = [(task, sample) for task in tasks for sample in range(recipe.samples)]
    title = f"{Path(teacher.checkpoint).name} plays {domain.env}, {mode}"
    try:
        with context.progress.stage(title, len(wanted)) as update:
            for done, episode in enumerate(pool.run(wanted), start=1):
                rollout, attached = episode_rows(episode, run_id=context.run_id)
                context.store.add(rollout, *attached)
                update(done, "")
                yield episode
    finally:
        pool.close()


def _epochs(data: Sequence[Trajectory], seed: int) -> Iterator[Trajectory]:
    """The trajectories again and again, each time in a new order."""
    rng = random.Random(f"distill/{seed}")
    while True:
        yield from rng.sample(list(data), len(data))
