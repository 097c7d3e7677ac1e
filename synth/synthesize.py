"""Make tasks and keep those that can be trusted."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ..envs.environment import Environment
from ..envs.errors import ProposeFailed
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
    """Attempt `number` of the stream that `seed` starts: the same arguments make the same task anywhere."""
    env: Environment = make()
    if level not in env.levels:
        raise ValueError(f"{env.id} has levels {env.levels.start} to {env.levels.stop - 1}, not {level}")
    rng = random.Random(f"{env.id}/{env.version}/{seed}/{level}/{number}")
    try:
        task = env.propose(rng, level)
    except ProposeFailed as failed:
        return Made(number, None, f"not proposed: {failed}")
    except Exception as error:
        return Made(number, None, f"propose raised {type(error).__name__}: {error}")
    certificate = certify(make, task, mutants)
    return Made(number, Certified(task=task, certificate=certificate), ", ".join(certificate.reasons))


def synthesize(make: MakeEnvironment, seed: int, level: int, count: int, attempts: int | None = None) -> Iterator[Made]:
    """Attempts until `count` tasks were accepted or `attempts` (default 4 x count + 20) were made; every attempt is
    yielded.
    """
    kept = 0
    for number in range(attempts or 4 * count + 20):
        made = attempt(make, seed, number, level)
        kept += made.accepted
        yield made
        if kept >= count:
            return
