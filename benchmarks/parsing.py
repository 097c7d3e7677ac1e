"""A million fuzzed completions through the tolerant parser: nothing may raise, no planted case may be misclassified.

    python benchmarks/parsing.py

Two fifths are mutants of good completions (deleted, repeated, swapped and inserted parts, random code points, cuts), of
which nothing is known but that the parser must not raise, must agree with the strict parser on all that it does not
repair, and must give a position inside the text. One fifth is completions cut at every character, two fifths are
planted: each class of defect, good ones, and ones that can be repaired, with the class, position and message known.

One process; the same seed gives the same completions. Prints a table, writes `benchmarks/results/parsing.json`, and
exits with 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice, repeat
from typing import Any, get_args

from _common import RESULTS, about, markdown
from _completions import Case, complaint, cuts, good, mutant, repairable
from _defects import planted

from palestra.rollout.parsing import FormatErrorKind, Parsed, parse_completion

BATCH = 1000
SHOWN = 5  # examples of each class
COUNTS = ("count", "accepted", "repaired", "raised", "wrong")


@dataclass
class Tally:
    """What came of one class of completions. `micros` is the CPU time per parse in microseconds, one figure a batch."""

    count: int = 0
    accepted: int = 0
    repaired: int = 0
    raised: int = 0
    wrong: int = 0
    micros: list[float] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)

    def add(self, cases: list[Case], answers: list[Parsed | Exception]) -> None:
        """Judge a batch."""
        self.count += len(cases)
        for case, answer in zip(cases, answers, strict=True):
            if isinstance(answer, Exception):
                self.raised += 1
                said = f"raised {type(answer).__name__}: {answer}"
            else:
                self.accepted += answer.message is not None
                self.repaired += bool(answer.repaired and answer.message)
                said = complaint(case, answer)
                self.wrong += bool(said)
            if said and len(self.examples) < SHOWN:
                self.examples.append(f"{said}: {case.text!r} ({case.mode}, finished={case.finished})")


def attempt(case: Case) -> Parsed | Exception:
    """The parser's answer, or what it raised."""
    try:
        return parse_completion(case.text, thinking_mode=case.mode, finished=case.finished)
    except Exception as error:
        return error


def sources(rng: random.Random) -> dict[str, tuple[float, Iterator[Case]]]:
    """The classes of completions, each with its share."""
    kinds: tuple[FormatErrorKind, ...] = get_args(FormatErrorKind)
    known: dict[str, Callable[[random.Random], Case]] = {"good": good, "repairable": repairable}
    known |= {kind: partial(planted, kind=kind) for kind in kinds}
    return {
        "mutants": (0.4, map(mutant, repeat(rng))),
        "cut at every character": (0.2, chain.from_iterable(map(cuts, repeat(rng)))),
        **{name: (0.4 / len(known), map(make, repeat(rng))) for name, make in known.items()},
    }


def fuzz(count: int, seed: int) -> dict[str, Tally]:
    """Parse `count` completions, class by class; only the parsing is timed."""
    tallies = {}
    shares = sources(random.Random(seed))
    for name, (share, cases) in shares.items():
        tally = tallies[name] = Tally()
        for start in range(0, math.ceil(count * share), BATCH):
            batch = list(islice(cases, min(BATCH, math.ceil(count * share) - start)))
            began = time.process_time()
            answers = [attempt(case) for case in batch]
            tally.micros.append((time.process_time() - began) / len(batch) * 1e6)
            tally.add(batch, answers)
        print(f"{name}: {tally.count:,}", file=sys.stderr, flush=True)
    return tallies


def table(tallies: dict[str, Tally]) -> str:
    """A row per class, and all of them."""
    rows = []
    for name, tally in tallies.items():
        micros = f"{statistics.median(tally.micros):.1f} ({min(tally.micros):.1f}, {max(tally.micros):.1f})"
        rows.append([name, *(f"{getattr(tally, count):,}" for count in COUNTS), micros])
    return markdown(["completions", *COUNTS, "CPU µs per parse (min, max)"], rows)


def figures(tally: Tally) -> dict[str, Any]:
    """For the JSON file."""
    spread = {"median": statistics.median(tally.micros), "min": min(tally.micros), "max": max(tally.micros)}
    counts = {count: getattr(tally, count) for count in COUNTS}
    return {**counts, "cpu_us_per_parse": spread, "examples": tally.examples}


def main() -> int:
    """Fuzz, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    machine, began = about(), time.monotonic()
    tallies = fuzz(arguments.count, arguments.seed)
    whole = Tally(**{count: sum(getattr(tally, count) for tally in tallies.values()) for count in COUNTS})
    whole.micros = [figure for tally in tallies.values() for figure in tally.micros]
    shown = {**tallies, "all": whole}
    print(table(shown))
    for example in (example for tally in tallies.values() for example in tally.examples):
        print(example)
    RESULTS.mkdir(parents=True, exist_ok=True)
    result = {"about": machine, "seed": arguments.seed, "seconds": round(time.monotonic() - began, 1)}
    classes = {name: figures(tally) for name, tally in shown.items()}
    text = json.dumps({**result, "classes": classes}, indent=1)
    (RESULTS / "parsing.json").write_text(text + "\n")
    return int(whole.raised + whole.wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
