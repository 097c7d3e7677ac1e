"""How long work tells people where it is: a small Protocol, and the one that says nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..rollout.status import PoolStatus

STRAGGLER_SECONDS = 10.0

Update = Callable[[int, str], None]
"""(how much is done, a short note)."""


class Progress(Protocol):
    """Where work reports to."""

    def say(self, text: str) -> None:
        """One line that stays."""
        ...

    def stage(self, title: str, total: int) -> AbstractContextManager[Update]:
        """A stage of `total` steps; call what it gives with (steps done, note)."""
        ...


class Silent:
    """Says nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Update]:
        """Nothing."""
        yield lambda done, note: None


def status_note(status: PoolStatus) -> str:
    """What a pool is doing, in a few words: throughput, what failed or was played again, the oldest episode."""
    parts = [f"{status.episodes_per_second:.1f} episodes/s, {status.tokens_per_second:.0f} tokens/s"]
    parts += [f"{number} {name}" for name, number in sorted(status.outcomes.items()) if name.endswith("_failed")]
    if status.retried:
        parts.append(f"{sum(status.retried.values())} played again")
    if status.deaths:
        parts.append(f"{status.deaths} workers died")
    if status.stragglers and status.stragglers[0].seconds >= STRAGGLER_SECONDS:
        oldest = status.stragglers[0]
        parts.append(f"oldest {oldest.task[:12]}/{oldest.sample} {oldest.seconds:.0f} s")
    return ", ".join(parts)
