"""The pool that jobs of this process play in: a `RolloutPool` whose episodes and status are in the live metrics."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import cast

from ..rollout.backlog import Item
from ..rollout.status import PoolStatus
from ..rollout.types import Episode
from ..rollout.workers import MakePolicy, PoolConfig, RolloutPool, Watch
from .metrics import LIVE


class WatchedPool(RolloutPool):
    """See `RolloutPool`."""

    def __init__(self, make_policy: MakePolicy, config: PoolConfig | None = None, watch: Watch | None = None) -> None:
        def both(status: PoolStatus) -> None:
            LIVE.watch(status)
            if watch is not None:
                watch(status)

        super().__init__(make_policy, config, both)

    def run(self, items: Iterable[Item]) -> Iterator[Episode]:
        with closing(cast("Generator[Episode, None, None]", super().run(items))) as episodes:
            for episode in episodes:
                LIVE.observe(episode)
                yield episode
        LIVE.watch(self.status())


class InOrder(WatchedPool):
    """Hands episodes out as they were asked for, once all are played: what is computed of them does not depend on which
    was faster.
    """

    def run(self, items: Iterable[Item]) -> Iterator[Episode]:
        asked = list(items)
        places = {(task.id, sample): place for place, (task, sample) in enumerate(asked)}
        yield from sorted(super().run(asked), key=lambda episode: places[episode.task.id, episode.sample])
