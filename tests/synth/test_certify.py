"""Planted defects are caught, each under its own name; a sound environment passes."""

from __future__ import annotations

import itertools
import random
from typing import Any, ClassVar

import pytest

from palestra.envs.environment import Environment
from palestra.envs.mini.search import SearchMini
from palestra.envs.mini.travel import TravelMini
from palestra.envs.tools import tool
from palestra.envs.types import Answer, Task, World
from palestra.infra.sandbox.types import SandboxFailed
from palestra.synth.certify import certify, judge
from palestra.synth.synthesize import attempt, synthesize
from palestra.verifiers.checks import all_of, check
from palestra.verifiers.types import Verdict


class Doors(Environment):
    """Find the number behind the right door."""

    id = "doors"
    version = "1"

    def propose(self, rng: random.Random, level: int) -> Task:
        numbers = rng.sample(range(100), 4)
        return self.task(
            seed=rng.getrandbits(32), level=level, prompt="What is behind door 2?", world={"doors": numbers}, key=2
        )

    def solve(self, task: Task, tools: Any) -> Answer:
        return tools.look(door=task.key)

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([check("number", str(answer) == str(task.world["doors"][task.key]))])

    @tool
    def look(self, door: int) -> int:
        """Look behind a door."""
        number: int = self.world["doors"][door]
        return number


class AlwaysTrue(Doors):
    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([check("number", True)])


class AlwaysFalse(Doors):
    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([check("number", False)])


class NoVerdict(Doors):
    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return True  # type: ignore[return-value]


class Unsolvable(Doors):
    def solve(self, task: Task, tools: Any) -> Answer:
        return tools.look(door=7)


class Moody(Doors):
    calls = itertools.count()

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        right = str(answer) == str(task.world["doors"][task.key])
        return all_of([check("number", right, f"the {next(self.calls)}th time")])


class Oblivious(Doors):
    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([check("number", answer in (None, "", str(task.world["doors"][task.key])))])


class ChangesTheTask(Doors):
    def solve(self, task: Task, tools: Any) -> Answer:
        task.world["doors"][task.key] = 7
        return 7


class ChangesTheWorld(Doors):
    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        world["judged"] = True
        return super().verify(task, answer, world)


class OnlyNumbers(Doors):
    """Judges right what no agent can say: a final message is text."""

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([check("number", answer == task.world["doors"][task.key])])


class RightMutants(Doors):
    def mutate(self, rng: random.Random, task: Task, answer: Answer) -> Answer:
        return answer


class SameMutant(Doors):
    def mutate(self, rng: random.Random, task: Task, answer: Answer) -> Answer:
        return "a goat"


class LenientToMutants(Doors):
    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([check("number", bool(answer))])


class RaisingMutants(Doors):
    def mutate(self, rng: random.Random, task: Task, answer: Answer) -> Answer:
        raise KeyError("door")


class Forgetful(Doors):
    proposed = itertools.count()

    def propose(self, rng: random.Random, level: int) -> Task:
        return super().propose(random.Random(next(self.proposed)), level)


class Unstorable(Doors):
    def propose(self, rng: random.Random, level: int) -> Task:
        task = super().propose(rng, level)
        return task.model_copy(update={"world": task.world | {"note": "\0"}})


class HugeSeed(Doors):
    def propose(self, rng: random.Random, level: int) -> Task:
        return super().propose(rng, level).model_copy(update={"seed": 1 << 63})


@pytest.mark.parametrize("cls", [Doors, TravelMini, SearchMini])
def test_sound_environments_are_accepted_at_their_levels(cls: type[Environment]) -> None:
    for level in cls.levels:
        *_, made = synthesize(cls, 3, level, 1)
        assert made.accepted, made
        assert made.certified is not None
        assert [evidence.name for evidence in made.certified.certificate.checks] == [
            "reproducible",
            "oracle_passes",
            "noop_fails",
            "same_twice",
            "mutants_fail",
        ]


@pytest.mark.parametrize(
    ("cls", "caught"),
    [
        (AlwaysTrue, {"noop_fails", "mutants_fail"}),
        (AlwaysFalse, {"oracle_passes"}),
        (NoVerdict, {"oracle_passes"}),
        (Unsolvable, {"oracle_passes"}),
        (OnlyNumbers, {"oracle_passes"}),
        (ChangesTheTask, {"oracle_passes"}),
        (Moody, {"same_twice"}),
        (ChangesTheWorld, {"same_twice"}),
        (Oblivious, {"noop_fails"}),
        (RightMutants, {"mutants_fail"}),
        (SameMutant, {"mutants_fail"}),
        (LenientToMutants, {"mutants_fail"}),
        (RaisingMutants, {"mutants_fail"}),
        (Forgetful, {"reproducible"}),
        (Unstorable, {"reproducible"}),
        (HugeSeed, {"reproducible"}),
    ],
)
def test_a_planted_defect_is_caught_by_its_check(cls: type[Environment], caught: set[str]) -> None:
    made = attempt(cls, 1, 0, 1)
    assert made.certified is not None
    assert set(made.certified.certificate.reasons) == caught, made.certified.certificate
    assert not made.accepted
    assert all(evidence.detail for evidence in made.certified.certificate.checks if not evidence.ok)


class Coin(Doors):
    """Lets a right answer pass every other time."""

    tossed: ClassVar[random.Random] = random.Random(5)

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        right = str(answer) == str(task.world["doors"][task.key])
        return all_of([check("number", right and self.tossed.random() < 0.5)])


def test_a_random_verifier_hardly_ever_passes() -> None:
    accepted = sum(attempt(Coin, 1, number, 1).accepted for number in range(100))
    assert accepted <= 10  # 1 in 32 is expected


class Leaky(Doors):
    opened: ClassVar[list[str]] = []

    def start(self, task: Task) -> None:
        self.opened.append("open")
        super().start(task)

    def close(self) -> None:
        self.opened.pop()


def test_every_started_environment_is_closed_also_where_judging_raises() -> None:
    class Raising(Leaky):
        def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
            raise ZeroDivisionError

    assert attempt(Leaky, 1, 0, 1).accepted
    assert not attempt(Raising, 1, 0, 1).accepted
    assert not Leaky.opened


def test_a_broken_machine_says_nothing_of_the_task() -> None:
    class Down(Doors):
        def start(self, task: Task) -> None:
            raise SandboxFailed("the daemon is gone")

    with pytest.raises(SandboxFailed):
        certify(Down, Doors().propose(random.Random(1), 1))


def test_judging_leaves_the_task_as_it_was() -> None:
    task = Doors().propose(random.Random(1), 1)
    before = task.id
    assert judge(ChangesTheWorld, task, str(task.world["doors"][2])).passed
    assert not judge(Doors, task, "nothing").passed
    assert task.id == before
