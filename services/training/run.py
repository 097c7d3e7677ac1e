"""`palestra train`: run a recipe, with everything it made in the store and under its output folder."""

from __future__ import annotations

from ...infra import store as db
from ...infra.tracing import span
from ..machines import connect_ray
from ..progress import Progress
from .context import Context, open_context
from .curve import Curve
from .recipes import DistillRecipe, DsaRecipe, GrpoRecipe, Recipe, SupervisedRecipe
from .tasks import Machine, domain_sandbox, make_domain_tasks


def run_recipe(
    recipe: Recipe,
    store: db.Store,
    run_id: str,
    ray_address: str | None,
    progress: Progress,
    fresh: bool = False,
) -> tuple[str, Curve | None]:
    """Run a recipe, or go on with it where its folder holds checkpoints (removed first with `fresh`). Returns the run's
    id, which is that of the first time, and the curve of a GRPO run. Raises BadRequest, PolicyError, StoreError.
    """
    with (
        open_context(recipe, store, run_id, progress, fresh) as context,
        span("job", job=context.run_id, kind=recipe.kind),
    ):
        return context.run_id, _run(context, recipe, ray_address)


def _run(context: Context, recipe: Recipe, ray_address: str | None) -> Curve | None:
    if isinstance(recipe, SupervisedRecipe | DsaRecipe) and recipe.processes > 1:
        connect_ray(ray_address, recipe.processes)
    # Each brings torch and more: only what is needed is imported.
    if isinstance(recipe, SupervisedRecipe):
        from .supervised import train_supervised

        train_supervised(context, recipe)
        return None
    if isinstance(recipe, DsaRecipe):
        from .sparse import train_sparse

        train_sparse(context, recipe)
        return None
    if isinstance(recipe, GrpoRecipe) and context.is_complete:
        from .grpo import finish

        return finish(context, recipe)
    cpus = connect_ray(ray_address, max(recipe.workers, recipe.processes))
    if isinstance(recipe, DistillRecipe):
        from .distill import distill

        domains = [domain for teacher in recipe.teachers for domain in teacher.domains]
        distill(context, recipe, Machine(cpus, domain_sandbox(domains, recipe.sandbox, context.progress)))
        return None
    assert isinstance(recipe, GrpoRecipe)
    from .grpo import learn

    machine = Machine(cpus, domain_sandbox(recipe.domains, recipe.sandbox, context.progress))
    return learn(context, recipe, make_domain_tasks(context, recipe, machine), machine)
