"""The witness: another process with another hash seed, locale, zone and clock, that reaches no host and never hangs."""

from __future__ import annotations

import importlib.util
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from palestra.envs.types import Answer, Task, World
from palestra.infra.sandbox.types import SandboxFailed
from palestra.synth import witness as witnesses
from palestra.synth.planted.doors import Doors
from palestra.synth.stage import Stage
from palestra.synth.testimony import SHIFT
from palestra.synth.witness import Play, Witness
from palestra.verifiers.checks import all_of, check
from palestra.verifiers.types import Verdict

HOME = os.environ.setdefault("PALESTRA_TEST_PARENT", str(os.getpid()))


class Telling(Doors):
    """The verdict tells where and when it was given."""

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        told = {
            "process": os.getpid(),
            "hash": hash("palestra"),
            "encoding": sys.getfilesystemencoding(),
            "zone": time.localtime(0).tm_hour,
            "now": int(time.time()),
        }
        return all_of([check(name, True, str(value)) for name, value in told.items()])


class Hanging(Doors):
    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        if os.environ["PALESTRA_TEST_PARENT"] != str(os.getpid()) and answer == "hang":
            while True:
                pass
        return all_of([check("name", True)])


class Dying(Doors):
    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        if os.environ["PALESTRA_TEST_PARENT"] != str(os.getpid()):
            os._exit(3)
        return all_of([check("name", True)])


class Printing(Doors):
    def start(self, task: Task) -> None:
        print("this is no testimony")
        super().start(task)


class NoMachine(Doors):
    def start(self, task: Task) -> None:
        raise SandboxFailed("the daemon is gone")


@pytest.fixture
def witness() -> Iterator[Witness]:
    witness = Witness()
    yield witness
    witness.close()


def ask(witness: Witness, cls: type[Doors], answer: Answer = "x") -> witnesses.Testimony:
    task = cls().propose(random.Random(1), 1)
    return witness.ask(Stage(cls, task), None, [Play(answer=answer)])


def told(verdict: Verdict) -> dict[str, str]:
    return {part.name: part.detail for part in verdict.parts}


def test_it_is_elsewhere_and_on_another_day(witness: Witness) -> None:
    said = ask(witness, Telling)
    here, there, then = (
        told(Telling().verify(Doors().propose(random.Random(1), 1), "x", {})),
        *map(told, (said.first[0], said.shifted[0])),
    )
    assert there["process"] not in (here["process"], str(os.getpid()))
    assert there["hash"] != here["hash"]
    assert there["zone"] == "13"
    assert int(there["now"]) - int(here["now"]) < 3600
    assert SHIFT - 60 < int(then["now"]) - int(there["now"]) < SHIFT + 60


def test_one_process_answers_again_and_again(witness: Witness) -> None:
    first, second = ask(witness, Telling), ask(witness, Telling)
    assert told(first.first[0])["process"] == told(second.first[0])["process"]


def test_what_an_environment_prints_is_no_testimony(witness: Witness) -> None:
    assert not ask(witness, Printing).first[0].passed


def test_a_witness_that_dies_is_evidence_and_the_next_question_finds_a_new_one(witness: Witness) -> None:
    with pytest.raises(AssertionError, match="died of it"):
        ask(witness, Dying)
    assert ask(witness, Doors).first


def test_a_witness_that_hangs_is_evidence(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palestra.synth.witness.CHECK_SECONDS", 2.0)
    assert ask(witness, Hanging).first
    with pytest.raises(AssertionError, match="not over in time"):
        ask(witness, Hanging, "hang")
    assert ask(witness, Hanging).first


def test_a_broken_machine_stays_one(witness: Witness) -> None:
    with pytest.raises(SandboxFailed, match="the daemon is gone"):
        ask(witness, NoMachine)


def test_a_class_is_found_by_its_file(witness: Witness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "street.py"
    file.write_text("from palestra.synth.planted.doors import Doors\n\nclass Street(Doors):\n    id = 'street'\n")
    spec = importlib.util.spec_from_file_location("nowhere.street", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "nowhere.street", module)
    spec.loader.exec_module(module)
    assert ask(witness, module.Street).first


def test_nobody_is_left_when_it_is_closed() -> None:
    witness = Witness()
    pid = int(told(ask(witness, Telling).first[0])["process"])
    witness.close()
    assert not Path(f"/proc/{pid}").exists()
