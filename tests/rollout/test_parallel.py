"""Many in parallel, the shortest kept."""

from __future__ import annotations

import asyncio
import random

import pytest

from palestra.envs.mini.search import SearchMini
from palestra.rollout.parallel import fewest_steps, keep_fewest
from palestra.rollout.types import Episode, Move, Outcome, Turn
from palestra.verifiers.types import Verdict

TASK = SearchMini().propose(random.Random(0), 1)


def episode(steps: int, outcome: Outcome = "answered", reward: float | None = 0.0, sample: int = 0) -> Episode:
    verdict = Verdict.invalid("invalid_infra", "broken") if reward is None else Verdict(reward=reward)
    return Episode(TASK, sample, "p", outcome, verdict, turns=(Turn(Move(message=None)),) * steps)


def test_the_fewest_steps_that_answered_win_whatever_they_are_worth() -> None:
    some = [episode(5, reward=1.0), episode(1, "max_turns"), episode(3, "submitted", 0.0), episode(3, reward=1.0)]
    kept = keep_fewest(some, 7)
    assert (kept.sample, len(kept.turns), kept.outcome) == (7, 3, "submitted")
    assert kept.metrics == {
        "parallel": 4.0,
        "parallel_answered": 3.0,
        "parallel_steps_0": 5.0,
        "parallel_steps_1": 1.0,
        "parallel_steps_2": 3.0,
        "parallel_steps_3": 3.0,
    }


def test_a_broken_machine_is_no_answer_and_never_a_zero() -> None:
    broken = episode(1, "answered", None)
    assert keep_fewest([broken, episode(4)], 0).verdict.reward == 0.0
    assert keep_fewest([episode(2, "max_turns"), broken], 0).verdict.validity == "invalid_infra"
    assert keep_fewest([episode(2, "max_turns"), episode(1, "format_error")], 0).outcome == "max_turns"


def test_samples_share_no_seed_and_all_are_played_at_once() -> None:
    async def main() -> None:
        begun: list[int] = []
        together = asyncio.Event()

        async def play(number: int) -> Episode:
            begun.append(number)
            if len(begun) % 3 == 0:
                together.set()
            await together.wait()
            return episode(1 + number % 3, sample=number)

        kept = await fewest_steps(play, 2, 3)
        assert (kept.sample, len(kept.turns)) == (2, 1)
        await fewest_steps(play, 3, 3)
        assert begun == [6, 7, 8, 9, 10, 11]

    asyncio.run(main())


def test_what_raises_leaves_nothing_running() -> None:
    async def main() -> None:
        cancelled: list[int] = []

        async def play(number: int) -> Episode:
            if number == 0:
                raise RuntimeError("broken")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(number)
                raise
            raise AssertionError

        with pytest.raises(RuntimeError, match="broken"):
            await fewest_steps(play, 0, 3)
        assert sorted(cancelled) == [1, 2]

    asyncio.run(main())
