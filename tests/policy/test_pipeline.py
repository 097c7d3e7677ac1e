"""Rounds for updates: the task stream, dynamic sampling, and a pool that plays ahead within its bound. No model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from palestra.envs.types import Task
from palestra.policy.pipeline import Alternating, Item, Pipelined, Round, Rounds, TaskStream
from palestra.rollout.types import Completion, Episode, Move, Turn
from palestra.verifiers.types import Verdict

SECONDS = 30.0


def make_task(seed: int) -> Task:
    return Task(env="bandit", version="1", seed=seed, level=1, prompt="?")


class ScriptedPool:
    """Rewards by a function of the item; each of an episode's two tokens has the version of its time. `before` is
    called before each episode, with its number.
    """

    def __init__(self, reward: Callable[[Item], float | None], before: Callable[[int], None] = lambda n: None) -> None:
        self.reward, self.before = reward, before
        self.version = -1
        self.items: list[Item] = []
        self.threads: set[str] = set()
        self.loaded: list[int] = []
        self.left = 0

    def load_weights(self, state: dict[str, Any], version: int) -> None:
        self.threads.add(threading.current_thread().name)
        self.version = version
        self.loaded.append(version)

    def run(self, items: Iterable[Item]) -> Iterator[Episode]:
        self.threads.add(threading.current_thread().name)
        try:
            for task, sample in items:
                began = self.version
                self.before(len(self.items))
                self.items.append((task, sample))
                reward = self.reward((task, sample))
                verdict = Verdict.invalid("invalid_infra", "no") if reward is None else Verdict(reward=reward)
                said = Completion((1, 2), (-1.0, -1.0), "stop", version=began, versions=(began, self.version))
                yield Episode(task, sample, "stub", "answered", verdict, (Turn(Move(None, (3,), said)),))
        finally:
            self.left += 1


def alternating_reward(item: Item) -> float:
    return float(item[1] % 2)


def rounds(pool: ScriptedPool, tasks: int = 2, seeds: int = 5, refills: int = 0) -> Rounds:
    return Rounds(pool, TaskStream([make_task(n) for n in range(seeds)], 2, 0), tasks, 2, refills)


def versions(found: Round) -> set[int]:
    return {version for episode in found.episodes for path in episode.segments for version in path.versions or ()}


def test_the_stream_plays_every_task_of_an_epoch_and_no_sample_twice() -> None:
    stream = TaskStream([make_task(n) for n in range(5)], 3, seed=1)
    items = [item for _ in range(10) for item in stream.draw(2)]
    assert len({(task.id, sample) for task, sample in items}) == len(items) == 60
    for epoch in range(4):
        assert {task.seed for task, _ in items[epoch * 15 : epoch * 15 + 15]} == set(range(5))
    assert min(sample for _, sample in items) == 3
    assert all(items[n][1] % 3 == n % 3 for n in range(60))


def test_the_stream_goes_on_where_it_was_saved() -> None:
    tasks = [make_task(n) for n in range(5)]
    stream = TaskStream(tasks, 2, seed=1)
    stream.draw(7)
    again = TaskStream(tasks, 2, seed=9)
    again.load_state_dict(stream.state_dict())
    assert again.draw(11) == stream.draw(11)
    state = stream.state_dict()
    with pytest.raises(ValueError, match=r"task bandit-.* of the saved run is not among these 1: give the same"):
        TaskStream([make_task(99)], 2, seed=1).load_state_dict(state | {"epoch": [tasks[0].id]})


def test_groups_without_signal_are_refilled_until_there_are_enough() -> None:
    """Of five tasks only number 3 has signal: each epoch gives one group."""
    pool = ScriptedPool(lambda item: float(item[1] % 2) if item[0].seed == 3 else 1.0)
    found = rounds(pool, tasks=2, refills=100).play(lambda: None)
    draws = [item[0].seed for item in pool.items][::2]
    assert draws.count(3) == 2
    assert 5 < len(draws) <= 10
    assert found.refills == len(draws) - 2
    assert len(found.episodes) == 2 * len(draws)


@pytest.mark.parametrize("reward", [1.0, None])
def test_refills_are_bounded(reward: float | None) -> None:
    pool = ScriptedPool(lambda item: reward)
    found = rounds(pool, tasks=3, refills=7).play(lambda: None)
    assert (found.refills, len(found.episodes)) == (7, 2 * 10)


def test_alternating_plays_with_the_newest_weights() -> None:
    pool = ScriptedPool(alternating_reward)
    source = Alternating(rounds(pool))
    for version in range(4):
        source.load({}, version)
        assert versions(source.take()) == {version}
    assert [one.sample for one in source.play([(make_task(0), 0)])] == [0]
    source.close()


@pytest.mark.parametrize("staleness", [1, 2, 3])
def test_no_token_is_older_than_allowed(staleness: int) -> None:
    pool = ScriptedPool(alternating_reward)
    source = Pipelined(rounds(pool), staleness, updates=30)
    source.load({}, 0)
    ages = []
    for version in range(30):
        found = source.take()
        ages += [version - one for one in versions(found)]
        source.load({}, version + 1)
    source.close()
    assert min(ages) >= 0
    assert max(ages) <= staleness
    assert len(pool.items) == 30 * 4, "nothing is played that no update needs"
    assert pool.threads == {"rounds"}
    assert not source._thread.is_alive()


@pytest.mark.parametrize("staleness", [1, 2, 3])
def test_the_pool_plays_ahead_of_a_learner_that_takes_its_time(staleness: int) -> None:
    """A learner that loads nothing gets `staleness` more rounds than the first, and no other is begun meanwhile."""
    pool = ScriptedPool(alternating_reward)
    source = Pipelined(rounds(pool), staleness, updates=10)
    source.load({}, 0)
    taken = [source.take() for _ in range(staleness + 1)]
    assert all(versions(found) == {0} for found in taken)
    assert len(pool.items) == (staleness + 1) * 4
    source.load({}, 1)
    assert versions(source.take()) == {1}
    source.close()


def test_new_weights_reach_what_is_being_played() -> None:
    """The round waits in its first episode until new weights are there: the later ones are of these."""
    begun, go = threading.Event(), threading.Event()

    def before(number: int) -> None:
        begun.set()
        assert go.wait(SECONDS)

    pool = ScriptedPool(alternating_reward, before)
    source = Pipelined(rounds(pool), 1, updates=1)
    source.load({}, 0)
    assert begun.wait(SECONDS)
    source.load({}, 1)
    go.set()
    found = source.take()
    source.close()
    assert [episode.segments[0].versions for episode in found.episodes] == [(0, 0), (1, 1), (1, 1), (1, 1)]


def test_what_a_rolled_back_policy_played_is_handed_over_but_not_learnt_from() -> None:
    begun, go = threading.Event(), threading.Event()

    def before(number: int) -> None:
        if number == 4:  # the first episode of the second round
            begun.set()
            assert go.wait(SECONDS)

    pool = ScriptedPool(alternating_reward, before)
    source = Pipelined(rounds(pool), 1, updates=3)
    source.load({}, 0)
    first = source.take()
    assert begun.wait(SECONDS)
    source.load({}, 1)
    source.load({}, 2, anew=True)
    go.set()
    second, third = source.take(), None
    source.load({}, 3)
    third = source.take()
    source.close()
    assert [len(found.unused) for found in (first, second, third)] == [0, 4, 0]
    assert [(one.task, one.sample) for one in second.unused + second.episodes] == pool.items[4:12]
    assert versions(second) == {2}
    assert len(pool.items) == 4 * 4


def test_what_is_asked_for_is_played_by_the_newest_weights() -> None:
    pool = ScriptedPool(alternating_reward)
    source = Pipelined(rounds(pool), 2, updates=5)
    source.load({}, 0)
    source.take()
    source.load({}, 1)
    found = source.play([(make_task(7), 0), (make_task(8), 0)])
    source.close()
    assert [one.task.seed for one in found] == [7, 8]
    assert {one.segments[0].versions for one in found} == {(1, 1)}
    assert pool.threads == {"rounds"}


def test_a_pool_that_fails_is_told_to_who_waits() -> None:
    def fail(number: int) -> None:
        raise RuntimeError(f"episode {number} has no place")

    source = Pipelined(rounds(ScriptedPool(alternating_reward, fail)), 1, updates=2)
    source.load({}, 0)
    with pytest.raises(RuntimeError, match="episode 0 has no place"):
        source.take()
    with pytest.raises(RuntimeError, match="episode 0 has no place"):
        source.play([(make_task(0), 0)])
    source.close()


def test_closing_ends_what_is_being_played() -> None:
    playing = threading.Event()

    def before(number: int) -> None:
        playing.set()
        with source._state:
            assert source._state.wait_for(lambda: source._closed, SECONDS)

    pool = ScriptedPool(alternating_reward, before)
    source = Pipelined(rounds(pool), 1, updates=2)
    source.load({}, 0)
    assert playing.wait(SECONDS)
    source.close()
    assert not source._thread.is_alive()
    assert len(pool.items) == 1
    assert pool.left == 1


def test_a_source_that_never_played_can_be_closed() -> None:
    Pipelined(rounds(ScriptedPool(alternating_reward)), 1, updates=2).close()
