"""How processes that hold the same model share the work of a step: each takes some of the microbatches, and what they
found is put together before the optimiser steps, everywhere the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..kernels.forest import common_prefix
from .batches import Sample
from .errors import PolicyError

T = TypeVar("T")


class RankLost(PolicyError):
    """A process died or stopped answering while others counted on it; they cannot go on without it."""


class Ranks(Protocol):
    """The processes that share a step. All of them make the same calls in the same order."""

    def share(self, parts: Sequence[list[Sample]]) -> list[list[Sample]]:
        """Which of all microbatches are this process's."""
        ...

    def gather(self, work: Callable[[], T]) -> list[T]:
        """Do this process's part, and get what each process found, by rank. An error of one is raised in all."""
        ...

    def add_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Make each gradient the sum over all processes; one that has none adds nothing."""
        ...


class Alone:
    """One process that does everything itself."""

    def share(self, parts: Sequence[list[Sample]]) -> list[list[Sample]]:
        """See `Ranks`."""
        return list(parts)

    def gather(self, work: Callable[[], T]) -> list[T]:
        """See `Ranks`."""
        return [work()]

    def add_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """See `Ranks`."""


class Joined:
    """The processes of torch's default process group, which is there already.

    RankLost where another one is gone, or does not come within the group's timeout.
    """

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def share(self, parts: Sequence[list[Sample]]) -> list[list[Sample]]:
        """See `Ranks`."""
        return [part for part, owner in zip(parts, owners(parts, self.size), strict=True) if owner == self.rank]

    def gather(self, work: Callable[[], T]) -> list[T]:
        """See `Ranks`."""
        own: tuple[T | None, Exception | None]
        try:
            own = work(), None
        except Exception as error:
            own = None, _portable(error)
        found: list[Any] = [None] * self.size
        with _lost(self.rank):
            dist.all_gather_object(found, own)
        for _, failed in found:
            if failed is not None:
                raise failed
        return [result for result, _ in found]

    def add_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """See `Ranks`. One reduction for each dtype."""
        kinds: dict[torch.dtype, list[nn.Parameter]] = defaultdict(list)
        for parameter in parameters:
            kinds[parameter.dtype].append(parameter)
        for some in kinds.values():
            flat = torch.cat([_gradient(parameter).reshape(-1) for parameter in some])
            with _lost(self.rank):
                dist.all_reduce(flat)
            totals = torch.split(flat, [parameter.numel() for parameter in some])
            for parameter, total in zip(some, totals, strict=True):
                parameter.grad = total.view_as(parameter)


ALONE = Alone()


def owners(parts: Sequence[Sequence[Sample]], ranks: int) -> list[int]:
    """Which rank computes each microbatch: the largest first, each to the one that has least to do by then. Sizes are
    in distinct positions; a microbatch stays whole, so that what its samples share is still computed once.
    """
    sizes = [_distinct(part) for part in parts]
    loads, found = [0] * ranks, [0] * len(parts)
    for number in sorted(range(len(parts)), key=lambda one: -sizes[one]):
        owner = loads.index(min(loads))
        loads[owner] += sizes[number]
        found[number] = owner
    return found


def _distinct(part: Sequence[Sample]) -> int:
    rows = [np.array(sample.tokens[:-1], np.int64) for sample in part]
    return sum(map(len, rows)) - sum(common_prefix(one, other) for one, other in pairwise(rows))


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _portable(error: Exception) -> Exception:
    """An error that any process can unpickle."""
    if isinstance(error, ValueError):
        return ValueError(str(error))
    return RuntimeError(f"{type(error).__name__}: {error}")


@contextmanager
def _lost(rank: int) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        why = " ".join(str(error).split())[:200]
        raise RankLost(f"process {rank} waited in vain for another one of its group ({why})") from error
