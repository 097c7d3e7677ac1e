"""Many in parallel, the shortest kept: `parallel_fewest_step`, the fourth test-time strategy of the V3.2 report.

Several independent episodes of a task are played, and the one that answered in the fewest steps is the result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from .types import Episode

_ANSWERED = ("answered", "submitted")


async def fewest_steps(play: Callable[[int], Awaitable[Episode]], sample: int, count: int) -> Episode:
    """Play `count` episodes at once, `play(number)` each, and keep one as the sample's episode.

    Their numbers, `sample * count` onwards, seed their sampling: no two samples share one.
    """
    numbers = range(sample * count, (sample + 1) * count)
    running = [asyncio.ensure_future(play(number)) for number in numbers]
    try:
        return keep_fewest(await asyncio.gather(*running), sample)
    finally:  # cancelled, or one of them raised: leave nothing running
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def keep_fewest(episodes: Sequence[Episode], sample: int) -> Episode:
    """The valid episode that answered in the fewest turns, the first of equals. Where none answered: one that failed
    of the machinery, for that is not known to be worth nothing; else the first.

    Its metrics tell of the others: `parallel` episodes, `parallel_answered` of them, `parallel_steps_I` turns each.
    """
    answered = [one for one in episodes if one.outcome in _ANSWERED and one.verdict.validity == "valid"]
    broken = [one for one in episodes if one.verdict.validity != "valid"]
    kept = min(answered, key=lambda one: len(one.turns)) if answered else (broken or episodes)[0]
    told = {"parallel": float(len(episodes)), "parallel_answered": float(len(answered))}
    told |= {f"parallel_steps_{index}": float(len(one.turns)) for index, one in enumerate(episodes)}
    return replace(kept, sample=sample, metrics=kept.metrics | told)
