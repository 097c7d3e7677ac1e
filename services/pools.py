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
