"""What a turn costs besides the engine and the tools: CPU time of episodes whose engine and tool cost nothing.

The cost of a turn is the slope between short and long episodes, so that what an episode costs once does not count; the
engine hands out ids that were encoded beforehand. Its own microsecond and the tool's are counted in.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import statistics
import time
from collections.abc import Sequence
from typing import Any

from _rollout_world import codec, echo_policy, play_echo

from palestra.rollout.codec import assistant_message

SHORT, LONG = 8, 136
REPEAT = 8
SHOWN = 12
PHRASE = ("hello", "and", "good", "morning")


class Turns:
    """Episodes of Echo with so many words in each call, and so in each result."""

    def __init__(self, words: int) -> None:
        self._said = " ".join(PHRASE[number % len(PHRASE)] for number in range(words))
        self.policy = echo_policy(said=self._said)

    @property
    def tokens(self) -> tuple[int, int]:
        """How many ids a turn samples, and how many its result is rendered to."""
        call = assistant_message("I say it.", calls=[("echo", {"message": self._said})])
        return len(codec().assistant(call)), len(codec().results([f"{self._said} 1"]))

    async def cpu_seconds(self, steps: int) -> float:
        """CPU time of one episode."""
        began = time.process_time()
        for _ in range(REPEAT):
            await play_echo(self.policy, steps)
        return (time.process_time() - began) / REPEAT

    async def per_turn(self) -> float:
        """CPU seconds of one turn."""
        return (await self.cpu_seconds(LONG) - await self.cpu_seconds(SHORT)) / (LONG - SHORT)

    def tokenizing(self) -> float:
        """CPU seconds that the tokenizer takes to encode a turn's result as plain text: no loop can do without."""
        encode, samples = codec().tokenizer.encode, []
        for _ in range(REPEAT):
            began = time.process_time()
            for number in range(LONG):
                encode(f"{self._said} {number}")
            samples.append((time.process_time() - began) / LONG)
        return statistics.median(samples)


def profile(turns: Turns) -> list[dict[str, Any]]:
    """Where the time of a long episode goes: the functions with most time of their own, per turn."""
    profiler = cProfile.Profile()
    with asyncio.Runner() as runner:
        runner.run(play_echo(turns.policy, SHORT))
        profiler.enable()
        for _ in range(REPEAT):
            runner.run(play_echo(turns.policy, LONG))
        profiler.disable()
    spent: Any = pstats.Stats(profiler)
    total_turns = REPEAT * (LONG + 1)
    ranked: Sequence[Any] = sorted(spent.stats.items(), key=lambda item: -item[1][2])[:SHOWN]
    return [
        {
            "function": _named(*place),
            "calls": calls / total_turns,
            "own_us": own / total_turns * 1e6,
            "total_us": total / total_turns * 1e6,
        }
        for place, (_, calls, own, total, _) in ranked
    ]


def _named(file: str, line: int, name: str) -> str:
    place = "/".join(file.split("/")[-2:])
    return name if file == "~" else f"{place}:{line} {name}"
