"""Make tasks and keep those that can be trusted."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ..envs.environment import Environment
from ..envs.errors import ProposeFailed
from ..envs.types import Task, canonical
from ..infra.sandbox.types import SandboxError
from .certify import MakeEnvironment, certify
from .types import Certified


@dataclass(frozen=True)
class Made:
    """One attempt: a certified task (accepted or not), or the reason why none was proposed."""

    number: int
    certified: Certified | None
    reason: str = ""

    @property
    def accepted(self) -> bool:
        """True when there is a task and every check of its certificate held."""
        return self.certified is not None and self.certified.certificate.accepted


def attempt(make: MakeEnvironment, seed: int, number: int, level: int, mutants: int = 3) -> Made:
    """Attempt `number` of the stream that `seed` starts: the same arguments make the same task anywhere.

    Raises ValueError for a level the environment does not have. SandboxError passes through.
    """
    env = make()
    if level not in env.levels:
        raise ValueError(f"{env.id} has levels {env.levels.start} to {env.levels.stop - 1}, not {level}")
    stream = f"{env.id}/{env.version}/{seed}/{level}/{number}"
    try:
        task = _propose(env, random.Random(stream), level)
    except ProposeFailed as failed:
        return Made(number, None, f"not proposed: {failed}")
    except SandboxError:
        raise
    except Exception as error:
        return Made(number, None, f"propose raised {type(error).__name__}: {error}"[:500])
    certificate = certify(make, task, mutants, lambda: _propose(make(), random.Random(stream), level))
    return Made(number, Certified(task=task, certificate=certificate), ", ".join(certificate.reasons))


def _propose(env: Environment, rng: random.Random, level: int) -> Task:
    """A task of `env`. TypeError or ValueError where what it proposes is none: other things, not JSON, another's."""
    task: object = env.propose(rng, level)
    if not isinstance(task, Task):
        raise TypeError(f"it returned a {type(task).__name__}, not a Task: build it with self.task(...)")
    if (task.env, task.version, task.level) != (env.id, env.version, level):
        raise ValueError(
            f"the task is of {task.env} {task.version} at level {task.level}, not of {env.id} {env.version} at {level}"
        )
    canonical(task.model_dump())
    return task


def synthesize(make: MakeEnvironment, seed: int, level: int, count: int, attempts: int | None = None) -> Iterator[Made]:
    """Attempts until `count` tasks were accepted or `attempts` (default 4 x count + 20) were made; every attempt is
    yielded.
    """
    kept = 0
    for number in range(4 * count + 20 if attempts is None else attempts):
        made = attempt(make, seed, number, level)
        kept += made.accepted
        yield made
        if kept >= count:
            return
