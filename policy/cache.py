"""What decoding remembers: latents, index keys and expert choices of every token, in pages that requests share.

A page holds a fixed number of consecutive tokens of one context, all layers. Pages form a tree by what stands before
them, so a request finds the longest beginning that was ever computed and is still here: earlier turns, other members
of its group, other groups. Pages that nobody uses stay until their room is needed, the least recently used go first.

Letters: L layers, S slots (one per token), P tokens per page, W cached latent, X mixture-of-experts layers,
K experts per token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np
import numpy.typing as npt
import torch

from .config import DeepseekV32Config

PAGE = 32
_serials = count(1)


@dataclass(eq=False)
class Page:
    """Room for P tokens at slots ``number * P`` and on. ``tokens`` are those computed, after all of ``parent``'s.

    ``full`` finds complete pages that follow by their tokens; ``growing`` are those not yet complete. ``serial`` is
    never used twice, while numbers are.
    """

    number: int
    parent: Page | None = None
    tokens: list[int] = field(default_factory=list)
    users: int = 1
    full: dict[tuple[int, ...], Page] = field(default_factory=dict)
    growing: dict[Page, None] = field(default_factory=dict)
    serial: int = field(default_factory=lambda: next(_serials))


class Context:
    """The cached beginning of one request: ``pages`` in order, of which the first ``length`` tokens are computed."""

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self.length = 0


class PagedCache:
    """Pages for ``pages * page_size`` tokens, allocated once.

    ``latent`` and ``index_keys`` hold one tensor [S, W] and [S, index_head_dim] per layer, ``experts`` [S, X, K] small
    integers. The first P slots belong to nobody: what need not be kept is written there.
    """

    def __init__(
        self,
        config: DeepseekV32Config,
        pages: int,
        *,
        page_size: int = PAGE,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        if pages < 1 or page_size < 1:
            raise ValueError(f"cache of {pages} pages of {page_size} tokens: both must be at least 1")
        self.pages, self.page_size = pages, page_size
        slots, layers = (pages + 1) * page_size, range(config.num_hidden_layers)
        self.latent = [torch.zeros(slots, config.latent_dim, dtype=dtype, device=device) for _ in layers]
        self.index_keys = [torch.zeros(slots, config.index_head_dim, dtype=dtype, device=device) for _ in layers]
        small = torch.uint8 if config.n_routed_experts <= 256 else torch.int16
        shape = (slots, len(config.moe_layers), config.num_experts_per_tok)
        self.experts = torch.zeros(shape, dtype=small, device=device)
        self.clear()

    def clear(self) -> None:
        """Forget everything; contexts opened before must not be used again. Numbers are zeroed because a NaN left
        behind would spread to later requests even where it is masked.
        """
        self._root = Page(0)
        self._idle: dict[Page, None] = {}
        self._free = np.ones(self.pages + 1, dtype=bool)
        self._free[0] = False
        for store in (*self.latent, *self.index_keys):
            store.zero_()

    @property
    def room(self) -> int:
        """Pages that could be had now: free ones and those nobody uses."""
        return int(self._free.sum()) + len(self._idle)

    def pages_for(self, tokens: int) -> int:
        """Pages that hold so many tokens."""
        return -(-tokens // self.page_size)

    def match(self, tokens: Sequence[int]) -> int:
        """How many tokens of ``tokens`` are at hand."""
        pages, growing, common = self._find(tokens)
        return len(pages) * self.page_size + (common if growing is not None else 0)

    def needed(self, tokens: Sequence[int]) -> int:
        """How much ``room`` a context of ``tokens`` takes: all its pages but those that others use already."""
        pages, _, _ = self._find(tokens)
        return self.pages_for(len(tokens)) - sum(page.users > 0 for page in pages)

    def open(self, tokens: Sequence[int]) -> Context:
        """A context with the longest cached beginning of ``tokens``. Close it when done."""
        context = Context()
        context.pages, growing, common = self._find(tokens)
        context.length = len(context.pages) * self.page_size
        for page in context.pages:
            self._use(page)
        if growing is not None and common:
            self._continue(context, growing, common)
        return context

    def reserve(self, wanted: Sequence[tuple[Context, int]]) -> bool:
        """Give each context the pages for so many tokens in all, neighbours in memory where possible, those of several
        contexts in their order. False, with nothing given, where they cannot be had.
        """
        missing = [max(0, self.pages_for(length) - len(context.pages)) for context, length in wanted]
        if not any(missing):
            return True
        numbers = self._take(sum(missing))
        if numbers is None:
            return False
        given = iter(numbers)
        for (context, _), number in zip(wanted, missing, strict=True):
            context.pages += [Page(next(given)) for _ in range(number)]
        return True

    def slots(self, context: Context, first: int, last: int) -> npt.NDArray[np.int64]:
        """Slots of the positions ``first`` up to but not including ``last``, [last - first]."""
        size = self.page_size
        pages = np.fromiter((page.number for page in context.pages[first // size : -(-last // size)]), dtype=np.int64)
        every = (pages[:, None] * size + np.arange(size)).ravel()
        skipped = first - first % size
        return every[first - skipped : last - skipped]

    def commit(self, context: Context, tokens: Sequence[int]) -> None:
        """``tokens``, the next of the context, are computed: others may use them from now on."""
        done, size = 0, self.page_size
        while done < len(tokens):
            place, filled = divmod(context.length, size)
            page = context.pages[place]
            if not filled:
                page.parent = context.pages[place - 1] if place else self._root
                page.parent.growing[page] = None
            new = tokens[done : done + size - filled]
            page.tokens += new
            done += len(new)
            context.length += len(new)
            if len(page.tokens) == size:
                context.pages[place] = self._complete(page)

    def close(self, context: Context) -> None:
        """The context is no longer needed; what it computed stays while there is room."""
        for page in reversed(context.pages):
            page.users -= 1
            if page.users == 0:
                if page.parent is None:
                    self._free[page.number] = True
                else:
                    self._idle[page] = None
        context.pages, context.length = [], 0

    def _find(self, tokens: Sequence[int]) -> tuple[list[Page], Page | None, int]:
        """Complete pages that begin ``tokens``; then the page that goes on for longest, and for how many tokens (at
        least one token of ``tokens`` is left over then)."""
        pages: list[Page] = []
        at, size, here = 0, self.page_size, self._root
        while (following := here.full.get(tuple(tokens[at : at + size]))) is not None:
            pages.append(following)
            here, at = following, at + size
        best, common = None, 0
        rest = list(tokens[at : min(at + size, len(tokens) - 1)])
        for page in (*here.growing, *here.full.values()) if rest else ():
            if page.tokens[0] == rest[0] and (same := _common(page.tokens, rest)) > common:
                best, common = page, same
        return pages, best, common

    def _use(self, page: Page) -> None:
        if page.users == 0:
            del self._idle[page]
        page.users += 1

    def _continue(self, context: Context, page: Page, common: int) -> None:
        """Go on in a page that is not complete: in itself where nobody uses it and all of it fits, else in a copy."""
        if page.users == 0 and common == len(page.tokens) < self.page_size:
            self._use(page)
            context.pages.append(page)
            context.length += common
            return
        page.users += 1  # Not to be evicted while it is copied.
        idle = self._idle.pop(page, 0) is None
        if self.reserve([(context, context.length + 1)]):
            source, target = page.number * self.page_size, context.pages[-1].number * self.page_size
            for store in (*self.latent, *self.index_keys, self.experts):
                store[target : target + common] = store[source : source + common]
            self.commit(context, page.tokens[:common])
        page.users -= 1
        if idle:
            self._idle[page] = None

    def _complete(self, page: Page) -> Page:
        """A page became complete: it may be found by all its tokens. The same from elsewhere takes its place."""
        assert page.parent is not None
        del page.parent.growing[page]
        same = page.parent.full.setdefault(tuple(page.tokens), page)
        if same is not page:
            self._use(same)
            self._free[page.number] = True
        return same

    def _take(self, wanted: int) -> list[int] | None:
        """Numbers of ``wanted`` pages, neighbours where there are such; unused pages make room, oldest first."""
        if self.room < wanted:
            return None
        missing = wanted - int(self._free.sum())
        for _ in range(missing):
            self._evict()
        numbers = np.flatnonzero(self._free)
        if wanted > 1:
            starts = np.flatnonzero(numbers[wanted - 1 :] - numbers[: len(numbers) - wanted + 1] == wanted - 1)
            numbers = numbers[starts[0] :] if len(starts) else numbers
        numbers = numbers[:wanted]
        self._free[numbers] = False
        return [int(number) for number in numbers]

    def _evict(self) -> None:
        """A page is used whenever one that follows it is, and let go after it: the oldest is always a leaf."""
        page = next(iter(self._idle))
        del self._idle[page]
        assert page.parent is not None
        assert not page.full
        assert not page.growing
        if len(page.tokens) == self.page_size:
            del page.parent.full[tuple(page.tokens)]
        else:
            del page.parent.growing[page]
        self._free[page.number] = True


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common beginning."""
    most = min(len(one), len(other))
    if one[:most] == other[:most]:
        return most
    return next(n for n in range(most) if one[n] != other[n])
