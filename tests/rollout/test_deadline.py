"""The deadline of an episode: it ends what waits, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from palestra.rollout.deadline import Deadline, DeadlineOver

SECONDS = 0.02


async def forever() -> None:
    await asyncio.Event().wait()


async def said(word: str) -> str:
    return word


def within(seconds: float, main: Callable[[Deadline], Awaitable[Any]]) -> Any:
    """What `main` returns; afterwards its task is as if nobody had cancelled it."""

    async def go() -> Any:
        deadline = Deadline(seconds)
        task = asyncio.current_task()
        assert task is not None
        try:
            return await main(deadline)
        finally:
            deadline.close()
            assert task.cancelling() == 0

    return asyncio.run(go())


def test_a_wait_that_ends_in_time_is_let_be() -> None:
    async def main(deadline: Deadline) -> list[str]:
        return [await deadline.wait(said, word) for word in "abc"]

    assert within(60.0, main) == ["a", "b", "c"]


def test_a_wait_ends_when_the_seconds_are_over_and_so_does_every_later_one() -> None:
    async def main(deadline: Deadline) -> None:
        for _ in range(2):
            with pytest.raises(DeadlineOver):
                await deadline.wait(forever)
        with pytest.raises(DeadlineOver):
            await deadline.wait(said, "late")

    within(SECONDS, main)


def test_what_is_not_a_wait_is_not_cancelled() -> None:
    async def main(deadline: Deadline) -> str:
        assert await deadline.wait(said, "early") == "early"
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(2 * SECONDS, over.set)
        await over.wait()
        with pytest.raises(DeadlineOver):
            await deadline.wait(said, "late")
        return "whole"

    assert within(SECONDS, main) == "whole"


def test_one_that_does_not_mind_being_cancelled_is_heard_and_one_that_fails_of_it_is_late() -> None:
    async def stubborn() -> str:
        try:
            await forever()
        except asyncio.CancelledError:
            return "anyway"
        raise AssertionError

    async def clumsy() -> None:
        try:
            await forever()
        finally:
            raise OSError("while it was tidying up")

    async def main(deadline: Deadline) -> str:
        return await deadline.wait(stubborn)

    assert within(SECONDS, main) == "anyway"
    with pytest.raises(DeadlineOver):
        within(SECONDS, lambda deadline: deadline.wait(clumsy))


@pytest.mark.parametrize("over", [False, True])
def test_a_cancellation_by_others_passes_through_also_at_the_same_moment(over: bool) -> None:
    async def go() -> None:
        waits = asyncio.Event()
        deadlines: list[Deadline] = []

        async def tell() -> None:
            waits.set()
            await forever()

        async def play() -> None:
            deadlines.append(Deadline(60.0))
            try:
                await deadlines[0].wait(tell)
            finally:
                deadlines[0].close()

        task = asyncio.ensure_future(play())
        await waits.wait()
        if over:
            deadlines[0]._expire()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(go())


def test_a_failure_of_its_own_is_not_the_deadline_s() -> None:
    async def fail() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        within(60.0, lambda deadline: deadline.wait(fail))
