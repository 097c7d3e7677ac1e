"""What is left to play: items for workers, and again where an episode came back invalid or its worker died."""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

from ..envs.types import Task
from ..verifiers.types import Verdict
from .types import Episode

Item = tuple[Task, int]
"""A task and the number of its sample."""


@dataclass(frozen=True)
class RetryConfig:
    """An invalid episode is played again at most `retries` times; the waits begin at `backoff_seconds`, double each
    time up to `longest_seconds`, and vary by half (the same way for the same episode). `timeouts`: those too, though
    their seconds were spent.

    `lives` bounds how often an episode may be at work in a worker that dies; the last time it is alone there, so that
    one deadly episode takes no others with it.
    """

    retries: int = 2
    backoff_seconds: float = 0.5
    longest_seconds: float = 30.0
    timeouts: bool = False
    lives: int = 4

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise ValueError(f"retries is {self.retries}: it must be 0 or more")
        if self.lives < 1:
            raise ValueError(f"lives is {self.lives}: it must be at least 1")
        if not 0 <= self.backoff_seconds <= self.longest_seconds:
            raise ValueError(f"backoff is {self.backoff_seconds} seconds: it must be 0 to {self.longest_seconds:g}")

    def wants(self, episode: Episode, attempts: int) -> bool:
        """Whether an episode that was played `attempts` times is played again."""
        if episode.verdict.validity == "valid" or attempts > self.retries:
            return False
        return self.timeouts or episode.outcome != "timeout"

    def wait(self, item: Item, attempts: int) -> float:
        """Seconds before the next attempt."""
        jitter = random.Random(f"{item[0].id}/{item[1]}/{attempts}").uniform(0.5, 1.5)
        return min(self.longest_seconds, self.backoff_seconds * 2.0 ** (attempts - 1)) * jitter


@dataclass
class Work:
    """An item and what has become of it: `attempts` that came back invalid, `deaths` of workers that had it, and when
    it was handed out last.
    """

    number: int
    item: Item
    attempts: int = 0
    deaths: int = 0
    began: float = 0.0


@dataclass(order=True)
class _Due:
    at: float
    number: int
    work: Work = field(compare=False)


class Backlog:
    """Hands out each item until its episode is final. Holds only what waits to be played again; the rest is drawn
    from `items` as it is needed.
    """

    def __init__(
        self, items: Iterable[Item], chunk: int, retry: RetryConfig, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._new: Iterator[Work] = (Work(number, item) for number, item in enumerate(items))
        self._next = next(self._new, None)
        self._chunk, self._retry, self._clock = chunk, retry, clock
        self._again: list[_Due] = []

    @property
    def empty(self) -> bool:
        """Whether everything was handed out and nothing waits to be played again."""
        return self._next is None and not self._again

    @property
    def waiting(self) -> int:
        """How many items wait to be played again."""
        return len(self._again)

    def seconds(self) -> float | None:
        """Seconds until the next of them is due; None where there is none."""
        return max(0.0, self._again[0].at - self._clock()) if self._again else None

    def take(self, beside: Collection[Work] = ()) -> list[Work]:
        """What fills a worker up to a chunk that is at work `beside`: what is due again first, else new items.

        Empty where nothing can be played there now: what is at its last life is alone in its worker.
        """
        room = self._chunk - len(beside)
        if any(map(self._is_last_life, beside)):
            return []
        chunk: list[Work] = []
        while self.seconds() == 0.0 and len(chunk) < room:
            if self._is_last_life(self._again[0].work):
                if not chunk and not beside:
                    chunk.append(heapq.heappop(self._again).work)
                break
            chunk.append(heapq.heappop(self._again).work)
        else:
            chunk += self._draw(room - len(chunk))
        for work in chunk:
            work.began = self._clock()
        return chunk

    def settle(self, work: Work, episode: Episode) -> Episode | None:
        """The final episode of `work`, which says how often it was tried; None where it is played again."""
        work.attempts += 1
        if self._retry.wants(episode, work.attempts):
            self._push(work, self._retry.wait(work.item, work.attempts))
            return None
        tried = work.attempts + work.deaths
        error = episode.error
        if work.attempts > 1 and episode.verdict.validity != "valid":
            error = f"tried {work.attempts} times; the last failure:\n{error}"
        return replace(episode, error=error, metrics=episode.metrics | {"attempts": float(tried)})

    def lose(self, works: Iterable[Work], problem: str) -> Iterator[Episode]:
        """A worker died over `works`: they are played again. What used up its lives comes back as an invalid episode:
        data, never a crash.
        """
        for work in works:
            work.deaths += 1
            if work.deaths < self._retry.lives:
                self._push(work, 0.0)
                continue
            note = f"the worker failed {work.deaths} times while playing this episode"
            verdict = Verdict.invalid("invalid_infra", note)
            metrics = {"attempts": float(work.attempts + work.deaths)}
            yield Episode(*work.item, "", "engine_failed", verdict, error=f"{note}\n{problem}", metrics=metrics)

    def _draw(self, room: int) -> Iterator[Work]:
        while self._next is not None and room > 0:
            yield self._next
            self._next, room = next(self._new, None), room - 1

    def _is_last_life(self, work: Work) -> bool:
        return 0 < work.deaths == self._retry.lives - 1

    def _push(self, work: Work, seconds: float) -> None:
        heapq.heappush(self._again, _Due(self._clock() + seconds, work.number, work))
