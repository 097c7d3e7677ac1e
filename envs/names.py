"""Invented proper names, made of syllables, so that no name can be known in advance."""

from __future__ import annotations

import random

_LETTERS = "babebodadedofafifogagokakekikolalelilomamemimonanenopapeporarerirosasesotatetitovavevivozazo"
SYLLABLES = tuple(_LETTERS[at : at + 2] for at in range(0, len(_LETTERS), 2))


class Names:
    """Draws names from `rng`, each at most once: `Kelori`, `Tovana`, ..."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._used: set[str] = set()

    def draw(self, syllables: int = 3) -> str:
        """A new name."""
        while True:
            name = "".join(self._rng.choice(SYLLABLES) for _ in range(syllables)).capitalize()
            if name not in self._used:
                self._used.add(name)
                return name
