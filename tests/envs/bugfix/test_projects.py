"""The store of projects: what is kept comes back, under the same digest in every process, and damage is told."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from palestra.envs.bugfix import projects
from palestra.envs.bugfix.projects import UnknownProject, load, names, save
from palestra.envs.bugfix.types import Change, Project, Recipe, Suite, from_json, to_json

PROJECT = Project(
    name="heaps",
    language="python",
    version="1.2",
    source="pypi:heaps==1.2",
    files={
        "heaps.py": "x = 1\n",
        "latin.py": b"# \xe9\n".decode("utf-8", "surrogateescape"),
        "test_a.py": "",
        "b.py": "",
    },
    tests=frozenset(f"test_{letter}.py" for letter in "abcdefgh"),
    hidden={"test_hidden.py": "def test_x(): pass\n"},
    recipe=Recipe("python", env={"A": "1"}),
    suite=Suite(("a.b",), ("c.d",), ("e.f",)),
    changes=(Change("mend it", {"heaps.py": "x = 2\n", "new.py": None}),),
)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PALESTRA_PROJECTS", str(tmp_path / "store"))
    return tmp_path / "store"


def test_a_project_comes_back_as_it_was(store: Path) -> None:
    place = save(PROJECT)
    assert place.is_relative_to(store)
    assert load(PROJECT.digest) == PROJECT == load("python/heaps")
    assert from_json(to_json(PROJECT)) == PROJECT
    assert "python/heaps" in names("python")
    assert "python/heaps" not in names("go")


def test_saving_twice_is_one_file_and_leaves_nothing_else(store: Path) -> None:
    first = save(PROJECT)
    data = first.read_bytes()
    assert save(PROJECT) == first
    assert first.read_bytes() == data
    assert [file for file in store.rglob("*") if file.is_file()] == [first]


def test_the_digest_is_the_same_in_another_process_and_another_with_every_change() -> None:
    program = "import sys; from palestra.envs.bugfix.types import from_json; print(from_json(sys.stdin.read()).digest)"
    for seed in ("1", "2"):
        told = subprocess.run(
            [sys.executable, "-c", program],
            input=to_json(PROJECT),
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
        )
        assert told.stdout.strip() == PROJECT.digest
    others = [
        replace(PROJECT, version="1.3"),
        replace(PROJECT, tests=PROJECT.tests - {"test_a.py"}),
        replace(PROJECT, recipe=Recipe("python")),
        replace(PROJECT, suite=Suite()),
        replace(PROJECT, changes=()),
    ]
    assert len({PROJECT.digest, *(other.digest for other in others)}) == 1 + len(others)


def test_of_two_versions_the_one_saved_last_has_the_name() -> None:
    save(PROJECT)
    newer = replace(PROJECT, version="1.3")
    save(newer)
    assert load("python/heaps") == newer
    assert load(PROJECT.digest) == PROJECT


def test_what_is_not_there_says_how_to_get_it(store: Path) -> None:
    with pytest.raises(UnknownProject, match=rf"digest 0123456789abcdef here: copy its archive into {store}"):
        load("0123456789abcdef")
    with pytest.raises(UnknownProject, match="no project 'nothing'"):
        load("nothing")


def test_damage_is_told() -> None:
    place = save(PROJECT)
    place.write_bytes(place.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"is no project .* delete it and ingest it again"):
        load(PROJECT.digest)
    other = save(replace(PROJECT, version="2"))
    other.rename(place)
    with pytest.raises(ValueError, match="not what its name says"):
        load(PROJECT.digest)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [({"name": "../x"}, "project name"), ({"name": ""}, "project name"), ({"language": "cobol"}, "language 'cobol'")],
)
def test_names_that_cannot_be_kept_are_refused(changed: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        save(replace(PROJECT, **changed))  # type: ignore[arg-type]


def test_every_seed_can_be_read_and_has_its_tests_recorded() -> None:
    assert len(projects.names()) >= 16
    for title in projects.names():
        project = load(title)
        assert title == project.title
        assert project.suite.visible, title
        assert project.suite.hidden, title
        assert project.hidden, title
        assert not any(path.startswith("hidden/") or path == "project.toml" for path in project.files), title
        assert load(project.digest) is project


def test_a_seed_with_a_wrong_description_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "python" / "odd"
    folder.mkdir(parents=True)
    (folder / "project.toml").write_text('name = "odd"\nversion = "1"\ncolour = "red"\n')
    with pytest.raises(ValueError, match=r"odd is no project: unknown key 'colour'"):
        projects.read_seed(folder)
