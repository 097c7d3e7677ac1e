"""Make tasks and keep those that can be trusted."""

from __future__ import annotations

import gc
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..envs.environment import Environment
from ..envs.errors import ProposeFailed
from ..envs.types import Task, canonical
from ..infra.sandbox.types import SandboxError
from .certify import MUTANTS, certify
from .stage import MakeEnvironment
from .types import Certified, Depth


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


def attempt(
    make: MakeEnvironment, seed: int, number: int, level: int, mutants: int = MUTANTS, depth: Depth = "quick"
) -> Made:
    """Attempt `number` of the stream that `seed` starts: the same arguments make the same task anywhere.

    Raises ValueError for a level the environment does not have. SandboxError passes through.
    """
    env = make()
    if level not in env.levels:
        raise ValueError(f"{env.id} has levels {env.levels.start} to {env.levels.stop - 1}, not {level}")
    stream = f"{env.id}/{env.version}/{seed}/{level}/{number}"
    try:
        task = propose_from(env, stream, level)
    except ProposeFailed as failed:
        return Made(number, None, f"not proposed: {failed}")
    except SandboxError:
        raise
    except Exception as error:
        return Made(number, None, f"propose raised {type(error).__name__}: {error}"[:500])
    again = lambda: propose_from(make(), stream, level)  # noqa: E731
    certificate = certify(make, task, mutants, again, depth, stream)
    return Made(number, Certified(task=task, certificate=certificate), ", ".join(certificate.reasons))


def collect_seldom() -> None:
    """For processes that make tasks all day: they hold large worlds for ever, and to look through those for garbage
    every few hundred tasks takes a tenth of the time."""
    gc.set_threshold(50_000, 20, 50)


def propose_from(env: Environment, stream: str, level: int) -> Task:
    """The task of the rng that `stream` seeds. TypeError or ValueError where it is none: another thing, not JSON,
    another environment's.
    """
    task: object = env.propose(random.Random(stream), level)
    if not isinstance(task, Task):
        raise TypeError(f"it returned a {type(task).__name__}, not a Task: build it with self.task(...)")
    if (task.env, task.version, task.level) != (env.id, env.version, level):
        raise ValueError(
            f"the task is of {task.env} {task.version} at level {task.level}, not of {env.id} {env.version} at {level}"
        )
    canonical(task.model_dump())
    return task


def without_duplicates(attempts: Iterable[Made]) -> Iterator[Made]:
    """The same attempts, but a task that equals an earlier accepted one in everything but its seed is none."""
    seen: dict[str, str] = {}
    for made in attempts:
        if made.certified is None or not made.accepted:
            yield made
            continue
        task = made.certified.task
        if first := seen.get(task.fingerprint):
            yield Made(made.number, None, f"duplicate of {first}")
        else:
            seen[task.fingerprint] = task.id
            yield made


def synthesize(make: MakeEnvironment, seed: int, level: int, count: int, attempts: int | None = None) -> Iterator[Made]:
    """Attempts until `count` different tasks were accepted or `attempts` (default 4 x count + 20) were made; every
    attempt is yielded.
    """
    kept = 0
    numbers = range(4 * count + 20 if attempts is None else attempts)
    for made in without_duplicates(attempt(make, seed, number, level) for number in numbers):
        kept += made.accepted
        yield made
        if kept >= count:
            return
