"""Training on oracle trajectories: the cold start, from nothing or from a checkpoint, and the two stages of sparse
attention. Deterministic for one seed and machine, and a run that goes on makes the same steps as an unbroken one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ...policy.config import DeepseekV32Config
from ...policy.learner import OptimConfig, TakesSteps
from ...policy.model import DeepseekV32ForCausalLM
from ...policy.sft import SftConfig, fine_tune
from ...rollout.codec import DeepseekCodec
from ...rollout.tokenizer import Tokenizer, train_tokenizer
from ...synth.demonstrations import Demonstrations
from ..checkpoints import Publisher, open_publisher
from ..policies import checkpoint_folder
from .context import Context
from .learners import open_learner
from .recipes import Domain, Mode, SupervisedRecipe
from .snapshots import learner_state, restore_learner

if TYPE_CHECKING:
    from ..progress import Progress

LOG_EVERY = 20


def train_supervised(context: Context, recipe: SupervisedRecipe) -> None:
    """Run an `sft` recipe: the policy is saved in its folder."""
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    publish = _start(context, recipe)
    optim = OptimConfig(lr=recipe.lr, microbatch=recipe.microbatch, routing_bias_speed=recipe.routing_bias_speed)
    schedule = SftConfig(recipe.steps, recipe.dense_steps, recipe.batch, recipe.lr, recipe.final_lr)
    with (
        open_learner(recipe, publish.model, optim) as learner,
        Demonstrations(codecs(publish, recipe.modes), mixture(recipe.domains), recipe.seed) as stream,
    ):
        restore(context, learner, stream)
        steps = fine_tune(learner, stream, schedule, first=context.first_step)
        last = recipe.last_step
        with context.progress.stage("SFT", last) as update:
            for step, metrics in enumerate(
                islice(steps, max(0, last - context.first_step)), start=context.first_step + 1
            ):
                update(step, f"loss {metrics['loss']:.3f}")
                if step % LOG_EVERY == 0 or step == last:
                    context.trackers.log(step, metrics, "sft")
                if context.is_due(step, last):
                    save(context, step, publish, learner, stream)
        replace(publish, model=learner.model)(context.out)
    context.progress.say(f"saved {context.out} ({_size(context.out) / 1e6:.1f} MB)")


def codecs(publish: Publisher, modes: Sequence[Mode]) -> list[DeepseekCodec]:
    """How demonstrations are spoken to this policy."""
    return [DeepseekCodec(publish.tokenizer, mode, show_tools=publish.show_tools) for mode in modes]


def mixture(domains: Sequence[Domain]) -> list[tuple[str, int, float]]:
    """The domains as demonstrations want them."""
    return [(domain.env, domain.level, domain.weight) for domain in domains]


def save(context: Context, step: int, publish: Publisher, learner: TakesSteps, stream: Demonstrations) -> None:
    """A checkpoint to go on from."""
    state = context.header() | {"learner": learner_state(learner), "stream": stream.state_dict()}
    context.snapshots.save(step, replace(publish, model=learner.model), state)


def restore(context: Context, learner: TakesSteps, stream: Demonstrations) -> None:
    """Go on from the checkpoint the run begins with, if any."""
    if state := context.state():
        restore_learner(learner, state["learner"])
        stream.load_state_dict(state["stream"])


def _start(context: Context, recipe: SupervisedRecipe) -> Publisher:
    """The model, the tokeniser and the settings to begin with: the last checkpoint's, the recipe's checkpoint's, or
    new ones.
    """
    if context.begun:
        return open_publisher(context.begun.folder)
    if recipe.checkpoint is not None:
        return open_publisher(checkpoint_folder(recipe.checkpoint))
    assert recipe.model is not None
    tokenizer = _train_tokenizer(recipe, context.progress)
    config = DeepseekV32Config.from_dict(recipe.model | {"vocab_size": tokenizer.vocab_size})
    return Publisher(DeepseekV32ForCausalLM(config), tokenizer, recipe.show_tools, recipe.context)


def _train_tokenizer(recipe: SupervisedRecipe, progress: Progress) -> Tokenizer:
    raw = train_tokenizer([], 300)
    spoken = [DeepseekCodec(raw, mode, show_tools=recipe.show_tools) for mode in recipe.modes]

    def texts(stream: Iterator[Any]) -> Iterator[str]:
        with progress.stage("tokeniser", recipe.tokenizer_texts) as update:
            for number, trajectory in enumerate(islice(stream, recipe.tokenizer_texts), start=1):
                update(number, "")
                yield raw.decode(list(trajectory.tokens))

    with Demonstrations(spoken, mixture(recipe.domains), recipe.seed) as stream:
        return train_tokenizer(list(texts(stream)), int((recipe.model or {}).get("vocab_size", 768)))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
