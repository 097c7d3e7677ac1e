"""The contract of this folder: one chore in a folder of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Tree = Mapping[str, str]
"""Texts by path, relative to the agent's working directory."""


@dataclass(frozen=True)
class Chore:
    """Something to do with files: `before` are the folder's files, `after` what must be there at the end (everything
    else of the folder must be gone). `script` is a shell text that does it another way than the code that computed
    `after`. Files of `latin1` are laid out in that encoding; those of `data` are compared as JSON values.
    """

    name: str
    request: str
    before: Tree
    after: Tree
    script: str
    latin1: frozenset[str] = field(default_factory=frozenset)
    data: frozenset[str] = field(default_factory=frozenset)


Maker = Callable[[random.Random, str, int], Chore]
"""(rng, folder, size from 1) -> a chore whose paths all begin with the folder."""
