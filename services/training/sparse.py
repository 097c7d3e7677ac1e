"""The two stages that make a dense policy sparse, on oracle trajectories (see `policy.dsa_training`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch

from ...policy.batches import Sample
from ...policy.dsa_training import StageConfig, sparse_stage, warm_up
from ...policy.errors import ConfigError
from ...policy.export import import_deepseek_v3
from ...policy.learner import OptimConfig
from ...policy.model import DeepseekV32ForCausalLM
from ...synth.demonstrations import Demonstrations
from ..checkpoints import Publisher, open_publisher, read_config
from ..errors import BadRequest
from ..policies import checkpoint_folder
from .context import Context
from .learners import open_learner
from .recipes import DsaRecipe
from .supervised import LOG_EVERY, codecs, mixture, restore, save

_STAGES = {"dsa-warmup": warm_up, "dsa-sparse": sparse_stage}
_LR = {"dsa-warmup": 1e-3, "dsa-sparse": 7.3e-6}
"""The report's learning rates; the second is for 671 billion parameters."""


def train_sparse(context: Context, recipe: DsaRecipe) -> None:
    """Run a stage: the policy is saved in its folder."""
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    publish = open_publisher(context.begun.folder) if context.begun else _open_start(recipe)
    lr = recipe.lr or _LR[recipe.kind]
    optim = OptimConfig(lr=lr, microbatch=recipe.microbatch, routing_bias_speed=0.0)
    schedule = StageConfig(recipe.steps, lr, recipe.final_lr or lr, warmup=min(10, recipe.steps))
    with (
        open_learner(recipe, publish.model, optim) as learner,
        Demonstrations(codecs(publish, recipe.modes), mixture(recipe.domains), recipe.seed) as stream,
    ):
        restore(context, learner, stream)
        steps = _STAGES[recipe.kind](learner, _batches(stream, recipe.batch), schedule, context.first_step)
        with context.progress.stage(recipe.kind, recipe.steps) as update:
            for step, metrics in enumerate(steps, start=context.first_step + 1):
                update(step, f"loss {metrics['loss']:.3f}, indexer's KL {metrics['indexer_kl']:.4f}")
                if step % LOG_EVERY == 0 or step == recipe.steps:
                    context.trackers.log(step, metrics, recipe.kind)
                if context.is_due(step, recipe.steps):
                    save(context, step, publish, learner, stream)
        replace(publish, model=learner.model)(context.out)
    context.progress.say(f"saved {context.out}")


def _batches(stream: Demonstrations, size: int) -> Iterator[list[Sample]]:
    while True:
        yield [Sample.of(trajectory) for trajectory in islice(stream, size)]


def _open_start(recipe: DsaRecipe) -> Publisher:
    """The recipe's checkpoint; a `deepseek_v3` one gets a new indexer."""
    folder = checkpoint_folder(recipe.checkpoint)
    if read_config(folder).get("model_type") != "deepseek_v3":
        if recipe.index:
            raise BadRequest(f"checkpoint {folder} has an indexer already: leave `index` out")
        return open_publisher(folder)
    return open_publisher(folder, _with_indexer(folder, recipe))


def _with_indexer(folder: Path, recipe: DsaRecipe) -> DeepseekV32ForCausalLM:
    asked = {"n_heads": 64, "head_dim": 128, "topk": 2048} | recipe.index
    if len(asked) > 3:
        raise ConfigError(f"`index` is {recipe.index}: it takes n_heads, head_dim and topk")
    return import_deepseek_v3(
        folder,
        index_n_heads=asked["n_heads"],
        index_head_dim=asked["head_dim"],
        index_topk=asked["topk"],
        seed=recipe.seed,
    )
