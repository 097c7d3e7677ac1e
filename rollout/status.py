"""What a pool of workers is doing right now: throughput, failures, and the episodes that take longest."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from .types import Episode

WINDOW_SECONDS = 30.0


@dataclass(frozen=True)
class Straggler:
    """An episode that still runs, and for how many seconds."""

    task: str
    sample: int
    seconds: float


@dataclass(frozen=True)
class PoolStatus:
    """A pool at one moment; picklable. Counts are of the run so far, rates (per second) of the last half minute.

    `outcomes` counts what the pool gave out, by outcome; `retried` counts failures that were played again, by outcome,
    and `deaths` the workers that died. `tokens` are sampled ones. `stragglers` are the oldest running episodes.
    """

    episodes: int = 0
    tokens: int = 0
    seconds: float = 0.0
    episodes_per_second: float = 0.0
    tokens_per_second: float = 0.0
    workers: int = 0
    running: int = 0
    waiting: int = 0
    deaths: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    retried: dict[str, int] = field(default_factory=dict)
    stragglers: tuple[Straggler, ...] = ()


class Meter:
    """Counts one run of a pool: each episode once, in constant memory."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._marks: deque[tuple[float, int, int]] = deque([(self._began, 0, 0)])
        self.episodes = self.tokens = self.deaths = 0
        self.outcomes: Counter[str] = Counter()
        self.retried: Counter[str] = Counter()

    def add(self, episode: Episode) -> None:
        """An episode was given out."""
        self.episodes += 1
        self.tokens += sum(len(turn.move.completion.tokens) for turn in episode.turns if turn.move.completion)
        self.outcomes[episode.outcome] += 1
        now = self._clock()
        if now - self._marks[-1][0] >= 1.0:
            self._marks.append((now, self.episodes, self.tokens))
        while len(self._marks) > 1 and now - self._marks[1][0] >= WINDOW_SECONDS:
            self._marks.popleft()

    def status(self, workers: int, waiting: int, running: list[Straggler], oldest: int = 3) -> PoolStatus:
        """The moment's status; `running` are all episodes at work."""
        now = self._clock()
        since, episodes, tokens = self._marks[0]
        span = max(now - since, 1e-9)
        return PoolStatus(
            episodes=self.episodes,
            tokens=self.tokens,
            seconds=now - self._began,
            episodes_per_second=(self.episodes - episodes) / span,
            tokens_per_second=(self.tokens - tokens) / span,
            workers=workers,
            running=len(running),
            waiting=waiting,
            deaths=self.deaths,
            outcomes=dict(self.outcomes),
            retried=dict(self.retried),
            stragglers=tuple(sorted(running, key=lambda one: -one.seconds)[:oldest]),
        )
