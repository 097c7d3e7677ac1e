"""Every seed repository that is not Python's builds in its image and passes all its tests, visible and hidden, twice;
and a sample of what the mutation operators make wrong is noticed by its hidden tests.

`MUTANTS=40 pytest -s tests/envs/bugfix/test_seeds.py -k noticed` samples more and prints the share of every project.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping

import pytest

from palestra.envs.bugfix.projects import SEEDS, read_seed
from palestra.envs.bugfix.speech.languages import SPEECHES
from palestra.envs.bugfix.types import Project, applied
from palestra.infra.images.build import ensure_image
from palestra.infra.images.definitions import load
from palestra.infra.sandbox.sync import Sandbox, Sandboxes
from palestra.infra.sandbox.types import Limits
from palestra.verifiers.junit import Report, parse_junit

pytestmark = pytest.mark.slow
LANGUAGES = ("c", "cpp", "go", "java", "javascript", "php", "typescript")
FOLDERS = sorted(place.parent for language in LANGUAGES for place in SEEDS.glob(f"{language}/*/project.toml"))
LIMITS = Limits(memory_bytes=1 << 30, processes=256, disk_bytes=512 << 20, seconds=30)
REPORT = "/tmp/report.xml"
MUTANTS = int(os.environ.get("MUTANTS", "5"))
# A mutation may change nothing that can be seen (a quarter of those of c/bitset), and five are a small sample.
SHARE = 0.7 if MUTANTS >= 40 else 0.4


@pytest.fixture(params=FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def project(request: pytest.FixtureRequest) -> Project:
    return read_seed(request.param)


def _run(box: Sandbox, project: Project) -> Report:
    command = load(project.recipe.image).junit_command(REPORT)
    box.exec(["rm", "-f", REPORT])
    box.exec(command)
    written = box.exec(["cat", REPORT])
    return parse_junit(written.stdout)


def _tested(sandboxes: Sandboxes, project: Project, files: Mapping[str, str]) -> Report:
    ensure_image(project.recipe.image)
    with sandboxes.lease(project.recipe.image, LIMITS) as box:
        _write(box, files)
        return _run(box, project)


def _write(box: Sandbox, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        box.write(path, text.encode())


def _ids(report: Report) -> set[str]:
    assert not report.problem, report.problem
    assert {case.outcome for case in report.cases} == {"passed"}, [c for c in report.cases if c.outcome != "passed"]
    ids = [case.id for case in report.cases]
    assert len(set(ids)) == len(ids), "two tests have one id"
    return set(ids)


def test_there_are_seeds_in_every_language() -> None:
    assert {folder.parent.name for folder in FOLDERS} == set(LANGUAGES)
    assert set(LANGUAGES) <= set(SPEECHES)


def test_everything_passes_twice(sandboxes: Sandboxes, project: Project) -> None:
    whole = {**project.files, **project.hidden}
    visible = _ids(_tested(sandboxes, project, project.files))
    everything = _ids(_tested(sandboxes, project, whole))
    assert everything == _ids(_tested(sandboxes, project, whole))
    assert visible < everything
    assert len(visible) >= 20
    assert len(everything - visible) >= 20


def test_hidden_tests_add_files_only(project: Project) -> None:
    speech = SPEECHES[project.language]
    assert not set(project.hidden) & set(project.files)
    assert all(speech.is_test(path) for path in project.hidden)
    sources = [path for path in project.files if path.endswith(tuple(speech.suffixes)) and not speech.is_test(path)]
    assert len(sources) >= 2
    assert 100 <= sum(project.files[path].count("\n") for path in sources) <= 700


def test_mutants_are_noticed(sandboxes: Sandboxes, project: Project) -> None:
    speech = SPEECHES[project.language]
    sources = [path for path in project.files if path.endswith(tuple(speech.suffixes)) and not speech.is_test(path)]
    every = [(path, mutation) for path in sorted(sources) for mutation in speech.mutations(project.files[path])]
    chosen = random.Random(project.name).sample(every, MUTANTS)
    noticed = run = 0
    with sandboxes.lease(project.recipe.image, LIMITS) as box:
        _write(box, project.files)
        visible = _ids(_run(box, project))
        _write(box, project.hidden)
        hidden = _ids(_run(box, project)) - visible
        for path, mutation in chosen:
            box.write(path, applied(project.files[path], [mutation]).encode())
            outcomes = _run(box, project).outcomes()
            run += bool(outcomes)  # what does not build or never ends is no bug that a task would have
            noticed += bool(outcomes) and any(outcomes.get(name) != "passed" for name in hidden)
            box.write(path, project.files[path].encode())
    print(
        f"{project.language}/{project.name}: {noticed} of {run} noticed ({len(every)} mutations, {len(hidden)} hidden)"
    )
    assert noticed >= SHARE * run
