"""Making tasks one can trust: how fast, how alike they are judged elsewhere, how seldom twice.

    make bench-synth                                       # all rows, about half an hour
    python benchmarks/synth.py --rows certified search     # some of them

* `certified`: travel and search tasks of all levels in turn, proposed, solved by the oracle, tried with nothing and
  five wrong answers, judged twice (`palestra synth --depth quick`), by one process per core. Rejected ones cost time,
  too.
* `bugfix`: bug-fixing tasks over all eight languages, the same certificate; every judgement is a run of tests in a
  sandbox. Each process has built every project before (`warm_up_s`).
* `search`: queries against an index of a million passages, one at a time.
* `alike`: travel verdicts beside those of a checker that was written from the tasks' texts and tools alone
  (`_travel_checker.py`), on right, slightly wrong and random plans.
* `duplicates`: copies and near copies among many tasks.

Each row is written into `benchmarks/results/synth.json` with the commit and the load it was measured at, and all of
them into the README's table.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from _common import RESULTS, ROOT, Row, about, markdown, put, report, shown, table
from _duplicates import count_duplicates, count_same_bugs, propose_many
from _search_million import measure as search_million
from _synth_rates import jobs, run
from _travel_checker import compare
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from palestra.envs.registry import environment_class


@dataclass(frozen=True)
class Scale:
    """How much of each."""

    certified: int = 6_000
    bugs: int = 160
    passages: int = 1_000_000
    queries: int = 400
    alike: int = 1_000
    duplicates: int = 10_000


QUICK = Scale(200, 16, 50_000, 100, 100, 500)


@dataclass
class Bench:
    """What the measurements share and what they found."""

    scale: Scale
    progress: Progress
    rows: list[Row] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def bar(self, title: str, total: int) -> Callable[[int], object]:
        """Shows how far a measurement is."""
        task = self.progress.add_task(title, total=total)
        return lambda done: self.progress.update(task, completed=done)


def certified(bench: Bench) -> None:
    """Travel and search, in turn."""
    half = bench.scale.certified // 2
    pairs = zip(jobs("travel", half), jobs("search", half), strict=True)
    work = [job for pair in pairs for job in pair]
    found = run(work, os.cpu_count() or 1, 25, bench.bar("travel and search", len(work)))
    bench.figures["certified"] = found
    rate = found["per_second"]
    name = f"certified travel + search tasks per second, {os.cpu_count()} cores"
    bench.rows.append(Row(name, shown(rate, "/s"), floor="25 /s", goal="100 /s", verdict=_verdict(rate, 25, 100)))


def bugfix(bench: Bench) -> None:
    """All languages in turn."""
    work = jobs("bugfix", bench.scale.bugs)
    found = run(work, os.cpu_count() or 1, 1, bench.bar("bug fixing", len(work)))
    bench.figures["bugfix"] = found
    rate = 3600 * found["per_second"]
    languages = sum(1 for group in found["groups"].values() if group["accepted"])
    name = f"certified bug-fix tasks per hour over {languages} languages, {os.cpu_count()} cores"
    bench.rows.append(Row(name, shown(rate, "/h"), floor="300 /h", goal="2,000 /h", verdict=_verdict(rate, 300, 2000)))


def search(bench: Bench) -> None:
    """One query after the other."""
    found = search_million(bench.scale.passages, bench.scale.queries)
    bench.figures["search"] = found
    median = found["median_s"]
    verdict = "goal" if median <= 5e-3 else "floor" if median <= 20e-3 else "below"
    name = f"search query over {found['passages']:,} passages, median"
    bench.rows.append(Row(name, shown(median, "s"), floor="20 ms", goal="5 ms", verdict=verdict))


def alike(bench: Bench) -> None:
    """Tasks on which both judge every plan alike."""
    found = compare(bench.scale.alike, bench.bar("judged alike", bench.scale.alike))
    bench.figures["alike"] = found
    same, tasks = found["tasks_alike"], found["tasks"]
    name = "travel tasks judged alike by a checker written from their texts"
    wanted = f"{tasks:,} of {tasks:,}"
    verdict = "floor" if same == tasks else "below"
    bench.rows.append(Row(name, f"{same:,} of {tasks:,}", floor=wanted, verdict=verdict))


def duplicates(bench: Bench) -> None:
    """Environments whose tasks need no run to be proposed; of bug fixing what is drawn before the runs."""
    for env in ("travel", "search", "files", "interpreter"):
        cls = environment_class(env)
        tick = bench.bar(f"duplicates: {env}", bench.scale.duplicates)
        done = iter(range(1, bench.scale.duplicates + 1))
        tasks = propose_many(cls, bench.scale.duplicates, 6, lambda tick=tick, done=done: tick(next(done)))  # type: ignore[misc]
        found = count_duplicates(tasks)
        bench.figures[f"duplicates {env}"] = found
        told = f"{found['same_task']} the same, {found['near_prompt']} with a near copy of the prompt"
        bench.rows.append(Row(f"duplicates among {found['tasks']:,} {env} tasks", told))
    bugs = count_same_bugs(bench.scale.duplicates, 6, bench.bar("duplicates: bugfix", bench.scale.duplicates))
    bench.figures["duplicates bugfix"] = bugs
    bench.rows.append(Row(f"duplicates among {bugs['bugs']:,} bugs, as drawn", f"{bugs['same_bug']} the same"))


def _verdict(rate: float, floor: float, goal: float) -> str:
    return "goal" if rate >= goal else "floor" if rate >= floor else "below"


ROWS: dict[str, Callable[[Bench], None]] = {
    "certified": certified,
    "search": search,
    "alike": alike,
    "duplicates": duplicates,
    "bugfix": bugfix,
}


def details(figures: dict[str, Any]) -> str:
    """What attempts cost, by language and level."""
    cells = []
    for part in ("certified", "bugfix"):
        for name, group in figures.get(part, {}).get("groups", {}).items():
            seconds = (shown(group["median_wall_s"], "s"), shown(group["max_wall_s"], "s"))
            cells.append([name, str(group["attempts"]), str(group["accepted"]), *seconds])
    return markdown(["attempts at", "made", "accepted", "median", "longest"], cells) if cells else ""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--quick", action="store_true", help="less of everything; nothing is written")
    options = parser.parse_args()
    measured: dict[str, Any] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stderr)) as progress:
        for name in options.rows:
            bench = Bench(QUICK if options.quick else Scale(), progress)
            machine = about(["tantivy", "ortools", "tree-sitter"])
            ROWS[name](bench)
            measured[name] = report(machine, bench.rows, bench.figures)
            print(table(bench.rows), details(bench.figures), sep="\n\n")
            if not options.quick:
                keep({name: measured[name]})


def keep(measured: dict[str, Any]) -> None:
    """Write what was measured into the JSON, beside the other rows as they were, and all of it into the README."""
    path = RESULTS / "synth.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known = {name: measured.get(name, known.get(name)) for name in ROWS if name in {*known, *measured}}
    path.write_text(json.dumps(known, indent=1) + "\n")
    put(ROOT / "README.md", "synth", table(Row(**row) for one in known.values() for row in one["rows"]))


if __name__ == "__main__":
    main()
