"""How fast a corpus of a million passages is searched: `measure`, which `synth.py` calls, or run as a script.

The text is random words under the Zipf-Mandelbrot law of English (a vocabulary of 400,000; about 90 words a passage),
so that postings are as long as real ones. A query is 4 to 12 words of one passage, common words included, as an agent's
question has them. One core, one query at a time; the files are in the page cache, as they are after a few queries.
"""

from __future__ import annotations

import json
import os
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from palestra.envs.search.corpus import Document, build, open_corpus

VOCABULARY = 400_000
PASSAGES_PER_PAGE = 5
_SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "is")]
_BATCH = 2000


def measure(passages: int, queries: int) -> dict[str, Any]:
    """Build and search a corpus in a folder of its own. Times in seconds, sizes in bytes.

    `median_cpu_s` is what a query computes; unlike the time it takes, neighbours on the machine hardly change it.
    """
    before = os.environ.get("PALESTRA_CORPORA")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PALESTRA_CORPORA"] = folder
        try:
            return _measure(Path(folder), passages, queries)
        finally:
            os.environ.pop("PALESTRA_CORPORA")
            if before is not None:
                os.environ["PALESTRA_CORPORA"] = before


def _measure(folder: Path, passages: int, queries: int) -> dict[str, Any]:
    began = time.perf_counter()
    info = build("million", _documents(passages))
    built = time.perf_counter() - began
    build_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    index = open_corpus(info.digest)
    asked = [_query(random.Random(f"query/{number}"), index) for number in range(queries)]
    for query in asked[: queries // 4]:
        index.search(query, 10)
    times, busy = [], []
    for query in asked:
        began, worked = time.perf_counter(), time.thread_time()
        found = index.search(query, 10)
        times.append(time.perf_counter() - began)
        busy.append(time.thread_time() - worked)
        assert len(found) == 10
    return {
        "passages": info.passages,
        "queries": queries,
        "median_s": statistics.median(times),
        "median_cpu_s": statistics.median(busy),
        "p95_s": statistics.quantiles(times, n=20)[-1],
        "max_s": max(times),
        "build_s": built,
        "size_bytes": size,
        "build_peak_bytes": build_peak,
    }


def _documents(passages: int) -> Iterator[Document]:
    rng = np.random.default_rng(0)
    weights = 1.0 / (np.arange(VOCABULARY) + 2.7) ** 1.05
    total = np.cumsum(weights / weights.sum())
    words = np.array([_word(number) for number in range(VOCABULARY)], dtype=object)
    made = 0
    while made < passages:
        texts = []
        for length in np.clip(rng.lognormal(4.4, 0.4, min(_BATCH, passages - made)), 10, 300).astype(int):
            texts.append(" ".join(words[np.searchsorted(total, rng.random(length))]))
        for at in range(0, len(texts), PASSAGES_PER_PAGE):
            yield Document(f"Page {made + at}", tuple(texts[at : at + PASSAGES_PER_PAGE]))
        made += len(texts)


def _word(number: int) -> str:
    said = ""
    while True:
        number, at = divmod(number, len(_SYLLABLES))
        said += _SYLLABLES[at]
        if not number:
            return said


def _query(rng: random.Random, index: Any) -> str:
    words = index.passage(rng.randrange(index.passages)).split()
    return " ".join(rng.sample(words, min(len(words), rng.randint(4, 12))))


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print(json.dumps(measure(wanted, 400), indent=1))
