"""Find out which tests of a correct project can be relied on: `python -m palestra.envs.bugfix.recording [NAME ...]`
does it for the seeds (all, those of `LANGUAGE`, or `LANGUAGE/NAME`) and writes `suite.json` beside each.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace

from ...infra.sandbox.sync import Sandboxes
from .canaries import canary
from .projects import SEEDS, names, read_seed, write_suite
from .running import Ran, workshop
from .types import Project, Suite

REPEATS = 3


def record(project: Project, sandboxes: Sandboxes, repeats: int = REPEATS) -> Suite:
    """Test the correct project `repeats` times and set aside whatever did not pass every time. Raises ValueError with
    one line where it cannot be built, nothing passes, or a canary does not show that its tests are really run."""
    project = replace(project, suite=Suite())
    shop = workshop(sandboxes)
    visible = shop.visible(project)
    runs = [shop.fresh(project) for _ in range(repeats)] + ([] if project.hidden else [visible])
    passes = Counter(name for run in runs for name in run.passed)
    stable = {name for name, count in passes.items() if count == len(runs)}
    seen = {case.id for run in runs for case in run.report.cases}
    if not stable:
        raise ValueError(f"{project.title}: no test passes every time: {_why(runs[0])}")
    sign = canary(project, "record", project.digest)
    shown = shop.run(project, {}, sign)
    if problem := sign.problem(shown.report):
        raise ValueError(f"{project.title}: its tests cannot be trusted: {problem}: {_why(shown)}")
    lost = stable - shown.passed
    if lost and (always := sorted(lost - _shown_again(project, sandboxes).passed)):
        raise ValueError(f"{project.title}: {always[0]} does not pass beside a test that fails")
    stable -= lost
    if not stable:
        raise ValueError(f"{project.title}: no test passes every time")
    return Suite(
        visible=tuple(sorted(stable & visible.passed)),
        hidden=tuple(sorted(stable - visible.passed)),
        flaky=tuple(sorted(seen - stable)),
    )


def _shown_again(project: Project, sandboxes: Sandboxes) -> Ran:
    return workshop(sandboxes).run(project, {}, canary(project, "record again", project.digest))


def _why(run: Ran) -> str:
    bad = [f"{case.id}: {case.message.splitlines()[0] if case.message else case.outcome}" for case in run.report.cases]
    words = run.report.problem or "; ".join(bad[:2])
    last = " | ".join(run.output.strip().splitlines()[-3:])
    return f"{run.ended}, exit code {run.exit_code}, {words}: {last}"[:600]


def main(wanted: list[str]) -> int:
    """Record seeds; the exit code says whether all could be."""
    failed = 0
    with Sandboxes("auto") as sandboxes:
        for title in names():
            folder = SEEDS / title
            if not folder.is_dir() or (wanted and not {title, title.split("/")[0]} & set(wanted)):
                continue
            try:
                suite = record(read_seed(folder), sandboxes)
            except ValueError as error:
                failed += 1
                print(error)
                continue
            write_suite(folder, suite)
            print(f"{title}: {len(suite.visible)} visible, {len(suite.hidden)} hidden, {len(suite.flaky)} set aside")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
