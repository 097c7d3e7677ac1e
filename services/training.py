"""`palestra train`: run a recipe, with everything it made in the store and under its output folder."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ..envs.registry import environment_class
from ..infra import store as db
from ..infra.tracing import span
from .errors import BadRequest
from .jobs import close_run, open_run
from .learning import Curve, Machine, learn, make_domain_tasks
from .machines import connect_ray, sandbox_for
from .progress import Progress
from .recipes import Domain, GrpoRecipe, Recipe, SftRecipe

if TYPE_CHECKING:
    from ..rollout.tokenizer import Tokenizer


def run_recipe(
    recipe: Recipe, store: db.Store, run_id: str, ray_address: str | None, progress: Progress
) -> Curve | None:
    """Run a recipe as run `run_id`; a GRPO run returns its curve. The run's status says how it ended, whatever
    happened.
    """
    out = Path(recipe.out)
    _make_folder(out)
    config = recipe.model_dump() | {"out": str(out.resolve()), "plot": "learning.png"}
    open_run(store, run_id, recipe.kind, config)
    try:
        with span("job", job=run_id, kind=recipe.kind):
            curve = _run(recipe, store, run_id, out, ray_address, progress)
    except BaseException as error:
        close_run(store, run_id, "failed", f"{type(error).__name__}: {error}")
        raise
    close_run(store, run_id, "done")
    return curve


def _run(
    recipe: Recipe, store: db.Store, run_id: str, out: Path, ray_address: str | None, progress: Progress
) -> Curve | None:
    if isinstance(recipe, SftRecipe):
        train_from_nothing(recipe, store, run_id, out, progress)
        return None
    machine = Machine(connect_ray(ray_address, recipe.workers), domain_sandbox(recipe, progress))
    tasks = make_domain_tasks(recipe, store, run_id, machine, progress)
    return learn(recipe, tasks, store, run_id, out, machine, progress)


def domain_sandbox(recipe: GrpoRecipe, progress: Progress) -> str | None:
    """The sandbox backend the recipe's environments need; None where none needs one."""
    names = {domain.env for domain in recipe.domains}
    found = [sandbox_for(environment_class(name), recipe.sandbox, progress.say) for name in sorted(names)]
    return next((name for name in found if name is not None), None)


def train_from_nothing(recipe: SftRecipe, store: db.Store, run_id: str, out: Path, progress: Progress) -> None:
    """Train a tokeniser and a model on oracle trajectories, and save both in `out`. Deterministic for one seed and
    machine.
    """
    import torch

    from ..policy.config import DeepseekV32Config
    from ..policy.learner import Learner, OptimConfig
    from ..policy.model import DeepseekV32ForCausalLM
    from ..policy.sft import SftConfig, fine_tune
    from ..rollout.codec import DeepseekCodec
    from ..synth.demonstrations import demonstrations
    from .checkpoints import save_new_policy

    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    tokenizer = _train_tokenizer(recipe, progress)
    config = DeepseekV32Config.from_dict(recipe.model | {"vocab_size": tokenizer.vocab_size})
    model = DeepseekV32ForCausalLM(config)
    optim = OptimConfig(lr=recipe.lr, microbatch=recipe.microbatch, routing_bias_speed=recipe.routing_bias_speed)
    learner = Learner(model, optim)
    stream = demonstrations(
        DeepseekCodec(tokenizer, show_tools=recipe.show_tools), _mixture(recipe.domains), recipe.seed
    )
    schedule = SftConfig(recipe.steps, recipe.dense_steps, recipe.batch, recipe.lr, recipe.final_lr)
    last = min(recipe.steps, recipe.stop_after or recipe.steps)
    with progress.stage("cold start", last) as update:
        for step, metrics in enumerate(islice(fine_tune(learner, stream, schedule), last), start=1):
            update(step, f"loss {metrics['loss']:.3f}")
            if step % 20 == 0 or step == last:
                store.log_metrics(run_id, step, {f"sft/{name}": value for name, value in metrics.items()})
            if recipe.save_every and step % recipe.save_every == 0:
                save_new_policy(model, tokenizer, out / f"step-{step}", recipe.show_tools, recipe.context)
    save_new_policy(model, tokenizer, out, recipe.show_tools, recipe.context)
    progress.say(f"saved {out} ({sum(path.stat().st_size for path in out.iterdir() if path.is_file()) / 1e6:.1f} MB)")


def _train_tokenizer(recipe: SftRecipe, progress: Progress) -> Tokenizer:
    from ..rollout.codec import DeepseekCodec
    from ..rollout.tokenizer import train_tokenizer
    from ..synth.demonstrations import demonstrations

    raw = train_tokenizer([], 300)
    stream = demonstrations(DeepseekCodec(raw, show_tools=recipe.show_tools), _mixture(recipe.domains), recipe.seed)

    def texts() -> Iterator[str]:
        with progress.stage("tokeniser", recipe.tokenizer_texts) as update:
            for number, trajectory in enumerate(islice(stream, recipe.tokenizer_texts), start=1):
                update(number, "")
                yield raw.decode(list(trajectory.tokens))

    return train_tokenizer(list(texts()), int(recipe.model.get("vocab_size", 768)))


def _mixture(domains: list[Domain]) -> list[tuple[str, int, float]]:
    return [(domain.env, domain.level, domain.weight) for domain in domains]


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadRequest(
            f"cannot make the output folder {out} ({error.strerror}): name another with out=FOLDER"
        ) from error
