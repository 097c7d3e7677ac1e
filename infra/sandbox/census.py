"""All leases of this machine's user, of every backend: who holds what, and the removal of what dead owners left."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from .homes import list_leases
from .select import BACKENDS
from .types import LeaseInfo, SandboxError


@dataclass(frozen=True, slots=True)
class Reaped:
    """Ids of what was removed, and one line for each backend that could not be asked."""

    removed: tuple[str, ...]
    problems: tuple[str, ...]


def census(names: Sequence[str] = tuple(BACKENDS)) -> tuple[LeaseInfo, ...]:
    """Every lease on record, whoever owns it; asks no engine."""
    return tuple(lease for name in names for lease in list_leases(name))


def reap(names: Sequence[str] = tuple(BACKENDS)) -> Reaped:
    """Remove what dead owners left. Leases end by themselves at their deadline. Safe to run at any time, by several
    processes at once, and after any of them was killed."""
    removed: list[str] = []
    problems: list[str] = []
    for name in names:
        try:
            removed += asyncio.run(_reap(name))
        except SandboxError as error:
            problems.append(f"{name}: {error}")
    return Reaped(tuple(removed), tuple(problems))


async def _reap(name: str) -> tuple[str, ...]:
    backend = BACKENDS[name]()
    try:
        return await backend.reap()
    finally:
        await backend.close()
