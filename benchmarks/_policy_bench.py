"""What the rows of the policy's benchmark share: sizes, turns, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from _common import Row, Side, take_turns
from _policy_peers import Peer
from _policy_world import Tree, World
from rich.progress import Progress


@dataclass(frozen=True)
class Scale:
    """Sizes of the issue's table, and how often the quick sides take turns for one of the slow ones."""

    group: int = 64
    prompt: int = 512
    new: int = 64
    response: int = 32
    dtypes: tuple[str, ...] = ("float32", "bfloat16")
    prompts: int = 64
    longest: int = 256
    trees: tuple[Tree, ...] = (Tree(), Tree(turns=20, forks=(5, 10, 15)))
    context: int = 32 * 1024
    steps: int = 8
    rounds: int = 1
    more: int = 2


QUICK = Scale(16, 128, 16, 8, ("float32",), 16, 64, (Tree(turns=10, forks=(5,)),), 8 * 1024, 2, 1, 1)


@dataclass
class Bench:
    """What the measurements share and what they found."""

    scale: Scale
    work: Path
    progress: Progress
    world: World
    rows: list[Row] = field(default_factory=list)
    sides: dict[str, dict[str, Any]] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    async def compare(self, title: str, slow: Sequence[Side], quick: Sequence[Side]) -> None:
        """Let the sides take turns, the quick ones again afterwards, and keep their figures."""
        rounds, more = self.scale.rounds, self.scale.more
        sides = [*quick, *slow]
        bar = self.progress.add_task(title, total=rounds * len(sides) + more * len(quick))
        tick = partial(self.progress.advance, bar)
        await take_turns(sides, rounds, tick, burst=1, warm_ups=0)
        await take_turns(quick, more, tick, burst=1, warm_ups=0)
        for side in sides:
            self.sides[f"{title}: {side.name}"] = side.report()

    def met(self, name: str, peer: Peer) -> None:
        """Keep what a peer says of itself."""
        self.figures.setdefault("peers", {})[name] = peer.about
