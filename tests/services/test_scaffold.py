"""`palestra env new`: the package works out of the box, and bad names are refused in one line."""

import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from palestra.services.errors import BadRequest
from palestra.services.scaffold.render import check_name, write_plugin
from palestra.synth.synthesize import attempt


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_new_environment_is_certified_at_every_level(tmp_path: Path) -> None:
    write_plugin("my-lights", tmp_path)
    cls = load(tmp_path / "my-lights" / "palestra_my_lights.py").MyLights
    for level in cls.levels:
        for number in range(4):
            made = attempt(cls, 7, number, level)
            assert made.accepted, made.reason


def test_the_module_is_short_and_the_project_file_names_the_entry_point(tmp_path: Path) -> None:
    files = write_plugin("lights", tmp_path)
    assert len((tmp_path / "lights" / "palestra_lights.py").read_text().splitlines()) < 60
    project = tomllib.loads((tmp_path / "lights" / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["palestra.environments"] == {"lights": "palestra_lights:Lights"}
    assert all("$" not in path.read_text() for path in files)


def test_its_own_tests_pass(tmp_path: Path) -> None:
    write_plugin("lights", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path / "lights",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["", "Lights", "1st", "a b", "../x", "x" * 41, "a--b", "_a", "travel", "task", "é"])
def test_names_that_cannot_be_are_refused(name: str) -> None:
    with pytest.raises(BadRequest) as refused:
        check_name(name)
    assert "\n" not in str(refused.value)


def test_nothing_is_overwritten_and_an_unwritable_place_is_named(tmp_path: Path) -> None:
    write_plugin("lights", tmp_path)
    with pytest.raises(BadRequest, match="is there already"):
        write_plugin("lights", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadRequest, match="cannot write"):
        write_plugin("lights", tmp_path / "file")
