"""Synthesis: the same seed gives the same tasks, and what cannot be proposed is counted, not raised."""

from __future__ import annotations

import random
from typing import Any

import pytest

from palestra.envs.environment import Environment
from palestra.envs.errors import ProposeFailed
from palestra.envs.mini.search import SearchMini
from palestra.envs.mini.travel import TravelMini
from palestra.envs.types import Answer, Task, World
from palestra.infra.sandbox.types import SandboxUnavailable
from palestra.synth.certify import certify
from palestra.synth.synthesize import attempt, propose_from, synthesize
from palestra.verifiers.checks import all_of, check
from palestra.verifiers.types import Verdict


class Flaky(Environment):
    """Proposes what `kind` says."""

    id = "flaky"
    version = "2"
    kind = "good"

    def propose(self, rng: random.Random, level: int) -> Task:
        number = rng.randrange(1000)
        match self.kind:
            case "raises":
                raise KeyError("no such thing")
            case "machine":
                raise SandboxUnavailable("no Docker")
            case "unlucky" if number % 2:
                raise ProposeFailed("an odd number")
            case "set":
                return Task(env=self.id, version=self.version, seed=1, level=level, prompt="?", world={"a": {1}})
            case "nan":
                return Task(env=self.id, version=self.version, seed=1, level=level, prompt="?", key=float("nan"))
            case "none":
                return None  # type: ignore[return-value]
            case "foreign":
                return Task(env="travel-mini", version="1", seed=1, level=level, prompt="?")
        return self.task(
            seed=number, level=level, prompt="Say it.", world={"words": ["red", "green", "blue"]}, key=f"word {number}"
        )

    def solve(self, task: Task, tools: Any) -> Answer:
        return task.key

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([check("said", answer == task.key)])


def flaky(kind: str) -> type[Flaky]:
    return type("Kind", (Flaky,), {"kind": kind})


@pytest.mark.parametrize("cls", [TravelMini, SearchMini])
def test_the_same_seed_and_number_make_the_same_task_and_others_make_others(cls: type[Environment]) -> None:
    def ids(seed: int) -> list[str]:
        return [made.certified.task.id for made in synthesize(cls, seed, 1, 4) if made.certified is not None]

    assert ids(5) == ids(5)
    assert len({*ids(5), *ids(6)}) == len(ids(5)) + len(ids(6))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("raises", "propose raised KeyError"),
        ("set", "propose raised TypeError"),
        ("nan", "propose raised ValueError"),
        ("none", "propose raised TypeError: it returned a NoneType"),
        ("foreign", "propose raised ValueError: the task is of travel-mini 1"),
    ],
)
def test_what_is_no_task_is_a_rejected_attempt(kind: str, reason: str) -> None:
    made = attempt(flaky(kind), 1, 0, 1)
    assert not made.accepted
    assert made.certified is None
    assert made.reason.startswith(reason)


def test_unlucky_seeds_are_counted_and_do_not_end_the_stream() -> None:
    made = list(synthesize(flaky("unlucky"), 1, 1, 5))
    assert [one.number for one in made] == list(range(len(made)))
    assert sum(one.accepted for one in made) == 5
    rejected = [one for one in made if not one.accepted]
    assert rejected
    assert all(one.reason == "not proposed: an odd number" for one in rejected)


def test_attempts_are_bounded() -> None:
    assert len(list(synthesize(flaky("raises"), 1, 1, 2))) == 28
    assert len(list(synthesize(flaky("raises"), 1, 1, 2, attempts=3))) == 3
    assert list(synthesize(flaky("good"), 1, 1, 2, attempts=0)) == []


def test_a_broken_machine_ends_synthesis() -> None:
    with pytest.raises(SandboxUnavailable):
        attempt(flaky("machine"), 1, 0, 1)


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="travel-mini has levels 1 to 4, not 9"):
        attempt(TravelMini, 1, 0, 9)


class Handful(Flaky):
    """Four questions, each with many seeds."""

    id = "handful"

    def propose(self, rng: random.Random, level: int) -> Task:
        about = rng.choice(["red", "green", "blue", "grey"])
        words = {"words": ["red", "green", "blue", "grey", "pink", "black"]}
        return self.task(
            seed=rng.getrandbits(32), level=level, prompt=f"What is said of {about}?", world=words, key=f"{about} is it"
        )


class Never(Handful):
    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([check("said", False)])


def test_a_task_that_differs_from_an_earlier_one_in_its_seed_alone_is_a_duplicate() -> None:
    made = list(synthesize(Handful, 1, 1, 10))
    kept = [one.certified.task for one in made if one.certified is not None]
    assert len(made) == 60
    assert len({task.prompt for task in kept}) == len(kept) == 4
    known: dict[str, str] = {}
    for one in made:
        stream = f"handful/2/1/1/{one.number}"
        task = Handful().propose(random.Random(stream), 1)
        if first := known.get(task.prompt):
            assert one.reason == f"duplicate of {first}"
        else:
            known[task.prompt] = task.id
            assert one.accepted


def test_only_what_was_accepted_makes_a_duplicate() -> None:
    reasons = {one.reason for one in synthesize(Never, 1, 1, 2)}
    assert reasons == {"oracle_passes"}


def test_a_fingerprint_tells_everything_but_the_seed_apart() -> None:
    task = Handful().propose(random.Random(1), 1)
    assert task.model_copy(update={"seed": task.seed + 1}).fingerprint == task.fingerprint
    others = {"env": "x", "version": "3", "level": 2, "prompt": "?", "world": {"words": []}, "key": "x"}
    changed = {task.model_copy(update={name: value}).fingerprint for name, value in others.items()}
    assert len(changed | {task.fingerprint}) == len(others) + 1


def test_a_certificate_tells_from_which_stream_its_task_comes() -> None:
    made = attempt(Handful, 5, 2, 1)
    assert made.certified is not None
    assert made.certified.certificate.stream == "handful/2/5/1/2"
    assert propose_from(Handful(), "handful/2/5/1/2", 1) == made.certified.task
    assert certify(Handful, made.certified.task).stream is None
