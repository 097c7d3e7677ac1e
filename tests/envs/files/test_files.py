"""Chores: shell scripts in a sandbox against what Python computed, slips, and a harvest that nobody can lie to."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from palestra.envs.environment import SolverTools
from palestra.envs.files.chores import MAKERS
from palestra.envs.files.environment import Files
from palestra.envs.types import Task, ToolCall, canonical
from palestra.infra.sandbox.sync import Sandboxes

DOCKER = pytest.param("docker", marks=pytest.mark.docker)


@pytest.fixture(scope="module", params=[DOCKER, "bwrap"])
def sandboxes(request: pytest.FixtureRequest) -> Iterator[Sandboxes]:
    with Sandboxes(request.param) as found:
        yield found


def propose(level: int, seed: int) -> Task:
    return Files().propose(random.Random(f"{level}/{seed}"), level)


@pytest.mark.parametrize("level", list(Files.levels))
def test_scripts_reach_the_state_that_was_computed(sandboxes: Sandboxes, level: int) -> None:
    for seed in range(6):
        task, env = propose(level, seed), Files(sandboxes)
        env.start(task)
        untouched = env.verify(task, None, env.finish(None))
        answer = env.solve(task, SolverTools(env))
        verdict = env.verify(task, answer, env.finish(answer))
        in_place = env.verify(task, None, env.finish(None))
        env.close()
        assert untouched.reward == 0.0
        assert verdict.passed, [part for part in verdict.parts if not part.passed]
        assert in_place == verdict


@pytest.mark.parametrize("kind", sorted(MAKERS))
@pytest.mark.parametrize("size", [1, 4])
def test_every_kind_of_chore_of_every_size(sandboxes: Sandboxes, kind: str, size: int) -> None:
    chore = MAKERS[kind](random.Random(f"{kind}{size}"), "place", size)
    assert all(path.startswith("place/") for path in {*chore.before, *chore.after})
    key: dict[str, Any] = {"chores": [{"name": kind, "after": dict(chore.after), "data": sorted(chore.data)}]}
    env = Files(sandboxes)
    world = {"files": dict(chore.before), "latin1": sorted(chore.latin1)}
    task = env.task(seed=1, level=1, prompt=chore.request, world=world, key=key)
    env.start(task)
    env.call(ToolCall(name="shell", arguments={"command": chore.script}))
    verdict = env.verify(task, None, env.finish(None))
    env.close()
    assert verdict.passed, verdict.parts


@pytest.mark.parametrize("level", list(Files.levels))
def test_slips_are_many_and_all_wrong(level: int) -> None:
    task = propose(level, 1)
    env = Files()
    slips = {canonical(env.mutate(random.Random(seed), task, None)): None for seed in range(100)}
    assert len(slips) > 10
    for text in slips:
        answer = json.loads(text)
        assert not env.verify(task, answer, env.finish(answer)).passed, text[:300]


def test_the_same_seed_gives_the_same_task() -> None:
    for level in Files.levels:
        assert propose(level, 3).id == propose(level, 3).id


def test_json_may_be_laid_out_as_one_likes(sandboxes: Sandboxes) -> None:
    task = next(task for seed in range(99) if (task := propose(1, seed)).key["chores"][0]["name"] == "totals")
    (chore,) = task.key["chores"]
    path = chore["data"][0]
    wanted = json.loads(chore["after"][path])

    def judged(text: str) -> bool:
        answer = {"files": {**chore["after"], path: text}}
        return Files().verify(task, answer, Files().finish(answer)).passed

    assert judged(json.dumps(dict(reversed(wanted.items())), indent=4))
    assert not judged(json.dumps({**wanted, "Extra": 1}))
    assert not judged("{")
    assert not judged("[" * 100_000)


@pytest.mark.parametrize("answer", [None, "done", 7, {"files": 3}, {"files": {"a": 1}}, [], {"files": {}}])
def test_words_change_nothing(sandboxes: Sandboxes, answer: Any) -> None:
    task, env = propose(2, 5), Files(sandboxes)
    env.start(task)
    assert env.verify(task, answer, env.finish(answer)).reward == 0.0
    env.close()


def test_links_and_hidden_files_and_tricks_with_tar(sandboxes: Sandboxes) -> None:
    task, env = propose(2, 5), Files(sandboxes)
    for cheat in env.cheats(random.Random(1), task):
        env.start(task)
        for call in cheat.calls:
            env.call(call)
        assert env.verify(task, None, env.finish(None)).reward == 0.0, cheat.name
        env.close()
    env.start(task)
    answer = env.solve(task, SolverTools(env))
    env.call(ToolCall(name="shell", arguments={"command": "mkdir .cache; echo x > .cache/x; ln -s /etc/passwd link"}))
    assert env.verify(task, None, env.finish(None)).passed
    env.call(ToolCall(name="shell", arguments={"command": "echo x > more.txt"}))
    verdict = env.verify(task, None, env.finish(None))
    env.close()
    assert [(part.name, part.detail) for part in verdict.parts if not part.passed] == [
        ("nothing else", "left behind: more.txt")
    ]
    assert env.verify(task, answer, env.finish(answer)).passed


def test_what_the_tools_say(sandboxes: Sandboxes) -> None:
    task, env = propose(6, 0), Files(sandboxes)
    env.start(task)

    def say(name: str, **arguments: Any) -> str:
        return env.call(ToolCall(name=name, arguments=arguments)).text

    path, text = next((path, text) for path, text in task.world["files"].items() if path not in task.world["latin1"])
    assert f"{path} {len(text.encode())}\n" in say("list_files")
    assert say("read_file", path=path) == text
    assert say("write_file", path="a/b.txt", text="ü") == "Wrote a/b.txt."
    assert say("shell", command="cat a/b.txt; exit 3") == "ü\n(exit code 3)"
    assert "cannot read 'none'" in say("read_file", path="none")
    assert "left out" in say("shell", command="seq 100000")
    assert "NUL" in say("shell", command="a\0b")
    env.close()
