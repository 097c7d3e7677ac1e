"""The environment of docs/environments.md works as it stands there."""

from __future__ import annotations

import random
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from palestra.envs.environment import Environment
from palestra.infra.sandbox.sync import Sandboxes
from palestra.synth.synthesize import attempt

PAGE = Path(__file__).parents[2] / "docs" / "environments.md"


@pytest.fixture
def documented(monkeypatch: pytest.MonkeyPatch) -> type[Environment]:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    module = types.ModuleType("documented_environment")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, str(PAGE), "exec"), vars(module))
    found = module.Sorted
    assert isinstance(found, type)
    assert issubclass(found, Environment)
    return found


@pytest.fixture(scope="module", params=[pytest.param("docker", marks=pytest.mark.docker), "bwrap"])
def sandboxes(request: pytest.FixtureRequest) -> Iterator[Sandboxes]:
    with Sandboxes(request.param) as found:
        yield found


def test_its_tasks_are_certified(documented: type[Environment], sandboxes: Sandboxes) -> None:
    for number in range(3):
        made = attempt(lambda: documented(sandboxes), 5, number, 1)
        assert made.accepted, made.reason


def test_the_line_of_a_slip_is_noticed(documented: type[Environment], sandboxes: Sandboxes) -> None:
    env = documented(sandboxes)
    task = env.propose(random.Random(3), 1)
    lines = task.key.splitlines(keepends=True)
    env.start(task)
    try:
        for text, right in (
            (task.key, True),
            ("".join(lines[1:]), False),
            ("".join(reversed(lines)), False),
            (None, False),
        ):
            assert env.verify(task, text, env.finish(text)).passed is right
    finally:
        env.close()
