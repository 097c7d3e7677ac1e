"""The seconds of an episode: one timer bounds all its waits. (`asyncio.timeout` would make one for each, which takes a
quarter of a light turn.)"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DeadlineOver(Exception):
    """The seconds were over before what was waited for."""


class Deadline:
    """`seconds` from now on for the running task. Close it in the end."""

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._at = self._loop.time() + seconds
        self._timer = self._loop.call_at(self._at, self._expire)
        self._waits = self._cancelled = False

    async def wait(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Await the function's result. Raises DeadlineOver once the seconds are over: what then still runs is
        cancelled, but not where somebody else cancelled the task as well."""
        if self._loop.time() >= self._at:
            raise DeadlineOver
        self._waits, others = True, self._task.cancelling()
        try:
            return await function(*args, **kwargs)
        except (Exception, asyncio.CancelledError) as error:
            if self._cancelled and self._task.cancelling() - 1 <= others:
                raise DeadlineOver from error
            raise
        finally:
            self._waits = False
            if self._cancelled:
                self._task.uncancel()
                self._cancelled = False

    def close(self) -> None:
        """Nothing is cancelled any more."""
        self._timer.cancel()

    def _expire(self) -> None:
        if self._waits:
            self._cancelled = self._task.cancel()
