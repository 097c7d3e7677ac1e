"""BM25 over passages (Robertson and Zaragoza 2009; k1 = 1.2, b = 0.75) in one tantivy segment, read through mmap.

Terms are runs of letters and digits, in small letters and without accents; a passage is indexed together with its
page's title. Passages are numbered in the order they were added, and equal scores are ordered by number. Lengths above
40 terms are rounded down to one of 215 steps, as Lucene does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import tantivy

TERMS = 48
"""Different terms of a query that are looked at, the first ones."""
CHARACTERS = 4000
"""Characters of a query that are looked at."""
LARGE = 50_000
"""Passages from which on a term that more than half of them hold is not looked at beside rarer ones: its weight by
Robertson and Spärck Jones is negative, and reading its postings takes most of a query's time."""
_HEAP = 4_290_000_000
"""Bytes that a build may hold before it would start a second segment: the most that tantivy takes, not asked for at
once."""


class BrokenIndex(Exception):
    """The files are not an index that this class wrote."""


@dataclass(frozen=True)
class Hit:
    """A passage that shares terms with a query."""

    number: int
    title: str
    text: str
    score: float


@dataclass(frozen=True)
class Page:
    """Where the passages of a page are: `count` of them from number `first`."""

    title: str
    first: int
    count: int


def _analyzer() -> tantivy.TextAnalyzer:
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(64))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
        .build()
    )


_ANALYZER = _analyzer()


def terms(text: str) -> list[str]:
    """The terms of a text in order, as they are indexed."""
    return _ANALYZER.analyze(_sound(text))


def _sound(text: str) -> str:
    """Without lone surrogates, which no UTF-8 can hold."""
    return text.encode(errors="replace").decode()


class Writer:
    """Writes an index into an empty folder; leaving the block without an exception commits it."""

    def __init__(self, folder: Path) -> None:
        schema = (
            tantivy.SchemaBuilder()
            .add_text_field("body", tokenizer_name="terms", index_option="freq")
            .add_text_field("page", tokenizer_name="raw", index_option="basic")
            .add_bytes_field("kept", stored=True)
            .build()
        )
        self._index = tantivy.Index(schema, path=str(folder), reuse=False)
        self._index.register_tokenizer("terms", _analyzer())
        self._writer = self._index.writer(heap_size=_HEAP, num_threads=1)
        self.passages = 0

    def add(self, title: str, passages: Sequence[str]) -> None:
        """The passages of one page; no other page may have its title, however capitalised."""
        for passage in passages:
            text = _sound(f"{title}\n{passage}")
            document = tantivy.Document()
            document.add_text("body", text)
            document.add_text("page", _sound(title.casefold()))
            document.add_bytes("kept", text.encode())
            self._writer.add_document(document)
            self.passages += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            self._writer.rollback()
            return
        self._writer.commit()
        self._writer.wait_merging_threads()
        self._index.reload()
        segments = self._index.searcher().num_segments
        if segments > 1:
            raise ValueError(f"{self.passages} passages do not fit into one index: make two corpora of them")


class Index:
    """Reads an index. BrokenIndex where `folder` holds none."""

    def __init__(self, folder: Path) -> None:
        try:
            self._index = tantivy.Index.open(str(folder))
        except (ValueError, OSError) as error:
            raise BrokenIndex(str(error)) from None
        self._index.register_tokenizer("terms", _analyzer())
        self._index.config_reader("manual")
        self._schema = self._index.schema
        self._searcher = self._index.searcher()

    @property
    def passages(self) -> int:
        """How many there are."""
        return int(self._searcher.num_docs)

    def search(self, query: str, k: int) -> list[Hit]:
        """The `k` best passages that share a term with `query`, whatever its characters; best first."""
        wanted = list(dict.fromkeys(terms(query[:CHARACTERS])))[:TERMS]
        if self.passages >= LARGE:
            rare = [term for term in wanted if 2 * self._searcher.doc_freq("body", term) <= self.passages]
            wanted = rare or wanted
        if not wanted:
            return []
        parts = [(tantivy.Occur.Should, self._term("body", term)) for term in wanted]
        found = self._searcher.search(tantivy.Query.boolean_query(parts), limit=k, count=False).hits
        best = sorted((-round(float(score), 4), place.doc) for score, place in found)
        return [Hit(number, *self._kept(number), -score) for score, number in best]

    def page(self, title: str) -> Page | None:
        """The page of this title, in whatever letters."""
        found = self._searcher.search(self._term("page", _sound(title.casefold())), limit=1)
        if not found.hits:
            return None
        first = found.hits[0][1].doc
        count: int = found.count  # type: ignore[attr-defined]  # its stub leaves it out
        return Page(self._kept(first)[0], first, count)

    def passage(self, number: int) -> str:
        """The text of a passage."""
        return self._kept(number)[1]

    def _term(self, field: str, term: str) -> tantivy.Query:
        return tantivy.Query.term_query(self._schema, field, term, "freq" if field == "body" else "basic")

    def _kept(self, number: int) -> tuple[str, str]:
        kept = bytes(self._searcher.doc(tantivy.DocAddress(0, number))["kept"][0]).decode()
        title, _, text = kept.partition("\n")
        return title, text
