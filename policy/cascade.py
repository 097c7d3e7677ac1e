"""Which cached tokens the rows of a decoding step share: the plan by which attention reads the cache.

Rows are sorted by their pages, so that those with a common beginning stand together; a stretch of pages that the same
rows see becomes one run, asked by one product. Each row's last pages become columns, a batched product over rows.

A batch's scores stand in one buffer [rows, width]: runs at the position they begin at, columns behind all runs, counted
from a row's end, so that rows of any length line up.

Letters: D rows, P tokens per page, S slots.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import torch
from torch import Tensor

from .cache import Context, Page, PagedCache

Slots = slice | Tensor
# Fewer pages than this of one row alone are cheaper as columns.
_RUN_PAGES = 4


def read(store: Tensor, slots: Slots) -> Tensor:
    """Rows of one layer's ``store``: a view where they are neighbours, else a copy."""
    return store[slots] if isinstance(slots, slice) else store.index_select(0, slots)


@dataclass(frozen=True)
class Run:
    """Complete pages seen by the rows ``rows``; their scores stand at ``at``. ``key`` names the pages for ever."""

    rows: slice
    at: int
    slots: Slots
    length: int
    key: tuple[int, ...]


@dataclass(frozen=True)
class Column:
    """One page of each of ``rows``, of which ``starts_D`` are the positions; their scores stand at ``at``."""

    rows: Slots
    at: int
    slots: Slots
    starts_D: Tensor


@dataclass(frozen=True)
class Batch:
    """Rows ``first`` to ``last`` of the step, computed together."""

    first: int
    last: int
    page_size: int
    width: int
    runs: list[Run]
    columns: list[Column]

    @cached_property
    def places(self) -> tuple[Tensor, Tensor]:
        """The slot behind each place of the buffer, and its position in the row's context; int64 [D, width]."""
        slots_DS = torch.zeros(self.last - self.first, self.width, dtype=torch.long)
        positions_DS = torch.zeros_like(slots_DS)
        for run in self.runs:
            here = slice(run.at, run.at + run.length)
            known = run.slots if isinstance(run.slots, Tensor) else torch.arange(run.slots.start, run.slots.stop)
            slots_DS[run.rows, here] = known
            positions_DS[run.rows, here] = torch.arange(run.at, run.at + run.length)
        for column in self.columns:
            here = slice(column.at, column.at + self.page_size)
            flat = (
                column.slots
                if isinstance(column.slots, Tensor)
                else torch.arange(column.slots.start, column.slots.stop)
            )
            slots_DS[column.rows, here] = flat.view(-1, self.page_size)
            positions_DS[column.rows, here] = column.starts_D.unsqueeze(-1) + torch.arange(self.page_size)
        return slots_DS, positions_DS


def plan(cache: PagedCache, contexts: Sequence[Context], positions: Sequence[int]) -> tuple[list[int], list[Batch]]:
    """Batches over the rows in a new order, and that order; row d sees the positions up to ``positions[d]``."""
    size = cache.page_size
    tables = [context.pages[: at // size + 1] for context, at in zip(contexts, positions, strict=True)]
    keys = [[page.serial for page in table] for table in tables]
    order = sorted(range(len(tables)), key=lambda row: keys[row])
    families = [list(rows) for _, rows in groupby(order, key=lambda row: keys[row][0])]
    # Rows of like length together: the buffer is as wide as its longest row.
    families.sort(key=lambda rows: _length_class(tables, rows))
    sorted_rows: list[int] = []
    batches = []
    for _, group in groupby(families, key=lambda rows: _length_class(tables, rows)):
        members = [row for family in group for row in family]
        batches.append(_batch([tables[row] for row in members], len(sorted_rows), size))
        sorted_rows += members
    return sorted_rows, batches


def _length_class(tables: Sequence[Sequence[Page]], rows: Sequence[int]) -> int:
    return max(len(tables[row]) for row in rows).bit_length()


def _batch(tables: list[list[Page]], first: int, size: int) -> Batch:
    runs: list[Run] = []
    tails: list[int] = [0] * len(tables)
    for rows, start, stop in _stretches(tables, 0, len(tables), 0):
        pages = tables[rows.start][start:stop]
        runs += _runs(rows, start, pages, size)
        tails[rows.start : rows.stop] = [stop] * (rows.stop - rows.start)
    after = max((run.at + run.length for run in runs), default=0)
    columns = []
    most = max(len(table) - tail for table, tail in zip(tables, tails, strict=True))
    for back in range(most):
        having = [row for row, table in enumerate(tables) if len(table) - back > tails[row]]
        last = [tables[row][-1 - back] for row in having]
        starts = torch.tensor([(len(tables[row]) - 1 - back) * size for row in having])
        columns.append(Column(_slots(having), after + back * size, _page_slots(last, size), starts))
    return Batch(first, first + len(tables), size, after + most * size, runs, columns)


def _stretches(tables: list[list[Page]], low: int, high: int, depth: int) -> Iterator[tuple[slice, int, int]]:
    """(rows, first page, page after the last) of each stretch of complete pages that exactly those rows share; a row's
    own stretch leaves out its last page and counts only when long. Tables are sorted, all alike before ``depth``."""
    if high - low == 1:
        if len(tables[low]) - 1 - depth >= _RUN_PAGES:
            yield slice(low, high), depth, len(tables[low]) - 1
        return
    end, one, other = depth, tables[low], tables[high - 1]
    while end < min(len(one), len(other)) and one[end] is other[end]:
        end += 1
    if end > depth:
        yield slice(low, high), depth, end
    groups = groupby(range(low, high), key=lambda row: tables[row][end].serial if len(tables[row]) > end else -1)
    for serial, group in groups:
        rows = list(group)
        if serial >= 0:
            yield from _stretches(tables, rows[0], rows[-1] + 1, end)


def _runs(rows: slice, start: int, pages: list[Page], size: int) -> Iterator[Run]:
    """The stretch as runs of neighbouring pages, or as one to be gathered where memory is too scattered."""
    breaks = [n for n in range(1, len(pages)) if pages[n].number != pages[n - 1].number + 1]
    if len(breaks) * _RUN_PAGES > len(pages):
        breaks = []
    for low, high in zip([0, *breaks], [*breaks, len(pages)], strict=True):
        part = pages[low:high]
        key = tuple(page.serial for page in part)
        yield Run(rows, (start + low) * size, _page_slots(part, size), len(part) * size, key)


def _page_slots(pages: Sequence[Page], size: int) -> Slots:
    slots = _slots([page.number for page in pages])
    if isinstance(slots, slice):
        return slice(slots.start * size, slots.stop * size)
    return (slots.unsqueeze(-1) * size + torch.arange(size)).flatten()


def _slots(numbers: Sequence[int]) -> Slots:
    """A slice where the numbers follow one another."""
    first = numbers[0]
    if all(number == first + n for n, number in enumerate(numbers)):
        return slice(first, first + len(numbers))
    return torch.tensor(numbers)
