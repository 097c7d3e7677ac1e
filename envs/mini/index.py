"""BM25 over passages (Robertson and Zaragoza 2009; k1 = 1.2, b = 0.75), in memory."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

_WORD = re.compile(r"\w+")
_K1, _B = 1.2, 0.75


def words(text: str) -> list[str]:
    """Lower-case words."""
    return _WORD.findall(text.lower())


class Index:
    """An inverted index over `passages`; a query returns passage numbers, best first, ties by number."""

    def __init__(self, passages: Sequence[str]) -> None:
        bags = [Counter(words(text)) for text in passages]
        self._postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, bag in enumerate(bags):
            for word, count in bag.items():
                self._postings[word].append((number, count))
        self._lengths = [bag.total() for bag in bags]
        self._mean = sum(self._lengths) / max(1, len(bags))

    def search(self, query: str, k: int) -> list[int]:
        """The `k` best passages that share a word with the query."""
        scores: dict[int, float] = defaultdict(float)
        for word in dict.fromkeys(words(query)):
            postings = self._postings.get(word, ())
            idf = math.log(1 + (len(self._lengths) - len(postings) + 0.5) / (len(postings) + 0.5))
            for number, count in postings:
                norm = _K1 * (1 - _B + _B * self._lengths[number] / self._mean)
                scores[number] += idf * count * (_K1 + 1) / (count + norm)
        return sorted(scores, key=lambda number: (-scores[number], number))[:k]
