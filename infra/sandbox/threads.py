"""Blocking work beside an event loop, also while the interpreter ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run blocking work in the loop's threads."""
    return await in_thread_of(None, work, *args, **kwargs)


async def in_thread_of(executor: Executor | None, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run blocking work in an executor's threads."""
    call = partial(work, *args, **kwargs)
    try:
        future = asyncio.get_running_loop().run_in_executor(executor, call)
    except RuntimeError:  # atexit: no thread starts any more, and nobody is left whom blocking would hold up
        return call()
    return await future
