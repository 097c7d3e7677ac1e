"""What an agent reads: search, open and find over one index, and the encyclopaedia's index made when first wanted."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..errors import ToolError
from .corpus import CorpusError, CorpusInfo, build, describe, open_corpus
from .index import CHARACTERS, Index, Page
from .text import snippet
from .world import make_world
from .writing import pages

TOP = 20
"""The most pages that one search names."""
SHOWN = 6
"""Passages that one view of a page shows."""
FOUND = 10
"""The most places that one look-up in a page gives."""
CACHED = "encyclopaedia-"
"""How the names of the corpora begin that are made from worlds alone."""
_SOURCES = ("corpus", "index", "names", "schema", "values", "world", "writing")


REMEMBERED = 4096
"""Searches and pages kept in memory: an oracle, its replay and every sample of a group ask for the same ones."""


class Library:
    """Pure reads: the same index and arguments give the same result, of bounded size."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._best = lru_cache(REMEMBERED)(self._look_up)
        self._page = lru_cache(REMEMBERED)(self._find_page)
        self._view = lru_cache(REMEMBERED)(self._join)

    def search(self, query: str, top_k: int = 5) -> list[dict[str, str]]:
        """The best pages, each with the stretch of its best passage that fits the query."""
        if not 1 <= top_k <= TOP:
            raise ToolError(f"top_k is {top_k}, it must be between 1 and {TOP}")
        return [{"title": title, "snippet": text} for title, text in self._best(query[:CHARACTERS], top_k)]

    def open(self, page: str, offset: int = 0) -> dict[str, Any]:
        """A view of a page from passage `offset` on; `next_offset` is None at its end."""
        found = self._page(page)
        if not 0 <= offset < found.count:
            raise ToolError(f"offset is {offset}, but {found.title!r} has passages 0 to {found.count - 1}")
        end = min(found.count, offset + SHOWN)
        text = self._view(found.first + offset, found.first + end)
        return {"title": found.title, "text": text, "next_offset": end if end < found.count else None}

    def find(self, page: str, text: str) -> list[dict[str, Any]]:
        """The passages of a page that hold `text`, however capitalised, cut to the place."""
        found, wanted = self._page(page), text.casefold().strip()
        if not wanted:
            raise ToolError("text is empty: say what to find in the page")
        places: list[dict[str, Any]] = []
        for offset in range(found.count):
            passage = self._index.passage(found.first + offset)
            at = passage.casefold().find(wanted)
            if at >= 0:
                places.append({"offset": offset, "passage": passage[max(0, at - 200) : at + len(wanted) + 200][:600]})
            if len(places) == FOUND:
                break
        return places

    def passages(self, query: str, k: int) -> list[str]:
        """The `k` best passages in full, each with its page's title."""
        return [f"{hit.title}. {hit.text}" for hit in self._index.search(query, k)]

    def _look_up(self, query: str, top_k: int) -> tuple[tuple[str, str], ...]:
        best: dict[str, str] = {}
        for hit in self._index.search(query, 2 * top_k):
            if hit.title not in best:
                best[hit.title] = snippet(hit.text, query)
        return tuple(best.items())[:top_k]

    def _join(self, first: int, end: int) -> str:
        return "\n\n".join(self._index.passage(number) for number in range(first, end))

    def _find_page(self, title: str) -> Page:
        found = self._index.page(title)
        if found is None:
            near = ", ".join(hit["title"] for hit in self.search(title[:200], 3))
            raise ToolError(f"no page is titled {title[:100]!r}" + (f"; near it: {near}" if near else ""))
        return found


@lru_cache(maxsize=32)
def library(seed: int, size: int, corpus: str = "") -> Library:
    """The library of a world: its encyclopaedia alone, or the corpus of this digest that holds it among others.
    CorpusError where that corpus is not on this machine.
    """
    return Library(open_corpus(corpus or encyclopaedia(seed, size).digest))


def encyclopaedia(seed: int, size: int) -> CorpusInfo:
    """The corpus of a world's pages, built unless this version of the generator built it before."""
    name = f"{CACHED}{_generator()}-{seed}-{size}"
    try:
        info = describe(name)
        open_corpus(info.digest)
        return info
    except CorpusError:
        return build(name, pages(make_world(seed, size)), {"encyclopaedia": {"seed": seed, "size": size}})


@lru_cache(maxsize=1)
def _generator() -> str:
    """Which code makes the pages, so that a changed one never meets another's cache."""
    here = Path(__file__).parent
    return sha256(b"".join((here / f"{name}.py").read_bytes() for name in _SOURCES)).hexdigest()[:12]
