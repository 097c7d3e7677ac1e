"""How long work tells people where it is: a small Protocol, and the one that says nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Update = Callable[[int, str], None]
"""(how much is done, a short note)."""


class Progress(Protocol):
    """Where work reports to."""

    def say(self, text: str) -> None:
        """One line that stays."""
        ...

    def stage(self, title: str, total: int) -> AbstractContextManager[Update]:
        """A stage of `total` steps; call what it gives with (steps done, note)."""
        ...


class Silent:
    """Says nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Update]:
        """Nothing."""
        yield lambda done, note: None
