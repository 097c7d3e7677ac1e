"""Certificates: sound tasks hold, what is planted is named by the check that should, and nothing is left behind."""

from __future__ import annotations

import random
from typing import Any, ClassVar

import pytest

from palestra.envs.environment import Environment
from palestra.envs.mini.search import SearchMini
from palestra.envs.mini.travel import TravelMini
from palestra.envs.reasoning.environment import Reasoning
from palestra.envs.types import Answer, Task, World
from palestra.infra.sandbox.sync import Sandboxes
from palestra.infra.sandbox.types import SandboxFailed
from palestra.synth import certify as certifying
from palestra.synth.certify import certify, judge
from palestra.synth.planted.defects import DEFECTS, Defect
from palestra.synth.planted.doors import CoinVerifier, Doors
from palestra.synth.planted.workshop import Workshop
from palestra.synth.synthesize import attempt, synthesize
from palestra.verifiers.types import Verdict

QUICK = ["reproducible", "oracle_passes", "noop_fails", "same_twice", "mutants_fail", "no_leak"]
FULL = [
    *QUICK,
    "oracle_by_tools",
    "slips_fail",
    "near_misses_fail",
    "random_fails",
    "order_independent",
    "rescored",
    "same_elsewhere",
    "time_independent",
    "history_independent",
    "hermetic",
    "envelope",
    "red_team",
]
PLAIN = [defect for defect in DEFECTS if not defect.sandboxed]
SANDBOXED = [defect for defect in DEFECTS if defect.sandboxed]


@pytest.mark.parametrize("cls", [Doors, TravelMini, SearchMini])
def test_sound_environments_are_accepted_at_their_levels(cls: type[Environment]) -> None:
    for level in cls.levels:
        *_, made = synthesize(cls, 3, level, 1)
        assert made.accepted, made
        assert made.certified is not None
        assert [evidence.name for evidence in made.certified.certificate.checks] == QUICK


@pytest.mark.parametrize("cls", [Doors, TravelMini, SearchMini, Reasoning])
def test_sound_tasks_hold_in_full(cls: type[Environment]) -> None:
    for level in cls.levels:
        for number in range(5):
            made = attempt(cls, 11, number, level, depth="full")
            if made.certified is not None:  # an unlucky draw is no task
                assert made.accepted, made
                assert [evidence.name for evidence in made.certified.certificate.checks] == FULL


@pytest.mark.parametrize("defect", PLAIN, ids=lambda defect: defect.cls.__name__)
def test_a_planted_defect_is_named_by_its_check(defect: Defect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certifying, "CHECK_SECONDS", 3.0)
    found = defect.found(defect.cls)
    assert found & defect.caught_by, f"{defect.about}: {sorted(found)} and none of {sorted(defect.caught_by)}"


@pytest.mark.slow
@pytest.mark.parametrize("defect", SANDBOXED, ids=lambda defect: defect.cls.__name__)
def test_a_planted_defect_in_a_sandbox_is_named_by_its_check(defect: Defect, sandboxes: Sandboxes) -> None:
    found = defect.found(lambda: defect.cls(sandboxes))
    assert found & defect.caught_by, f"{defect.about}: {sorted(found)} and none of {sorted(defect.caught_by)}"


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_left")
def test_a_sound_task_with_a_shell_holds_in_full(sandboxes: Sandboxes) -> None:
    made = attempt(lambda: Workshop(sandboxes), 1, 0, 1, depth="full")
    assert made.certified is not None
    assert made.accepted, made.certified.certificate
    team = made.certified.certificate.evidence("red_team")
    assert team is not None
    assert team.measured["earned"] == team.measured["evaded"] == 0
    assert team.measured["cheats"] > 50


def test_there_are_as_many_kinds_of_defects_as_promised() -> None:
    assert len({defect.cls for defect in DEFECTS}) == len(DEFECTS) >= 25
    assert {name for defect in DEFECTS for name in defect.caught_by} >= set(FULL) - {"order_independent"}


def test_every_failed_check_says_what_was_seen() -> None:
    for defect in PLAIN[:12]:
        made = attempt(defect.cls, 1, 0, 1)
        assert made.certified is not None
        assert all(evidence.detail for evidence in made.certified.certificate.checks if not evidence.ok)


def test_a_random_verifier_hardly_ever_passes() -> None:
    accepted = sum(attempt(CoinVerifier, 1, number, 1).accepted for number in range(100))
    assert accepted <= 10  # 1 in 32 is expected


class Leaky(Doors):
    opened: ClassVar[list[str]] = []

    def start(self, task: Task) -> None:
        self.opened.append("open")
        super().start(task)

    def close(self) -> None:
        self.opened.pop()


class Raising(Leaky):
    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        raise ZeroDivisionError


def test_every_started_environment_is_closed_also_where_judging_raises() -> None:
    assert attempt(Leaky, 1, 0, 1, depth="full").accepted
    assert not attempt(Raising, 1, 0, 1, depth="full").accepted
    assert not Leaky.opened


def test_a_broken_machine_says_nothing_of_the_task() -> None:
    class Down(Doors):
        def start(self, task: Task) -> None:
            raise SandboxFailed("the daemon is gone")

    with pytest.raises(SandboxFailed):
        certify(Down, Doors().propose(random.Random(1), 1))


class ChangesAnswers(Doors):
    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        task.world["doors"].clear()
        return Doors.verify(self, task, answer, world)


def test_judging_leaves_the_task_as_it_was() -> None:
    task = Doors().propose(random.Random(1), 1)
    before = task.id
    assert judge(Doors, task, task.key["name"]).passed
    assert not judge(Doors, task, "nothing").passed
    with pytest.raises(AssertionError, match="the task changes"):
        judge(ChangesAnswers, task, task.key["name"])
    assert task.id == before


def test_a_class_that_no_other_process_can_load_is_not_vouched_for() -> None:
    class Here(Doors):
        def mutate(self, rng: random.Random, task: Task, answer: Answer) -> Any:
            return "".join(rng.sample("abcdefgh", 6))

    made = attempt(Here, 1, 0, 1, depth="full")
    assert made.certified is not None
    assert made.certified.certificate.reasons == ["same_elsewhere"]
    elsewhere = made.certified.certificate.evidence("same_elsewhere")
    assert elsewhere is not None
    assert "define it in a module" in elsewhere.detail
