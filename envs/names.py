"""Invented proper names, made of syllables, so that no name can be known in advance and held-out tasks have other names."""

from __future__ import annotations

import random

_SYLLABLES = (
    "ba be bo da de do fa fi fo ga go ka ke ki ko la le li lo ma me mi mo na ne no pa pe po ra re ri ro sa se so ta te ti to va ve vi vo za zo"
).split()


class Names:
    """Draws names from `rng`, each at most once: `Kelori`, `Tovana`, ..."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._used: set[str] = set()

    def draw(self, syllables: int = 3) -> str:
        """A new name."""
        while True:
            name = "".join(self._rng.choice(_SYLLABLES) for _ in range(syllables)).capitalize()
            if name not in self._used:
                self._used.add(name)
                return name
