"""Sequences that share prefixes, laid out so that every shared position stands, and is computed, once.

The sequences are merged into tries; the tries' nodes are numbered depth first. All descendants of a node then follow it
in one contiguous run, so attention over the whole forest is a short list of plain matrix products: the query rows
below a segment times that segment's key rows.

Letters: N nodes, B sequences, T positions of a sequence.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Keys = npt.NDArray[np.int64]
# A stripe of query rows is as tall as this many scores per head allow, within these bounds: small enough for the
# scores to stay in the processor's cache from one pass over them to the next, tall enough for few, large products.
_STRIPE_SCORES = 1 << 18
_STRIPE_ROWS = (64, 256)


@dataclass(frozen=True)
class Segment:
    """A maximal run of nodes without a branch: rows [first, last), the rows of all that follows it [last, end), the
    depth of its first node, and the number of the segment it grows from (-1: it is a root)."""

    first: int
    last: int
    end: int
    depth: int
    parent: int


@dataclass(frozen=True)
class Block:
    """Query rows (counted from the stripe's first) that see keys (rows of the forest), and the keys' depths."""

    rows: slice
    keys: slice
    columns: slice


@dataclass(frozen=True)
class Stripe:
    """Consecutive query rows, one more than the depth of the deepest, and the blocks of keys they see. A block that
    ends in the stripe itself also holds keys that come after a query: there a key's depth is above the query's."""

    rows: slice
    width: int
    blocks: tuple[Block, ...]

    @property
    def height(self) -> int:
        """How many query rows."""
        return int(self.rows.stop - self.rows.start)


@dataclass(frozen=True)
class Forest:
    """``depth_N`` is each node's position in the sequences it belongs to, ``visits_N`` how many those are; ``paths``
    holds each sequence's nodes in order, ``segments`` the runs in order of their rows."""

    depth_N: Tensor
    visits_N: Tensor
    paths: tuple[Tensor, ...]
    segments: tuple[Segment, ...]

    @classmethod
    def grow(cls, sequences: Sequence[Keys]) -> Forest:
        """Merge sequences of keys; positions are one node where all keys up to them agree. ValueError for none."""
        order = sorted(range(len(sequences)), key=lambda number: sequences[number].tolist())
        paths: list[Keys] = [np.zeros(0, np.int64)] * len(sequences)
        parents: list[Keys] = []
        size, before = 0, -1
        for number in order:
            keys = sequences[number]
            shared = 0 if before < 0 else common_prefix(sequences[before], keys)
            new = np.arange(size, size + len(keys) - shared)
            path = np.concatenate((paths[before][:shared], new)) if shared else new
            if len(new):
                parents.append(np.concatenate(([path[shared - 1] if shared else -1], new[:-1])))
            paths[number], before, size = path, number, size + len(new)
        if not size:
            raise ValueError(f"{len(sequences)} sequences hold no position to lay out")
        return cls._laid_out(np.concatenate(parents), paths)

    @classmethod
    def separate(cls, lengths: Sequence[int]) -> Forest:
        """Sequences side by side that share nothing."""
        starts = np.concatenate(([0], np.cumsum(lengths)[:-1])).tolist()
        paths = [np.arange(start, start + length) for start, length in zip(starts, lengths, strict=True)]
        parents = np.arange(-1, sum(lengths) - 1)
        parents[[start for start, length in zip(starts, lengths, strict=True) if length]] = -1
        return cls._laid_out(parents, paths)

    @classmethod
    def _laid_out(cls, parents: Keys, paths: Sequence[Keys]) -> Forest:
        size = len(parents)
        depth, visits = np.zeros(size, np.int64), np.zeros(size, np.int64)
        for path in paths:
            depth[path] = np.arange(len(path))
            visits[path] += 1
        return cls(
            depth_N=torch.from_numpy(depth),
            visits_N=torch.from_numpy(visits),
            paths=tuple(torch.from_numpy(path) for path in paths),
            segments=tuple(_segments(parents, depth)),
        )

    def __len__(self) -> int:
        return len(self.depth_N)

    @property
    def deepest(self) -> int:
        """Positions of the longest sequence."""
        return max(segment.depth + segment.last - segment.first for segment in self.segments)

    @cached_property
    def stripes(self) -> tuple[Stripe, ...]:
        """All query rows in order."""
        return tuple(self._stripes())

    def _stripes(self) -> Iterator[Stripe]:
        firsts = [segment.first for segment in self.segments]
        depths = self.depth_N.tolist()
        low, high = _STRIPE_ROWS
        start = 0
        while start < len(depths):
            width = max(depths[start : start + low]) + 1
            stop = min(start + max(low, min(high, _STRIPE_SCORES // width)), len(depths))
            yield Stripe(slice(start, stop), max(depths[start:stop]) + 1, tuple(self._blocks(start, stop, firsts)))
            start = stop

    def _blocks(self, start: int, stop: int, firsts: list[int]) -> Iterator[Block]:
        number = bisect_right(firsts, start) - 1
        above = number
        while above >= 0:
            yield from _seen(self.segments[above], start, stop)
            above = self.segments[above].parent
        for later in range(number + 1, bisect_right(firsts, stop - 1)):
            yield from _seen(self.segments[later], start, stop)


def _seen(segment: Segment, start: int, stop: int) -> Iterator[Block]:
    """What query rows [start, stop) see of one segment: of themselves, and of what they grow from."""
    own = range(max(start, segment.first), min(stop, segment.last))
    below = range(max(start, segment.last), min(stop, segment.end))
    for rows, last in ((own, own.stop), (below, segment.last)):
        if rows:
            keys = slice(segment.first, last)
            columns = slice(segment.depth, segment.depth + last - segment.first)
            yield Block(slice(rows.start - start, rows.stop - start), keys, columns)


def _segments(parents: Keys, depth: Keys) -> Iterator[Segment]:
    """Cut the depth-first rows where a node is a root or has siblings."""
    children = np.bincount(parents[parents >= 0], minlength=len(parents))
    cuts = np.flatnonzero((parents < 0) | (children[parents] > 1)).tolist()
    lasts = [*cuts[1:], len(parents)]
    segment_of = np.repeat(np.arange(len(cuts)), np.diff([*cuts, len(parents)]))
    ends = lasts.copy()
    depths = depth[cuts].tolist()
    for number in range(len(cuts) - 1, -1, -1):
        after = number + 1
        while after < len(cuts) and depths[after] > depths[number]:
            ends[number] = ends[after]
            after = int(np.searchsorted(cuts, ends[after]))
    for number, (first, last, end) in enumerate(zip(cuts, lasts, ends, strict=True)):
        parent = int(parents[first])
        yield Segment(first, last, end, depths[number], -1 if parent < 0 else int(segment_of[parent]))


def common_prefix(one: Keys, other: Keys) -> int:
    """How many leading keys agree."""
    size = min(len(one), len(other))
    differs = np.flatnonzero(one[:size] != other[:size])
    return int(differs[0]) if len(differs) else size
