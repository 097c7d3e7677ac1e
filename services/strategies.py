"""Test-time strategies by their names on the command line, and a policy that plays by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from ..infra.sandbox.sync import Sandboxes
from ..rollout.contexts import STRATEGIES, ContextConfig
from ..rollout.contexts import Strategy as Rewriting
from ..rollout.errors import EngineError
from ..rollout.types import Policy
from .errors import BadRequest
from .policies import NamedPolicy

PARALLEL = "parallel_fewest_step"
NAMES = (*STRATEGIES, PARALLEL)
_MANY = 4
_SCRIPTED = ("oracle", "noop", "random", "replay")


@dataclass(frozen=True)
class Strategy:
    """What to do when `share` of the window is used, or how many episodes to play `parallel` and keep the shortest of
    (0: `_MANY` of them where that is the strategy, else one).
    """

    name: str = "stop"
    share: float = 0.8
    parallel: int = 0

    def check(self, policy: str) -> None:
        """Raises BadRequest where the policy of that name cannot play so, or the strategy is none."""
        if self.name not in NAMES:
            raise BadRequest(f"context strategy {self.name!r} is not one of {', '.join(NAMES)}")
        if not 0 < self.share <= 1:
            raise BadRequest(f"context-share is {self.share}: it must be above 0 and at most 1")
        if self.parallel < 0 or (self.parallel and self.name != PARALLEL):
            raise BadRequest(f"parallel is {self.parallel}: it is for --context-strategy {PARALLEL}, and at least 1")
        kind = policy.partition(":")[0]
        if self.rewrites and kind in _SCRIPTED:
            raise BadRequest(f"policy {kind} has no context to manage: leave out --context-strategy {self.name}")

    @property
    def rewrites(self) -> bool:
        """Whether contexts are rewritten."""
        return self.name not in ("stop", PARALLEL)

    @property
    def count(self) -> int:
        """How many episodes are played for one."""
        return (self.parallel or _MANY) if self.name == PARALLEL else 1

    def apply(self, policy: NamedPolicy) -> NamedPolicy:
        """The policy as it plays by this strategy."""
        if not self.rewrites:
            return policy
        names = {name: name for name in get_args(Rewriting)}
        return ManagedMaker(policy, ContextConfig(names[self.name], self.share))


@dataclass(frozen=True)
class ManagedMaker:
    """Makes the inner maker's policy, managed by `context`. EngineError where the policy keeps no context itself."""

    inner: NamedPolicy
    context: ContextConfig

    @property
    def identity(self) -> str:
        return self.inner.identity

    @property
    def kind(self) -> str:
        return self.inner.kind

    @property
    def uri(self) -> str:
        return self.inner.uri

    def __call__(self, sandboxes: Sandboxes | None) -> Policy:
        policy = self.inner(sandboxes)
        if not hasattr(policy, "context"):
            raise EngineError(
                f"policy {policy.id!r} speaks text, so its server manages its context, not we: leave out "
                f"--context-strategy {self.context.strategy}"
            )
        policy.context = self.context
        return policy
