"""Bugs in eight languages: the same stream makes the same one, the oracle repairs it, nothing else does."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from palestra.envs.bugfix.breaking import LEVELS, choose_bug, failing
from palestra.envs.bugfix.environment import BugFix
from palestra.envs.bugfix.issue import gives_away, write_issue
from palestra.envs.bugfix.knowledge import known
from palestra.envs.bugfix.projects import load, names, save
from palestra.envs.bugfix.running import Ran, Workshop, against, workshop
from palestra.envs.bugfix.solving import hunk, hunks, steps_between
from palestra.envs.bugfix.types import Change
from palestra.envs.environment import SolverTools
from palestra.envs.types import Answer, Task, canonical
from palestra.infra.sandbox.sync import Sandboxes
from palestra.verifiers.junit import Report
from palestra.verifiers.types import Verdict

MUTANTS = 3


@cache
def of(language: str) -> type[BugFix]:
    return type("OneLanguage", (BugFix,), {"languages": (language,)})


def judged(sandboxes: Sandboxes, task: Task, answer: Answer) -> Verdict:
    env = BugFix(sandboxes)
    env.start(task)
    try:
        return env.verify(task, answer, env.finish(answer))
    finally:
        env.close()


@pytest.mark.slow
def test_solved_and_unsolved(sandboxes: Sandboxes, language: str) -> None:
    cls, level = of(language), 1 + len(language) % 3
    task = cls(sandboxes).propose(random.Random(5), level)
    assert task == cls(sandboxes).propose(random.Random(5), level)
    assert task.world["project"]["language"] == language
    assert len(canonical(task.model_dump()["key"])) < 100_000

    env = BugFix(sandboxes)
    env.start(task)
    answer = env.solve(task, SolverTools(env))
    evidence = env.finish(answer)
    env.close()
    assert env.verify(task, answer, evidence).passed, evidence
    assert evidence["changed"] == []

    nothing = judged(sandboxes, task, None)
    assert nothing.reward == 0.0
    assert nothing == judged(sandboxes, task, {"files": {}})
    assert any("did not pass" in part.detail for part in nothing.parts)

    rng, wrong = random.Random(1), list[Answer]()
    for _ in range(20 * MUTANTS):
        mutant = BugFix(sandboxes).mutate(rng, task, answer)
        wrong += [mutant] if mutant not in wrong else []
        if len(wrong) == MUTANTS:
            break
    assert len(wrong) == MUTANTS
    for mutant in wrong:
        assert judged(sandboxes, task, mutant).reward == 0.0, mutant


@pytest.mark.slow
def test_another_workshop_makes_the_same_task(sandboxes: Sandboxes) -> None:
    with Sandboxes("bwrap") as others:
        for level in (1, 3):
            mine = of("python")(sandboxes).propose(random.Random(level), level)
            assert of("python")(others).propose(random.Random(level), level).id == mine.id


@pytest.mark.parametrize("level", LEVELS)
def test_issues_tell_symptoms_and_not_the_place(sandboxes: Sandboxes, level: int) -> None:
    for seed in range(2):
        task = of("python")(sandboxes).propose(random.Random(seed), level)
        about = known(task.world["project"]["digest"])
        assert len(task.key["steps"]) == LEVELS[level].sites
        assert task.key["f2p"]
        for step in task.key["steps"]:
            name = step["path"].rpartition("/")[2]
            assert name not in task.prompt
            assert step["old"].strip() not in task.prompt
            assert not step["new"].strip() or step["new"].strip() not in task.prompt
        assert set(task.key["f2p"]) <= {*about.project.suite.visible, *about.project.suite.hidden}
        secrets = list(BugFix(sandboxes).secrets(task, None))
        assert secrets
        readable = "\n".join(BugFix(sandboxes).readable(task))
        assert not any(secret in readable or secret in task.prompt for secret in secrets)


def test_every_site_alone_is_a_bug_and_the_correct_tree_has_none(sandboxes: Sandboxes) -> None:
    shop = workshop(sandboxes)
    about = known(load("python/ledger").digest)
    bug = choose_bug(random.Random(2), about, 3, lambda changes: shop.run(about.project, changes))
    assert len(bug.sites) == 2
    assert bug.f2p == failing(about, bug.ran)
    assert failing(about, shop.run(about.project, {})) == ()
    assert len({mutation.function for _, mutation in bug.sites}) >= 1
    issue = write_issue(random.Random(1), about, bug, 3)
    assert not gives_away(about, bug, issue)
    path, mutation = bug.sites[0]
    assert gives_away(about, bug, f"look at {path}")
    assert gives_away(about, bug, about.project.files[path].splitlines()[mutation.line - 1])


def test_gold_leads_from_the_broken_tree_to_the_correct_one(sandboxes: Sandboxes) -> None:
    for seed in range(4):
        task = of("python")(sandboxes).propose(random.Random(40 + seed), 1 + seed)
        texts = dict(task.world["broken"])
        for step in task.key["steps"]:
            assert texts[step["path"]].count(step["old"]) == 1
            texts[step["path"]] = texts[step["path"]].replace(step["old"], step["new"])
        assert texts == task.key["patch"]
        assert against(known(task.world["project"]["digest"]).project, task.world["broken"], texts) == {}


def test_levels_are_checked(sandboxes: Sandboxes) -> None:
    with pytest.raises(ValueError, match="levels 1 to 5, not 6"):
        BugFix(sandboxes).propose(random.Random(1), 6)


def test_every_language_has_projects_with_many_places_for_bugs() -> None:
    for language in BugFix.languages:
        assert names(language), language
        about = known(load(names(language)[0]).digest)
        places = [mutation for path in about.sources for mutation in about.mutations(path)]
        assert len(places) > 80, language
        assert len({mutation.kind for mutation in places}) >= 6, language


def test_what_a_test_calls_is_found_and_how_far_it_is() -> None:
    about = known(load("python/agenda").digest)
    test = "tests.test_more_agenda.TestHeapMore.test_many"
    assert test in about.project.suite.hidden
    assert {"push", "pop"} <= about.tested(test)
    assert about.distance([test], "push") == 0
    assert about.distance([test], "_up") == 1
    assert about.distance([test], "nothing") == 9


def test_a_hunk_takes_lines_around_it_until_it_is_unique() -> None:
    before, after = "a\nx\nb\nx\n", "a\nx\nb\ny\n"
    assert hunk(before, after) == (4, "b\nx\n", "b\ny\n")
    assert hunk("x\nx\n", "y\nx\n") == (1, "x\nx\n", "y\nx\n")
    assert hunk("a\nb\n", "a\nc\nb\n")[1:] == ("a\n", "a\nc\n")


def test_a_real_patch_is_repaired_region_by_region() -> None:
    before = "".join(f"{number}\n" for number in range(40))
    after = before.replace("3\n", "three\n", 1).replace("20\n", "").replace("35\n", "35\n35.5\n")
    assert hunks(before, after)[0] == before
    assert hunks(before, after)[-1] == after
    text = before
    steps = steps_between("a.py", before, after)
    assert len(steps) == 3
    for step in steps:
        assert text.count(step["old"]) == 1
        text = text.replace(step["old"], step["new"])
    assert text == after
    assert steps_between("a.py", None, "new")[0]["old"] is None
    assert steps_between("a.py", "old", None)[0]["new"] is None


def test_a_workshop_runs_what_passes_twice_and_what_fails_once(
    sandboxes: Sandboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Workshop(sandboxes)
    task = of("python")(sandboxes).propose(random.Random(9), 1)
    project = known(task.world["project"]["digest"]).project
    runs: list[int] = []
    run = Workshop._run

    def counted(self: Workshop, *arguments: object) -> object:
        runs.append(1)
        return run(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Workshop, "_run", counted)
    from palestra.envs.bugfix.grading import sign
    from palestra.envs.bugfix.submissions import Submission

    for changes, expected in (({}, 2), (task.world["broken"], 1)):
        mark = sign(task, project, Submission(changes))
        shop.fresh(project)
        runs.clear()
        shop._usual(project)
        runs.clear()
        for _ in range(4):
            shop.opinion(project, changes, mark)
        assert len(runs) == expected
    shop.close()


@pytest.mark.parametrize(("cpu_seconds", "limits"), [(1.4, [1.0]), (0.3, [1.0, 4.0]), (0.0, [1.0, 4.0])])
def test_a_run_that_hangs_on_a_busy_machine_gets_more_time(
    sandboxes: Sandboxes, monkeypatch: pytest.MonkeyPatch, cpu_seconds: float, limits: list[float]
) -> None:
    told: list[float] = []

    def run(self: Workshop, *arguments: Any) -> Ran:
        told.append(arguments[-1](0.2))
        return Ran(Report(problem="no report"), 137, "timed_out", "", 1.5, cpu_seconds)

    monkeypatch.setattr(Workshop, "_run", run)
    assert Workshop(sandboxes).run(load(names("python")[0]), {}).ended == "timed_out"
    assert told == limits


@pytest.mark.parametrize("whole", [False, True])
def test_a_real_patch_undone_is_a_bug(
    sandboxes: Sandboxes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, whole: bool
) -> None:
    seed = load("python/ledger")
    path = "ledger/loans.py"
    monkeypatch.setenv("PALESTRA_PROJECTS", str(tmp_path))
    monkeypatch.setattr("palestra.envs.bugfix.breaking.REVERT_CHANCE", 1.0)
    monkeypatch.setattr("palestra.envs.bugfix.proposing.names", lambda language: ("python/patched",))
    text = None if whole else seed.files[path].replace("+= 1", "-= 1")
    broken: dict[str, str | None] = {path: text, **({"ledger/__init__.py": "# nothing yet\n"} if whole else {})}
    save(replace(seed, name="patched", source="test", changes=(Change("mend it", broken),)))
    task = of("python")(sandboxes).propose(random.Random(1), 1)
    assert (task.world["broken"] == broken) is not whole, "where nothing passes any more, something else is broken"
    env = BugFix(sandboxes)
    env.start(task)
    answer = env.solve(task, SolverTools(env))
    assert env.verify(task, answer, env.finish(answer)).passed
    env.close()
    assert judged(sandboxes, task, None).reward == 0.0
    for number in range(4):
        mutant = BugFix(sandboxes).mutate(random.Random(number), task, answer)
        assert judged(sandboxes, task, mutant).reward == 0.0
