"""What learns in a run: a learner in this process, or several processes on Ray that act like one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ...policy.distributed import GroupConfig, LearnerGroup
from ...policy.learner import Learner, OptimConfig, TakesSteps
from ...policy.model import DeepseekV32ForCausalLM
from ...rollout.cluster import share_of_cpus
from .recipes import BaseRecipe


@contextmanager
def open_learner(
    recipe: BaseRecipe, model: DeepseekV32ForCausalLM, optim: OptimConfig, workers: int = 0
) -> Iterator[TakesSteps]:
    """The learner of a run with so many rollout `workers`; its processes end with the block."""
    if recipe.processes == 1:
        yield Learner(model, optim)
        return
    placed = GroupConfig(recipe.processes, cpus=cpu_share(recipe, workers), threads=recipe.threads)
    with LearnerGroup(model, optim, group=placed) as group:
        yield group


def cpu_share(recipe: BaseRecipe, workers: int) -> float:
    """The CPUs that each rollout worker, and each process of the learner where it has its own, takes of Ray's."""
    processes = recipe.processes if recipe.processes > 1 else 0
    return share_of_cpus(workers + processes, {})
