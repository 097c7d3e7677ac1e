"""What is played again, when, and how often: no Ray, no clock but the test's own."""

from __future__ import annotations

import pickle
import random

import pytest

from palestra.envs.mini.search import SearchMini
from palestra.rollout.backlog import Backlog, Item, RetryConfig
from palestra.rollout.status import Meter, Straggler
from palestra.rollout.types import Episode, Outcome
from palestra.verifiers.types import Verdict

TASK = SearchMini().propose(random.Random(0), 1)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def ended(item: Item, outcome: Outcome = "answered") -> Episode:
    broken = outcome not in ("answered", "max_turns")
    verdict = Verdict.invalid("invalid_infra", "broken") if broken else Verdict(reward=0.0)
    return Episode(*item, "p", outcome, verdict, error="Traceback: broken" if broken else "")


def items(count: int) -> list[Item]:
    return [(TASK, sample) for sample in range(count)]


def test_items_are_drawn_as_they_are_needed() -> None:
    drawn: list[int] = []

    def endless() -> object:
        for sample in range(10**9):
            drawn.append(sample)
            yield TASK, sample

    backlog = Backlog(endless(), 4, RetryConfig())  # type: ignore[arg-type]
    for number in range(100):
        chunk = backlog.take()
        assert [work.number for work in chunk] == list(range(4 * number, 4 * number + 4))
        for work in chunk:
            assert backlog.settle(work, ended(work.item)) is not None
    assert len(drawn) == 401
    assert not backlog.empty


@pytest.mark.parametrize("outcome", ["sandbox_failed", "engine_failed", "env_failed", "verifier_failed"])
def test_a_failure_is_played_again_later_each_time_and_then_kept(outcome: Outcome) -> None:
    clock = Clock()
    backlog = Backlog(items(1), 4, RetryConfig(retries=3, backoff_seconds=1.0), clock)
    (work,) = backlog.take()
    waits = []
    while (final := backlog.settle(work, ended(work.item, outcome))) is None:
        assert backlog.take() == []
        wait = backlog.seconds()
        assert wait is not None
        waits.append(wait)
        clock.now += wait
        assert not backlog.empty
        assert backlog.take() == [work]
    assert backlog.empty
    assert [0.5 * 2**n <= wait <= 1.5 * 2**n for n, wait in enumerate(waits)] == [True] * 3
    assert waits == pytest.approx([RetryConfig(backoff_seconds=1.0).wait(work.item, n) for n in (1, 2, 3)])
    assert final.verdict.reward is None
    assert final.metrics["attempts"] == 4
    assert final.error == "tried 4 times; the last failure:\nTraceback: broken"


def test_a_valid_zero_is_final_and_a_timeout_unless_it_is_asked_for() -> None:
    for outcome, timeouts, again in (("answered", True, False), ("timeout", False, False), ("timeout", True, True)):
        backlog = Backlog(items(1), 1, RetryConfig(timeouts=timeouts))
        (work,) = backlog.take()
        assert (backlog.settle(work, ended(work.item, outcome)) is None) == again  # type: ignore[arg-type]


def test_an_episode_that_succeeds_later_says_how_often_it_was_tried() -> None:
    clock = Clock()
    backlog = Backlog(items(1), 1, RetryConfig(), clock)
    (work,) = backlog.take()
    assert backlog.settle(work, ended(work.item, "env_failed")) is None
    clock.now += 60
    (work,) = backlog.take()
    final = backlog.settle(work, ended(work.item))
    assert final is not None
    assert (final.metrics["attempts"], final.error, final.verdict.reward) == (2.0, "", 0.0)


def test_what_dies_is_alone_at_the_last_time() -> None:
    backlog = Backlog(items(6), 3, RetryConfig(lives=3))
    chunk = backlog.take()
    assert list(backlog.lose(chunk, "died")) == []
    chunk = backlog.take()
    assert [work.number for work in chunk] == [0, 1, 2]
    assert list(backlog.lose(chunk, "died")) == []
    singles = [backlog.take() for _ in range(3)]
    assert [[work.number for work in chunk] for chunk in singles] == [[0], [1], [2]]
    assert [work.number for work in backlog.take()] == [3, 4, 5]
    (gone,) = backlog.lose(singles[1], "killed by signal 9")
    assert (gone.outcome, gone.verdict.validity, gone.sample) == ("engine_failed", "invalid_infra", 1)
    assert "failed 3 times" in gone.error
    assert "killed by signal 9" in gone.error
    assert gone.metrics["attempts"] == 3


def test_a_worker_is_filled_up_and_the_deadly_waits_for_an_empty_one() -> None:
    clock = Clock()
    backlog = Backlog(items(9), 4, RetryConfig(lives=2), clock)
    first = backlog.take()
    clock.now += 5
    more = backlog.take(first[2:])
    assert ([work.number for work in more], [work.began for work in more]) == ([4, 5], [105.0] * 2)
    assert backlog.take([*first[2:], *more]) == []
    assert list(backlog.lose(first[:1], "died")) == []
    assert backlog.take(more) == []
    alone = backlog.take()
    assert [work.number for work in alone] == [0]
    assert backlog.take(alone) == []
    assert [work.number for work in backlog.take(more)] == [6, 7]


def test_bad_settings_are_named() -> None:
    for wrong in ({"retries": -1}, {"lives": 0}, {"backoff_seconds": -1.0}):
        with pytest.raises(ValueError, match="must be"):
            RetryConfig(**wrong)


def test_the_status_counts_and_is_picklable() -> None:
    clock = Clock()
    meter = Meter(clock)
    for second in range(100):
        clock.now += 1
        meter.add(ended((TASK, second), "engine_failed" if second % 4 == 0 else "answered"))
    running = [Straggler("a", 0, 3.0), Straggler("b", 1, 9.0), Straggler("c", 2, 1.0), Straggler("d", 3, 5.0)]
    status = pickle.loads(pickle.dumps(meter.status(2, 1, running)))
    assert (status.episodes, status.running, status.waiting, status.workers) == (100, 4, 1, 2)
    assert status.outcomes == {"answered": 75, "engine_failed": 25}
    assert status.episodes_per_second == pytest.approx(1.0)
    assert [one.task for one in status.stragglers] == ["b", "d", "a"]
    assert len(meter._marks) <= 32
