"""Where updates get their episodes: a stream of tasks, groups played until enough of them carry signal, and a pool that
plays in turn with the learner or, in a thread, ahead of it.

Playing ahead is bounded: the episodes of an update begin no earlier than `staleness` updates before it, with the newest
weights of then, and newer ones are loaded between two episodes while it goes on. So no token is older than that.
"""

from __future__ import annotations

import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from ..envs.types import Task
from ..rollout.types import Episode
from .groups import Domains, groups_of

Item = tuple[Task, int]
"""A task and the number of its sample."""


class Pool(Protocol):
    """Where episodes are played: `rollout.workers.RolloutPool` on Ray, or anything that acts like it."""

    def load_weights(self, weights: dict[str, Any], version: int, /) -> None:
        """Play with these weights from now on, also what is being played."""
        ...

    def run(self, items: Iterable[Item]) -> Iterator[Episode]:
        """One episode per item. `load_weights` may be called between two of them."""
        ...


class TaskStream:
    """Which tasks are played next: each epoch in a new order. Samples of a task are numbered from `group` on and never
    twice, so that each is another episode. ValueError where there are no tasks.
    """

    def __init__(self, tasks: Sequence[Task], group: int, seed: int) -> None:
        if not tasks:
            raise ValueError("there are no tasks to learn from: synthesise some first")
        self._tasks = {task.id: task for task in tasks}
        self._group = group
        self._rng = random.Random(f"reinforce/{seed}/tasks")
        self._epoch: list[str] = []
        self._played: Counter[str] = Counter()

    def draw(self, count: int) -> list[Item]:
        """A group of each of the next `count` tasks."""
        items: list[Item] = []
        for _ in range(count):
            if not self._epoch:
                self._epoch = self._rng.sample(list(self._tasks), len(self._tasks))
            chosen = self._epoch.pop()
            self._played[chosen] += self._group
            items += [(self._tasks[chosen], self._played[chosen] + number) for number in range(self._group)]
        return items

    def state_dict(self) -> dict[str, Any]:
        """Where the stream is, as plain data."""
        return {"rng": self._rng.getstate(), "epoch": list(self._epoch), "played": dict(self._played)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`. ValueError where it was taken over other tasks."""
        for name in state["epoch"]:
            if name not in self._tasks:
                raise ValueError(f"task {name} of the saved run is not among these {len(self._tasks)}: give the same")
        self._rng.setstate(state["rng"])
        self._epoch, self._played = list(state["epoch"]), Counter(state["played"])


@dataclass(frozen=True)
class Round:
    """What one update is made from. `refills` groups were drawn beyond the first ones; `after` is the state of the task
    stream then; `unused` were played by a policy that was rolled back since.
    """

    episodes: tuple[Episode, ...]
    refills: int
    after: dict[str, Any]
    unused: tuple[Episode, ...] = ()


@dataclass(frozen=True)
class Rounds:
    """Plays one round after another: `tasks` groups of `group` episodes, and for each of them without signal another
    (dynamic sampling), `max_refills` of these at most.
    """

    pool: Pool
    stream: TaskStream
    tasks: int
    group: int
    max_refills: int = 0
    domains: Domains | None = None

    def play(self, between: Callable[[], None]) -> Round:
        """The next round. `between` is called after each episode."""
        episodes: list[Episode] = []
        draw, refills = self.tasks, 0
        while draw:
            episodes += self.run(self.stream.draw(draw), between)
            found = sum(group.has_signal for group in groups_of(episodes, self.group, self.domains))
            draw = min(self.tasks - found, self.max_refills - refills)
            refills += draw
        return Round(tuple(episodes), refills, self.stream.state_dict())

    def run(self, items: Sequence[Item], between: Callable[[], None]) -> list[Episode]:
        """The episodes of `items`. `between` is called after each."""
        episodes: list[Episode] = []
        playing = self.pool.run(items)
        try:
            for episode in playing:
                episodes.append(episode)
                between()
        finally:
            if hasattr(playing, "close"):  # what `between` ended still plays
                playing.close()
        return episodes


class Source(Protocol):
    """Hands out rounds to learn from."""

    def load(self, weights: dict[str, Any], version: int, *, anew: bool = False) -> None:
        """Play with these weights, which were learnt from the rounds handed out; `anew`: what was played before is of
        no use.
        """
        ...

    def take(self) -> Round:
        """The next round."""
        ...

    def play(self, items: Sequence[Item]) -> list[Episode]:
        """Episodes of `items` by the weights that were loaded last."""
        ...

    def close(self) -> None:
        """Stop playing."""
        ...


class Alternating:
    """A source that plays only while somebody waits for it: every token is of the newest weights."""

    def __init__(self, rounds: Rounds) -> None:
        self._rounds = rounds

    def load(self, weights: dict[str, Any], version: int, *, anew: bool = False) -> None:
        """See `Source`."""
        self._rounds.pool.load_weights(weights, version)

    def take(self) -> Round:
        """See `Source`."""
        return self._rounds.play(lambda: None)

    def play(self, items: Sequence[Item]) -> list[Episode]:
        """See `Source`."""
        return self._rounds.run(items, lambda: None)

    def close(self) -> None:
        """Nothing plays."""


class _Closed(Exception):
    """Ends the thread between two episodes."""


class Pipelined:
    """A source that plays `updates` rounds in a thread of its own, at most `staleness` ahead. The pool is only used
    there, so that it need not be safe for threads. What goes wrong there is raised by `take` and `play`.
    """

    def __init__(self, rounds: Rounds, staleness: int, updates: int) -> None:
        assert staleness > 0, staleness
        self._rounds, self._staleness, self._left = rounds, staleness, updates
        self._state = threading.Condition()
        self._weights: tuple[dict[str, Any], int] | None = None
        self._asked: Sequence[Item] | None = None
        self._answer: list[Episode] | None = None
        self._ready: deque[tuple[int, Round]] = deque()
        self._era = 0
        self._open = 0  # rounds that were begun, and not yet learnt from
        self._taken = 0  # those of them that were handed out
        self._error: BaseException | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="rounds", daemon=True)

    def load(self, weights: dict[str, Any], version: int, *, anew: bool = False) -> None:
        """See `Source`. The first call begins to play."""
        with self._state:
            self._weights = (weights, version)
            self._open -= self._taken
            self._taken = 0
            self._era += anew
            self._state.notify_all()
        if self._thread.ident is None:
            self._thread.start()

    def take(self) -> Round:
        """See `Source`."""
        unused: list[Episode] = []
        while True:
            with self._state:
                self._wait(lambda: bool(self._ready))
                era, found = self._ready.popleft()
                if era == self._era:
                    self._taken += 1
                    return Round(found.episodes, found.refills, found.after, tuple(unused))
                self._open, self._left = self._open - 1, self._left + 1
                self._state.notify_all()
                unused += found.episodes

    def play(self, items: Sequence[Item]) -> list[Episode]:
        """See `Source`. Waits for the round that is being played."""
        with self._state:
            self._asked, self._answer = items, None
            self._state.notify_all()
            self._wait(lambda: self._answer is not None)
            assert self._answer is not None
            return self._answer

    def close(self) -> None:
        """Stop after the episode that finishes next."""
        with self._state:
            self._closed = True
            self._state.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _wait(self, ready: Callable[[], bool]) -> None:
        self._state.wait_for(lambda: ready() or self._error is not None)
        if self._error is not None and not ready():
            raise self._error

    def _serve(self) -> None:
        try:
            while True:
                self._next_work()()
        except _Closed:
            return
        except BaseException as error:  # whoever waits is told
            with self._state:
                self._error = error
                self._state.notify_all()

    def _next_work(self) -> Callable[[], None]:
        """What is to be played now, once there is something: what was asked for first."""
        with self._state:
            self._state.wait_for(
                lambda: self._closed or self._asked is not None or (self._open <= self._staleness and self._left > 0)
            )
            if self._closed:
                raise _Closed
            if self._asked is not None:
                return partial(self._play_asked, self._asked)
            self._open, self._left = self._open + 1, self._left - 1
            return partial(self._play_round, self._era)

    def _play_asked(self, items: Sequence[Item]) -> None:
        self._between()
        episodes = self._rounds.run(items, self._between)
        with self._state:
            self._asked, self._answer = None, episodes
            self._state.notify_all()

    def _play_round(self, era: int) -> None:
        self._between()
        found = self._rounds.play(self._between)
        with self._state:
            self._ready.append((era, found))
            self._state.notify_all()

    def _between(self) -> None:
        """Hand new weights to the pool, or end."""
        with self._state:
            if self._closed:
                raise _Closed
            weights, self._weights = self._weights, None
        if weights is not None:
            self._rounds.pool.load_weights(*weights)
