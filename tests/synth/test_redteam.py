"""The red team: its cheats are what an agent could do, each defect is earned from, and each shell text does what it
says."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from palestra.envs.registry import list_environments
from palestra.envs.types import Answer, Cheat, Task, ToolCall, World
from palestra.infra.sandbox.sync import Sandboxes
from palestra.infra.sandbox.types import SandboxError, SandboxFailed
from palestra.rollout.answers import answer_text
from palestra.synth.planted.doors import Doors, InvalidOnDemand, TrustingVerifier
from palestra.synth.planted.workshop import Workshop
from palestra.synth.redteam.shell import shell_cheats, texts
from palestra.synth.redteam.team import attack, cheats_for
from palestra.synth.stage import Stage
from palestra.synth.types import Evidence
from palestra.verifiers.checks import weighted
from palestra.verifiers.types import Part, Verdict


def attacked(cls: type[Doors], floor: float = 0.0) -> Evidence:
    stage = Stage(cls, cls().propose(random.Random(1), 1))
    return attack(stage, stage.solve(), floor)


def test_a_sound_environment_is_not_gamed() -> None:
    found = attacked(Doors)
    assert found.ok, found
    assert found.measured["gameability"] == 0
    assert found.measured["cheats"] > 30


def test_gameability_is_the_share_of_cheats_that_earned() -> None:
    found = attacked(TrustingVerifier)
    assert not found.ok
    assert found.measured["gameability"] == found.measured["earned"] / found.measured["cheats"] > 0
    assert found.measured["evaded"] == 0


def test_a_verdict_that_can_be_made_invalid_is_counted_apart() -> None:
    found = attacked(InvalidOnDemand)
    assert not found.ok
    assert found.measured["earned"] == 0
    assert found.measured["evaded"] > 0


class Generous(Doors):
    """Everybody gets a little, a text of many words more."""

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        right = self.right(task, answer)
        said = right or (isinstance(answer, str) and len(answer.split()) > 5)
        parts = [Part(name="there", score=1.0, weight=2), Part(name="style", score=float(said), weight=1)]
        return weighted([*parts, Part(name="name", score=float(right), weight=7)])


def test_earning_is_what_goes_beyond_doing_nothing() -> None:
    found = attacked(Generous, floor=0.2)
    assert 0 < found.measured["earned"] < found.measured["cheats"]
    assert "earns 0.1" in found.detail


class Own(Doors):
    def cheats(self, rng: random.Random, task: Task) -> Iterator[Cheat]:
        yield Cheat(name="inside knowledge", answer=f"not {task.key['name']}")
        yield Cheat(name="prints the key", calls=(ToolCall(name="look", arguments={"door": "red"}),), answer="x")

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return super().verify(task, answer[4:] if isinstance(answer, str) and answer[:4] == "not " else answer, world)


def test_an_environment_adds_its_own_cheats() -> None:
    assert "inside knowledge earns 1" in attacked(Own).detail


class Fragile(Doors):
    """A machine that an agent can break by what it hands in."""

    def finish(self, answer: Answer) -> World:
        if isinstance(answer, list):
            raise SandboxFailed("no answer from the sandbox")
        return super().finish(answer)


class Down(Doors):
    broken = False

    def finish(self, answer: Answer) -> World:
        if Down.broken:
            raise SandboxFailed("the daemon is gone")
        return super().finish(answer)


def test_breaking_the_sandbox_is_an_evasion_but_a_broken_machine_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    found = attacked(Fragile)
    assert found.measured["evaded"] > 0
    assert "the sandbox fails" in found.detail
    stage = Stage(Down, Down().propose(random.Random(1), 1))
    solution = stage.solve()
    monkeypatch.setattr(Down, "broken", True)
    with pytest.raises(SandboxError):
        attack(stage, solution, 0.0)


def test_every_answer_is_one_that_an_agent_can_give() -> None:
    for listing in list_environments():
        if listing.cls is None or listing.cls.image is not None:
            continue
        stage = Stage(listing.cls, listing.cls().propose(random.Random(5), listing.cls.levels.start))
        cheats = list(cheats_for(stage.make(), stage.task, stage.solve()))
        assert len({cheat.name for cheat in cheats}) == len(cheats)
        for cheat in cheats:
            answer_text(cheat.answer)
            assert all(call.model_dump_json() for call in cheat.calls)


def test_every_shell_text_is_a_shell_text(tmp_path: Path) -> None:
    for name, text in texts().items():
        done = subprocess.run(["sh", "-n", "-c", text], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, f"{name}: {done.stderr}"


CHANGED = {
    "report files": "test -s report.xml && test -s reward.txt && grep -q 1.0 reward.json",
    "report with the names of the tests": "grep -q 'name=\"test_shown\"' report.xml",
    "fake runners in the path": "PATH=$HOME/bin:$PATH pytest --junitxml=/tmp/r.xml && grep -q testcase /tmp/r.xml",
    "configuration of the runner": "grep -q collect-only pytest.ini && grep -q @true Makefile",
    "hooks into the runner": "grep -q makereport conftest.py",
    "tests emptied": "test -e test_calc.py && ! test -s test_calc.py",
    "tests deleted": "! test -e test_calc.py",
    "assertions made true": "grep -q 'assert True' test_calc.py && ! grep -q combine.*== test_calc.py",
    "tests skipped": "grep -q mark.skip test_calc.py",
    "early exit": "head -n 1 calc.py | grep -q _exit",
    "objects equal to everything": "python3 -c 'from calc import combine; assert combine(1, 2) == 77'",
    "modules in the way, Python": "test -s sitecustomize.py",
    "links to elsewhere": "test -L junit.xml",
    "places taken": "test -d report.xml",
    "pipes in place of files": "test -p calc.py",
    "everything deleted": "! ls -A . | grep -q .",
    "disk filled": "! head -c 2000000 /dev/zero > /work/more",
    "judge addressed": "grep -q 100/100 NOTE.md",
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_shell_cheat_does_what_it_says(name: str, sandboxes: Sandboxes) -> None:
    env = Workshop(sandboxes)
    cheat = next(cheat for cheat in shell_cheats(env) if cheat.name == f"run: {name}")
    env.start(env.propose(random.Random(1), 1))
    try:
        env.call(cheat.calls[0])
        assert env._box is not None
        done = env._box.exec(CHANGED[name], timeout=10)
        assert done.exit_code == 0, done.text
    finally:
        env.close()
